"""The broker and its topics: one Kafka on cores of its own, one input for all, an output for each run."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.support.kafka import GivenKafka, JavaKafka, RealKafka, unique
from tests.support.reaper import Reaper
from tests.support.texts import message_values

DISTINCT = 200_000
"""Messages in a row before they come again: more words than anybody's table of words met so far holds."""
OUTPUT = {"retention.bytes": str(1 << 30), "segment.bytes": str(128 << 20), "file.delete.delay.ms": "1000"}
MAX_MESSAGE_BYTES = 16 << 20


class BenchKafka(JavaKafka):
    """One broker as it is run in earnest: with the optimising compiler and room for its requests."""

    java_options = ("-XX:TieredStopAtLevel=4", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:-UseSerialGC")


@contextlib.contextmanager
def kafka(reaper: Reaper) -> Iterator[RealKafka]:
    """A broker that inherits the cores of this process; the cluster of TEXTSTREAM_TEST_BOOTSTRAP where it is set."""
    given = os.environ.get("TEXTSTREAM_TEST_BOOTSTRAP")
    broker: RealKafka = GivenKafka(given) if given else BenchKafka(reaper)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def messages(count: int = DISTINCT) -> list[bytes]:
    """JSON messages with real texts; the bundled sample's bad ones are left out, for no peer has a way for them."""
    return [value for value in message_values(count) if _is_good(value)]


def _is_good(value: bytes) -> bool:
    try:
        return isinstance(orjson.loads(value)["text"], str)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False


def write_lines(values: Sequence[bytes], path: Path) -> Path:
    """One message a line."""
    path.write_bytes(b"\n".join(map(orjson.dumps, map(orjson.loads, values))))
    return path


def fill(broker: RealKafka, topic: str, values: Sequence[bytes], count: int, partitions: int) -> None:
    """The messages in a loop, without keys, to all partitions in turn."""
    config = {"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000}
    producer = Producer(config | {"batch.size": 1_000_000, "message.max.bytes": MAX_MESSAGE_BYTES})
    for number, value in enumerate(itertools.islice(itertools.cycle(values), count)):
        while True:
            try:
                producer.produce(topic, value, partition=number % partitions)
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(120) == 0, "the broker did not take the messages"


class Output:
    """The topics that one run writes to; they go with it."""

    def __init__(self, broker: RealKafka, name: str, partitions: int) -> None:
        self.name, self.partitions = unique(name), partitions
        self._broker = broker
        settings = {name.replace(".", "_"): value for name, value in OUTPUT.items()}
        broker.create_topic(self.name, partitions, **settings)
        broker.create_topic(f"{self.name}.dead", partitions)
        self._admin: AdminClient = broker.admin
        self._asked = {TopicPartition(self.name, partition): OffsetSpec.latest() for partition in range(partitions)}

    def ends(self) -> list[int]:
        """The end offset of each partition; transactions' markers count, some a second."""
        found = self._admin.list_offsets(self._asked, request_timeout=30)
        return [found[one].result().offset for one in self._asked]

    def count(self) -> int:
        """Messages that stand in it."""
        return sum(self.ends())

    def remove(self) -> None:
        """Make room."""
        for future in self._broker.admin.delete_topics([self.name, f"{self.name}.dead"]).values():
            future.result(timeout=30)
