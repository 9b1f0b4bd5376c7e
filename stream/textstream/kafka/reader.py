"""Reading partitions that are assigned by hand: for looking. It joins no group and commits nothing."""

from collections.abc import Iterable, Mapping
from typing import Self

from confluent_kafka import Consumer, Message, TopicPartition

from textstream.core.offsets import TopicPartition as Partition
from textstream.core.record import Position
from textstream.kafka.client import opened, properties
from textstream.kafka.source import bounds, offset_at
from textstream.kafka.topics import REQUEST_TIMEOUT_S
from textstream.settings import Kafka

MAX_RECORDS = 500
"""Most records taken from the client at once."""
WAIT_S = 0.1
"""Longest wait for a record: bounds how late a stop is noticed."""

OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # Prefetched values of all partitions together, in KiB: bounds memory.
    "queued.max.messages.kbytes": 16_384,
}


class Reader:
    """Errors are those of `textstream.errors`; what passes is logged."""

    def __init__(self, kafka: Kafka, own: Mapping[str, object]) -> None:
        # The group's name is needed to make a client, and never used.
        config = {**OURS, "group.id": kafka.group_id, **own}
        self._consumer = opened(Consumer, properties(kafka, config, kafka.consumer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that the broker has, and the one that the next record will get."""
        return bounds(self._consumer, partition, REQUEST_TIMEOUT_S)

    def offset_at(self, partition: Partition, timestamp_ms: int) -> int:
        """The first offset at or after a time; where there is none, the one that the next record will get."""
        return offset_at(self._consumer, partition, timestamp_ms, REQUEST_TIMEOUT_S)

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these from there on, and no others."""
        self._consumer.assign([TopicPartition(*partition, offset) for partition, offset in offsets.items()])

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Read no more of these."""
        self._consumer.pause([TopicPartition(*partition) for partition in partitions])

    def take(self, most: int = MAX_RECORDS) -> list[Message]:
        """What has come; waits up to `WAIT_S` for the first. Among it stands what the client says of a partition."""
        return self._consumer.consume(most, 0) or self._consumer.consume(1, WAIT_S)


def position(message: Message) -> Position:
    """Where a message stands."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    return Position(topic or "", -1 if partition is None else partition, -1 if offset is None else offset, epoch=0)
