"""Reading for `textstream dlq`: without joining a group, and without committing anything."""

import threading
from collections.abc import Iterator, Sequence
from typing import Self

from confluent_kafka import KafkaError, Message

from textstream.core.offsets import TopicPartition as Partition
from textstream.core.record import Position, Record
from textstream.core.replay import DeadLetter, read_dead_letter, without_ours
from textstream.dlq.choice import Choice
from textstream.errors import Misconfigured, Transient
from textstream.kafka.client import MISSING
from textstream.kafka.reader import WAIT_S, Reader, position
from textstream.kafka.source import raise_unless_passing, read_record
from textstream.settings import Kafka

STALL_S = 60.0
"""Longest that nothing may come while something is still to come; longer than a broker takes to be replaced by another."""

GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError._PARTITION_EOF, KafkaError.OFFSET_OUT_OF_RANGE, *MISSING}
"""What the client says of a position where nothing stands any more."""


class Letters:
    """The dead letters of some topics: those of a choice, from where each partition begins to where it ends now.

    `ranges` holds the offsets to read of each partition that has any, `unfinished` those partitions whose end was not reached.
    """

    def __init__(self, kafka: Kafka, topics: Sequence[str], partitions: dict[str, int], choice: Choice) -> None:
        for topic in topics:
            if topic not in partitions:
                raise Misconfigured(f"topic {topic} does not exist: name one with dead letters, or correct output.dead_topic")
        most = max(partitions[topic] for topic in topics)
        if beyond := sorted(partition for partition in choice.partitions if partition >= most):
            raise Misconfigured(f"--partition {beyond[0]}: no topic of {', '.join(topics)} has it, name one of 0 to {most - 1}")
        self._reader = Reader(kafka, {"auto.offset.reset": "earliest"})
        self._choice = choice
        self.partitions = partitions
        found = {
            (topic, partition): choice.range_of(topic, partition, *self._reader.bounds((topic, partition)))
            for topic in topics
            for partition in range(partitions[topic])
        }
        self.ranges = {partition: (first, last) for partition, (first, last) in found.items() if first < last}
        self.unfinished = dict(self.ranges)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def read(self, stop: threading.Event) -> Iterator[DeadLetter]:
        """Each dead letter of the choice, in order for each partition; ends early on `stop`. Raises `TextstreamError`."""
        self._reader.assign({partition: first for partition, (first, _) in self.ranges.items()})
        idle_s = 0.0
        while self.unfinished and not stop.is_set():
            messages = self._reader.take()
            idle_s = 0.0 if messages else idle_s + WAIT_S
            if idle_s > STALL_S:
                raise Transient(f"nothing came of {', '.join(_ids(self.unfinished))} within {STALL_S:g} s")
            for message in messages:
                if stop.is_set():
                    return
                yield from self._letters(message)

    def _letters(self, message: Message) -> Iterator[DeadLetter]:
        """The dead letter of a message, where it is one of those to be read."""
        error, where = message.error(), position(message)
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise_unless_passing(error)
            return
        partition = (where.topic, where.partition)
        if partition not in self.unfinished:
            return
        _, last = self.unfinished[partition]
        if error is None and where.offset < last:
            letter = read_dead_letter(read_record(message, where))
            if self._choice.takes(letter):
                yield letter
        # A leader that was just elected may call an end what lies before it, until it knows what the old one acknowledged.
        if where.offset >= (last - 1 if error is None else last):
            del self.unfinished[partition]
            self._reader.pause([partition])


class Originals:
    """The producers' records, read again where they stand."""

    def __init__(self, kafka: Kafka) -> None:
        # One record is wanted at a time, so nothing is prefetched and an empty end is told at once.
        own = {"auto.offset.reset": "error", "queued.min.messages": 1, "fetch.wait.max.ms": 10}
        self._reader = Reader(kafka, own)

    def close(self) -> None:
        """Close the client."""
        self._reader.close()

    def of(self, letter: DeadLetter, stop: threading.Event) -> Record | None:
        """The record that a dead letter was cut from; None where it is gone, or on `stop`. Raises `TextstreamError`."""
        source = letter.original.position
        self._reader.assign({(source.topic, source.partition): source.offset})
        idle_s = 0.0
        while not stop.is_set():
            messages = self._reader.take(1)
            if not messages:
                idle_s += WAIT_S
                if idle_s > STALL_S:
                    raise Transient(f"the original of {source.id} did not come within {STALL_S:g} s")
            elif (error := messages[0].error()) is None:
                return _uncut(letter, read_record(messages[0], position(messages[0])))
            elif error.code() == KafkaError._PARTITION_EOF and position(messages[0]).offset < self._end_of(source):
                continue  # a leader that was just elected, as above
            elif error.code() in GONE:
                return None
            else:
                raise_unless_passing(error)
        return None

    def _end_of(self, source: Position) -> int:
        return self._reader.bounds((source.topic, source.partition))[1]


def _uncut(letter: DeadLetter, found: Record) -> Record | None:
    """The record that was found, unless it is another: after compaction, or where the topic was made anew."""
    original = letter.original
    is_it = (
        found.position == original.position
        and (found.value is None) == (original.value is None)
        and (found.value or b"").startswith(original.value or b"")
        and original.key in (None, found.key)
    )
    if not is_it:
        return None
    return Record(found.position, found.value, found.key, without_ours(found.headers, dead=False), original.timestamp_ms)


def _ids(partitions: dict[Partition, tuple[int, int]]) -> list[str]:
    return [f"{topic}-{partition}" for topic, partition in partitions]
