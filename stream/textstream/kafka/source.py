"""Reading: one consumer-group member. Messages become records; rebalances are handed to the worker."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import methodcaller
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from textstream.core.offsets import TopicPartition as Partition
from textstream.core.ports import Assignment, CommitAnswers, Membership, Polled
from textstream.core.record import Header, Position, Record
from textstream.errors import Poison, Transient
from textstream.kafka.client import NOT_ALLOWED, classified, group, log, opened, properties
from textstream.kafka.credentials import Credentials
from textstream.settings import Kafka

OURS = {
    # Where reading begins is the worker's to say; an offset that the broker does not have is told, never jumped over.
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # A full prefetch queue is looked at again after 10 ms; librdkafka's 1,000 ms leaves the model idle.
    "fetch.queue.backoff.ms": 10,
    # Prefetched values of all partitions together, in KiB, and messages of each: bounds memory, still a second of work.
    "queued.max.messages.kbytes": 32_768,
    "queued.min.messages": 10_000,
}

LEAVE_WITHIN_S, LEAVE_WAIT_S = 5.0, 0.05
"""Longest that leaving the group may take, but for what the worker does then; and of one wait for what it brings."""
MAX_DISCARDED = 1_000
"""Fetched messages that one such wait takes and drops: nobody reads them any more."""

# To be called once only: after it has raised, a second call has crashed the interpreter (confluent-kafka 2.16). Where the
# last header's key is not UTF-8 the client returns a list and leaves an exception set beside it, which the interpreter's
# fast path for methods raises at some later call; `methodcaller` has it raised here, as a SystemError.
_headers = methodcaller("headers")


class Source:
    """A member of the consumer group."""

    def __init__(self, kafka: Kafka, topics: Sequence[str], assignment: Assignment) -> None:
        own = {**OURS, **group(kafka), "on_commit": self._on_commit}
        self._consumer = opened(Consumer, properties(kafka, own, kafka.consumer))
        self._credentials = Credentials(kafka, kafka.consumer)
        self._static = bool(kafka.group_instance_id)
        self._assignment = assignment
        self._commit_answers = CommitAnswers({}, [])
        self._not_allowed: KafkaError | None = None
        self.subscribe(topics)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Read these from now on, and no others."""
        self._consumer.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def poll(self, max_records: int, timeout_s: float, *, gather: bool = False) -> Polled:
        """What has been fetched, at most `max_records`; where that is nothing, what comes within `timeout_s`.

        That is the first record to come and those with it, or with `gather` all of that time. Rebalances happen in here.
        """
        self._credentials.renew(self._consumer)
        messages = self._consumer.consume(max_records, 0)
        if not messages and timeout_s:
            messages = self._consumer.consume(max_records, timeout_s) if gather else self._first(max_records, timeout_s)
        if self._not_allowed is not None:
            raise classified(self._not_allowed, "committing offsets")
        polled = Polled([], [], [])
        epochs: dict[Partition, int | None] = {}  # they change inside `consume` alone
        for message in messages:
            error = message.error()
            code = None if error is None else error.code()
            if error is not None and code not in (KafkaError._PARTITION_EOF, *OUT_OF_RANGE):
                raise_unless_passing(error)
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None and partition is not None and offset is not None, "a message without a position"
            if (topic, partition) not in epochs:
                epochs[topic, partition] = self._assignment.epoch_of((topic, partition))
            if (epoch := epochs[topic, partition]) is None:
                continue  # fetched before the partition was taken from us, or sent back
            position = Position(topic, partition, offset, epoch)
            if code is None:
                polled.records.append(read_record(message, position))
            elif code == KafkaError._PARTITION_EOF:
                polled.ends.append(position)
            else:
                polled.out_of_range.append((topic, partition))
        return polled

    def _first(self, max_records: int, timeout_s: float) -> list[Message]:
        """The first to come, and those that came with it: `consume` with a timeout would wait for `max_records`."""
        messages = self._consumer.consume(1, timeout_s)
        if not messages or max_records == 1 or messages[0].error() is not None:
            return messages
        partition = (messages[0].topic() or "", messages[0].partition() or 0)
        epoch = self._assignment.epoch_of(partition)
        more = self._consumer.consume(max_records - 1, 0)
        # Had a rebalance taken its partition away meanwhile, and brought it back, it would be fetched again.
        return more if self._assignment.epoch_of(partition) != epoch else messages + more

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Fetch no more of these; what was prefetched is thrown away."""
        self._consumer.pause([TopicPartition(*partition) for partition in partitions])

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch them again."""
        self._consumer.resume([TopicPartition(*partition) for partition in partitions])

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """Read these on from there; what was prefetched is thrown away."""
        for (topic, partition), offset in offsets.items():
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException:  # it is not being fetched: only just assigned, or an offset was out of range
                self._consumer.incremental_unassign([TopicPartition(topic, partition)])
                self._consumer.incremental_assign([TopicPartition(topic, partition, offset)])

    def membership(self) -> Membership:
        """Which member of which generation of the group we are."""
        return self._consumer.consumer_group_metadata()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Ask for a commit of these next offsets; a later `take_commit_answers` tells what became of it."""
        asked = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        self._consumer.commit(offsets=asked, asynchronous=True)

    def take_commit_answers(self) -> CommitAnswers:
        """The answers to commits that came in, inside `poll`, since the last call."""
        answers, self._commit_answers = self._commit_answers, CommitAnswers({}, [])
        return answers

    def committed(self, partitions: Iterable[Partition], within_s: float) -> dict[Partition, int | None]:
        """The next offsets that the group holds for these, None where it has none; nothing when it does not tell in time.

        Raises `Misconfigured` where we may not ask. May be asked inside a rebalance too. The question follows all commits on
        the one connection to the coordinator, which answers in order: so it tells what became of them. (A commit that waits for
        its own answer knows no limit, and without a coordinator takes as long as a session. Another thread cannot wait for it:
        while a rebalance runs on the polling thread, confluent-kafka 2.16 lets no other one into the client.)
        """
        try:
            known = self._consumer.committed([TopicPartition(*partition) for partition in partitions], timeout=within_s)
        except KafkaException as error:
            if error.args[0].code() in NOT_ALLOWED:
                raise classified(error.args[0], "asking for the committed offsets") from None
            log.warning("committed_offsets_unknown", why=error.args[0].str())
            return {}
        return {(p.topic, p.partition): p.offset if p.offset >= 0 else None for p in known if p.error is None}

    def bounds(self, partition: Partition, within_s: float) -> tuple[int, int]:
        """The first offset that the broker still has, and the one that the next record will get. Raises `Transient`."""
        return bounds(self._consumer, partition, within_s)

    def offset_at(self, partition: Partition, timestamp_ms: int, within_s: float) -> int:
        """The first offset at or after a time; where there is none the next record's. Raises `Transient`."""
        return offset_at(self._consumer, partition, timestamp_ms, within_s)

    def end_offset(self, partition: Partition) -> int | None:
        """The partition's end as of the last fetch, or None while nothing was fetched."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        return high if high >= 0 else None

    def close(self) -> None:
        """Leave the group and close the client; rebalances happen in here, the last one among them."""
        try:
            # A static member keeps its place: closing lets it, unsubscribing would give it up.
            if not self._static:
                self._leave()
        finally:
            self._consumer.close()

    def _leave(self) -> None:
        """Have everything revoked while the client is still whole.

        A rebalance that it meets while it closes has hung it for ever, with the interpreter's lock held (librdkafka issue
        4041); and one that asks for committed offsets there is not answered.
        """
        with suppress(KafkaException):  # a client that has failed: what it failed of was told where it was met
            self._consumer.unsubscribe()
        deadline = time.monotonic() + LEAVE_WITHIN_S
        while self._consumer.consume(MAX_DISCARDED, LEAVE_WAIT_S) or self._consumer.assignment():
            if time.monotonic() > deadline:
                break

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        starts = self._assignment.assigned(_named(partitions))
        self._consumer.incremental_assign([TopicPartition(*partition, offset) for partition, offset in starts.items()])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.revoked(_named(partitions))

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.lost(_named(partitions))

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None and error.code() in NOT_ALLOWED:
            self._not_allowed = error
        for p in partitions:
            if error is None and p.error is None:
                self._commit_answers.confirmed[p.topic, p.partition] = p.offset
            else:
                self._commit_answers.refused.append((p.topic, p.partition))


OUT_OF_RANGE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


def _named(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(p.topic, p.partition) for p in partitions]


def bounds(consumer: Consumer, partition: Partition, within_s: float) -> tuple[int, int]:
    """The first offset that the broker still has, and the one that the next record will get. Raises `TextstreamError`."""
    try:
        return consumer.get_watermark_offsets(TopicPartition(*partition), timeout=within_s)
    except KafkaException as error:
        raise classified(error.args[0], f"asking for the first and last offset of {partition[0]}-{partition[1]}") from None


def offset_at(consumer: Consumer, partition: Partition, timestamp_ms: int, within_s: float) -> int:
    """The first offset at or after a time; where there is none the next record's. Raises `TextstreamError`."""
    try:
        (found,) = consumer.offsets_for_times([TopicPartition(*partition, timestamp_ms)], timeout=within_s)
    except KafkaException as error:
        raise classified(error.args[0], f"asking for an offset of {partition[0]}-{partition[1]} by time") from None
    if found.error is not None:
        raise classified(found.error, f"asking for an offset of {partition[0]}-{partition[1]} by time")
    return found.offset if found.offset >= 0 else bounds(consumer, partition, within_s)[1]


def read_record(message: Message, position: Position) -> Record:
    """A message as a record, with what kept the client from reading it whole."""
    headers: tuple[Header, ...] = ()
    fault = None
    try:
        headers = tuple(cast("list[Header]", _headers(message) or []))
    except (UnicodeDecodeError, SystemError) as error:
        reason = error if isinstance(error, UnicodeDecodeError) else error.__cause__
        if not isinstance(reason, UnicodeDecodeError):
            raise
        fault = Poison("bad_headers", "decode", f"a header's key is not UTF-8: {reason}")
    _, timestamp_ms = message.timestamp()
    return Record(position, message.value(), message.key(), headers, timestamp_ms, fault)


def raise_unless_passing(error: KafkaError) -> None:
    """librdkafka mends most of its errors by itself: those are logged, the others stop the worker."""
    found = classified(error, "reading")
    if not isinstance(found, Transient):
        raise found
    log.warning("consumer_error", why=str(found))
