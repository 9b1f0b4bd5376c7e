"""Reading for `textstream dlq`: without joining a group, and without committing anything."""

import threading
from collections.abc import Iterator, Sequence
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from textstream.core.offsets import TopicPartition as Partition
from textstream.core.record import Position, Record
from textstream.core.replay import DeadLetter, read_dead_letter, without_ours
from textstream.dlq.choice import Choice
from textstream.errors import Misconfigured, Transient
from textstream.kafka.client import MISSING, classified, log, opened, properties
from textstream.kafka.source import read_record
from textstream.kafka.topics import REQUEST_TIMEOUT_S
from textstream.settings import Kafka

MAX_RECORDS = 500
"""Most records taken from the client at once."""
WAIT_S = 0.1
"""Longest wait for a record: bounds how late a stop is noticed."""
STALL_S = 60.0
"""Longest that nothing may come while something is still to come; longer than a broker takes to be replaced by another."""

OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # Prefetched values of all partitions together, in KiB: bounds memory.
    "queued.max.messages.kbytes": 16_384,
}
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
        self._consumer = _consumer(kafka, {"auto.offset.reset": "earliest"})
        self._choice = choice
        self.partitions = partitions
        found = {
            (topic, partition): choice.range_of(topic, partition, *self._watermarks(topic, partition))
            for topic in topics
            for partition in range(partitions[topic])
        }
        self.ranges = {partition: (first, last) for partition, (first, last) in found.items() if first < last}
        self.unfinished = dict(self.ranges)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, stop: threading.Event) -> Iterator[DeadLetter]:
        """Each dead letter of the choice, in order for each partition; ends early on `stop`. Raises `TextstreamError`."""
        self._consumer.assign([TopicPartition(*partition, first) for partition, (first, _) in self.ranges.items()])
        idle_s = 0.0
        while self.unfinished and not stop.is_set():
            messages = self._consumer.consume(MAX_RECORDS, 0) or self._consumer.consume(1, WAIT_S)
            idle_s = 0.0 if messages else idle_s + WAIT_S
            if idle_s > STALL_S:
                raise Transient(f"nothing came of {', '.join(_ids(self.unfinished))} within {STALL_S:g} s")
            for message in messages:
                if stop.is_set():
                    return
                yield from self._letters(message)

    def _letters(self, message: Message) -> Iterator[DeadLetter]:
        """The dead letter of a message, where it is one of those to be read."""
        error, position = message.error(), _position(message)
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            _raise_unless_passing(error)
            return
        partition = (position.topic, position.partition)
        if partition not in self.unfinished:
            return
        _, last = self.unfinished[partition]
        if error is None and position.offset < last:
            letter = read_dead_letter(read_record(message, position))
            if self._choice.takes(letter):
                yield letter
        if error is not None or position.offset >= last - 1:
            del self.unfinished[partition]
            self._consumer.pause([TopicPartition(*partition)])

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise classified(error.args[0], f"looking at {topic}, partition {partition}") from None


class Originals:
    """The producers' records, read again where they stand."""

    def __init__(self, kafka: Kafka) -> None:
        # One record is wanted at a time, so nothing is prefetched and an empty end is told at once.
        own = {"auto.offset.reset": "error", "queued.min.messages": 1, "fetch.wait.max.ms": 10}
        self._consumer = _consumer(kafka, own)

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()

    def of(self, letter: DeadLetter, stop: threading.Event) -> Record | None:
        """The record that a dead letter was cut from; None where it is gone, or on `stop`. Raises `TextstreamError`."""
        source = letter.original.position
        self._consumer.assign([TopicPartition(source.topic, source.partition, source.offset)])
        idle_s = 0.0
        while not stop.is_set():
            message = self._consumer.poll(WAIT_S)
            if message is None:
                idle_s += WAIT_S
                if idle_s > STALL_S:
                    raise Transient(f"the original of {source.id} did not come within {STALL_S:g} s")
            elif (error := message.error()) is None:
                return _uncut(letter, read_record(message, _position(message)))
            elif error.code() in GONE:
                return None
            else:
                _raise_unless_passing(error)
        return None


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


def _consumer(kafka: Kafka, own: dict[str, object]) -> Consumer:
    # The group's name is needed to make a client, and never used: partitions are assigned by hand.
    return opened(Consumer, properties(kafka, {**OURS, "group.id": kafka.group_id, **own}, kafka.consumer))


def _position(message: Message) -> Position:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    return Position(topic or "", -1 if partition is None else partition, -1 if offset is None else offset, epoch=0)


def _raise_unless_passing(error: KafkaError) -> None:
    found = classified(error, "reading")
    if not isinstance(found, Transient):
        raise found
    log.warning("consumer_error", why=str(found))


def _ids(partitions: dict[Partition, tuple[int, int]]) -> list[str]:
    return [f"{topic}-{partition}" for topic, partition in partitions]
