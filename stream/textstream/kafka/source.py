"""Reading: one consumer-group member. Messages become records; rebalances are handed to the worker."""

from collections.abc import Iterable, Mapping, Sequence
from operator import methodcaller
from typing import NamedTuple, Protocol, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from textstream.core.offsets import TopicPartition as Partition
from textstream.core.record import Header, Position, Record
from textstream.errors import Poison, Transient
from textstream.kafka.client import classified, logger, opened, properties
from textstream.settings import Input, Kafka

COMMITTED_TIMEOUT_S = 5.0
"""Longest wait for the group's committed offsets; without them lag is unknown until the first commit."""

OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "partition.assignment.strategy": "cooperative-sticky",
    # A full prefetch queue is looked at again after 10 ms; librdkafka's 1,000 ms leaves the model idle.
    "fetch.queue.backoff.ms": 10,
    # Prefetched values of all partitions together, in KiB: bounds memory, still seconds of work.
    "queued.max.messages.kbytes": 32_768,
}

# To be called once only: after it has raised, a second call has crashed the interpreter (confluent-kafka 2.16). Where the
# last header's key is not UTF-8 the client returns a list and leaves an exception set beside it, which the interpreter's
# fast path for methods raises at some later call; `methodcaller` has it raised here, as a SystemError.
_headers = methodcaller("headers")


class Assignment(Protocol):
    """What the worker does when partitions come and go, on the polling thread, inside `Source.poll`."""

    def assigned(self, committed: Mapping[Partition, int | None]) -> None:
        """These are ours now, with the group's committed offsets (None: unknown or none yet)."""
        ...

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Finish, commit, let go."""
        ...

    def lost(self, partitions: Sequence[Partition]) -> None:
        """Somebody else owns these already: never commit."""
        ...

    def epoch_of(self, partition: Partition) -> int | None:
        """The assignment's epoch of a partition, None where it is not ours."""
        ...


class Polled(NamedTuple):
    """What one poll gave: records, and the ends of partitions that were reached behind them."""

    records: list[Record]
    ends: list[Position]


class CommitAnswers(NamedTuple):
    """What the group's coordinator said to commits: the next offsets that stand, the partitions whose commit was refused."""

    confirmed: dict[Partition, int]
    refused: list[Partition]


class Source:
    """A member of the consumer group."""

    def __init__(self, kafka: Kafka, reading: Input, assignment: Assignment, *, replays: Iterable[str] = ()) -> None:
        own = {**OURS, "group.id": kafka.group_id, "auto.offset.reset": reading.start, "on_commit": self._on_commit}
        self._consumer = opened(Consumer, properties(kafka, own, kafka.consumer))
        self._assignment = assignment
        self._commit_answers = CommitAnswers({}, [])
        self._replays = frozenset(replays)
        self._consumer.subscribe(
            [*reading.topics, *self._replays], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """What has been fetched, at most `max_records`; waits up to `timeout_s` for the first. Rebalances happen in here.

        `consume` with a timeout would wait for `max_records`, so it is asked without one first.
        """
        messages = self._consumer.consume(max_records, 0) or self._consumer.consume(1, timeout_s)
        polled = Polled([], [])
        for message in messages:
            error = message.error()
            at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
            if error is not None and not at_end:
                _raise_unless_passing(error)
            elif (position := self._position(message)) is None:
                continue  # fetched before the partition was taken from us
            elif at_end:
                polled.ends.append(position)
            else:
                polled.records.append(read_record(message, position))
        return polled

    def _position(self, message: Message) -> Position | None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None and partition is not None and offset is not None, "a message without a position"
        epoch = self._assignment.epoch_of((topic, partition))
        return None if epoch is None else Position(topic, partition, offset, epoch)

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Fetch no more of these; what was prefetched is thrown away."""
        self._consumer.pause([TopicPartition(*partition) for partition in partitions])

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch them again."""
        self._consumer.resume([TopicPartition(*partition) for partition in partitions])

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Ask for a commit of these next offsets; a later `take_commit_answers` tells what became of it."""
        asked = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        self._consumer.commit(offsets=asked, asynchronous=True)

    def take_commit_answers(self) -> CommitAnswers:
        """The answers to commits that came in, inside `poll`, since the last call."""
        answers, self._commit_answers = self._commit_answers, CommitAnswers({}, [])
        return answers

    def committed(self, partitions: Iterable[Partition], within_s: float) -> dict[Partition, int]:
        """The next offsets that the group holds for these; nothing for those that it has none for, or does not tell in time.

        May be asked inside a rebalance too. The question follows all commits on the one connection to the coordinator, which
        answers in order: so it tells what became of them. (A commit that waits for its own answer knows no limit, and without
        a coordinator takes as long as a session. Another thread cannot wait for it: while a rebalance runs on the polling
        thread, confluent-kafka 2.16 lets no other one into the client.)
        """
        return {(p.topic, p.partition): p.offset for p in self._told(partitions, within_s) if p.offset >= 0}

    def _told(self, partitions: Iterable[Partition], within_s: float) -> list[TopicPartition]:
        """The group's answer for each of these, a negative offset where it holds none; nothing when it does not answer."""
        try:
            told = self._consumer.committed([TopicPartition(*partition) for partition in partitions], timeout=within_s)
        except KafkaException as error:
            logger.warning("committed offsets unknown: %s", error.args[0].str())
            return []
        return [p for p in told if p.error is None]

    def end_offset(self, partition: Partition) -> int | None:
        """The partition's end as of the last fetch, or None while nothing was fetched."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        return high if high >= 0 else None

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        ours = _named(partitions)
        told = {(p.topic, p.partition): p.offset for p in self._told(ours, COMMITTED_TIMEOUT_S)}
        self._assignment.assigned({partition: told[partition] if told.get(partition, -1) >= 0 else None for partition in ours})
        for p in partitions:
            if p.topic in self._replays and told.get((p.topic, p.partition), 0) < 0:
                p.offset = OFFSET_BEGINNING  # what was replayed is to be scored, also where input.start is `latest`
        self._consumer.incremental_assign(partitions)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.revoked(_named(partitions))

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.lost(_named(partitions))

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            if error is None and p.error is None:
                self._commit_answers.confirmed[p.topic, p.partition] = p.offset
            else:
                self._commit_answers.refused.append((p.topic, p.partition))


def _named(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(p.topic, p.partition) for p in partitions]


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


def _raise_unless_passing(error: KafkaError) -> None:
    """librdkafka mends most of its errors by itself: those are logged, the others stop the worker."""
    found = classified(error, "reading")
    if not isinstance(found, Transient):
        raise found
    logger.warning("%s", found)
