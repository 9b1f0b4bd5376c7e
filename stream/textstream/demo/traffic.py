"""What surrounds the worker in the demo: a producer of messages, and a consumer of their outcomes like any team's downstream.

Each message carries its number in a header, which the worker passes through. So every outcome is told by its message, and
the demo can say that none is missing.
"""

from typing import Self

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from textstream.demo.stream import Stream
from textstream.errors import Fatal
from textstream.kafka.client import opened, properties
from textstream.kafka.embedded import PARTITIONS
from textstream.settings import Kafka

TOPIC = "reviews"
ENRICHED, DEAD = f"{TOPIC}.enriched", f"{TOPIC}.dead"
NUMBER = "demo.number"

MAX_IN_FLIGHT = 2_000
MAX_IN_FLIGHT_BYTES = 2 * 2**20
"""Messages without an outcome yet. The embedded broker forgets beyond 5 MB a partition, so the sender waits instead."""
MAX_READ = 500
"""Records taken in one turn, so that sending and drawing keep their pace."""
READ_WAIT_S = 0.01


class Sender:
    """Sends the stream's messages in a loop, and knows which have no outcome yet."""

    def __init__(self, stream: Stream, kafka: Kafka) -> None:
        self._stream = stream
        self._producer = opened(Producer, properties(kafka, {"linger.ms": 1}, {}))
        self._awaited: dict[bytes, int] = {}  # number, as in the header → size
        self._awaited_bytes = 0
        self.sent = 0

    @property
    def in_flight(self) -> int:
        """How many messages have no outcome yet."""
        return len(self._awaited)

    def send_due(self, elapsed_s: float) -> None:
        """Send what `rate` asks for by now, as far as the limits in flight allow."""
        due = min(int(elapsed_s * self._stream.rate) + 1, self._stream.count)
        while self.sent < due and self.in_flight < MAX_IN_FLIGHT and self._awaited_bytes < MAX_IN_FLIGHT_BYTES:
            self._send(self._stream.messages[self.sent % len(self._stream.messages)])
        self._producer.poll(0)

    def settle(self, number: bytes) -> bool:
        """This message has its outcome; False where it had one already."""
        size = self._awaited.pop(number, None)
        self._awaited_bytes -= size or 0
        return size is not None

    def _send(self, value: bytes) -> None:
        number = str(self.sent).encode()
        self._producer.produce(TOPIC, value, key=number, headers=[(NUMBER, number)])
        self._awaited[number] = len(value)
        self._awaited_bytes += len(value)
        self.sent += 1


class Reader:
    """A consumer of the enriched events and the dead letters."""

    def __init__(self, kafka: Kafka) -> None:
        own = {"group.id": "demo-reader", "enable.auto.commit": False}
        self._consumer = opened(Consumer, properties(kafka, own, kafka.consumer))

    def __enter__(self) -> Self:
        # Assigned rather than subscribed: a lone reader needs no group, and a new group would wait 3 s.
        self._consumer.assign(
            [TopicPartition(topic, partition, 0) for topic in (ENRICHED, DEAD) for partition in range(PARTITIONS)]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self) -> list[Message]:
        """What has come, at most `MAX_READ`; waits up to `READ_WAIT_S` for the first."""
        messages = self._consumer.consume(MAX_READ, 0) or self._consumer.consume(1, READ_WAIT_S)
        for message in messages:
            if (error := message.error()) is not None:
                raise Fatal(f"the demo's reader failed: {error.str()}")
        return messages
