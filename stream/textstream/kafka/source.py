"""Reading: one consumer-group member. Messages become records; rebalances are handed to the worker."""

import threading
from collections.abc import Mapping, Sequence
from operator import methodcaller
from typing import NamedTuple, Protocol, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

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


class Source:
    """A member of the consumer group."""

    def __init__(self, kafka: Kafka, reading: Input, assignment: Assignment) -> None:
        own = {**OURS, "group.id": kafka.group_id, "auto.offset.reset": reading.start, "on_commit": self._on_commit}
        self._consumer = opened(Consumer, properties(kafka, own, kafka.consumer))
        self._assignment = assignment
        self._failed_commits: list[Partition] = []
        self._consumer.subscribe(
            list(reading.topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
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
                polled.records.append(_record(message, position))
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
        """Ask for a commit of these next offsets; `take_failed_commits` tells which were refused."""
        self._consumer.commit(offsets=_with_offsets(offsets), asynchronous=True)

    def commit_now(self, offsets: Mapping[Partition, int], within_s: float) -> bool:
        """Commit and wait for the answer. False: not committed, so somebody will read on from before (at least once).

        While the coordinator is away librdkafka waits for as long as a session, beyond any drain limit: so it waits in a
        thread of its own, which is left behind when the time is up.
        """
        committed = threading.Event()

        def commit() -> None:
            try:
                done = self._consumer.commit(offsets=_with_offsets(offsets), asynchronous=False)
            except KafkaException as error:
                logger.warning("commit refused: %s", error.args[0].str())
                return
            if all(partition.error is None for partition in done):
                committed.set()

        thread = threading.Thread(target=commit, name="commit", daemon=True)
        thread.start()
        thread.join(within_s)
        return committed.is_set()

    def take_failed_commits(self) -> list[Partition]:
        """Partitions whose last commit without waiting was refused."""
        failed, self._failed_commits = self._failed_commits, []
        return failed

    def end_offset(self, partition: Partition) -> int | None:
        """The partition's end as of the last fetch, or None while nothing was fetched."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        return high if high >= 0 else None

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.assigned(self._committed(consumer, partitions))

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.revoked([(p.topic, p.partition) for p in partitions])

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.lost([(p.topic, p.partition) for p in partitions])

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        self._failed_commits += [(p.topic, p.partition) for p in partitions if error is not None or p.error is not None]

    def _committed(self, consumer: Consumer, partitions: list[TopicPartition]) -> dict[Partition, int | None]:
        unknown: dict[Partition, int | None] = {(p.topic, p.partition): None for p in partitions}
        try:
            known = consumer.committed(partitions, timeout=COMMITTED_TIMEOUT_S)
        except KafkaException as error:
            logger.warning("committed offsets unknown: %s", error.args[0].str())
            return unknown
        return unknown | {(p.topic, p.partition): p.offset for p in known if p.offset >= 0}


def _with_offsets(offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def _record(message: Message, position: Position) -> Record:
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
