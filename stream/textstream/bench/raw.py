"""The same stream without an engine: a loop over confluent-kafka that decodes, writes the event of `noop`, and commits.

    python -m textstream.bench.raw BROKERS INPUT OUTPUT GROUP [LINGER_MS]

It is the ceiling of the client in Python, not a worker: one bad message ends it, it waits for nothing and drains nothing.
"""

import signal
import sys
import time
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from textstream.bench.noop import INFO, analysis
from textstream.event import Source, enriched_event, event_id, rfc3339

BATCH = 1_000
WAIT_S = 0.1
COMMIT_S = 1.0
LABEL = b"neutral"
# The backoff as a worker has it: with librdkafka's second the loop would wait for records that are there.
READING: dict[str, Any] = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "fetch.queue.backoff.ms": 10}
WRITING: dict[str, Any] = {"enable.idempotence": True, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
MODEL = f"{INFO['name']}/{INFO['version']}@{INFO['digest']}".encode()


def run(consumer: Consumer, producer: Producer, topic: str) -> None:
    """Until SIGTERM."""
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    committed_at = time.monotonic()
    while going:
        now_ms = time.time_ns() // 1_000_000
        first = consumer.poll(WAIT_S)
        for message in [] if first is None else [first, *consumer.consume(BATCH, 0)]:
            if message.error() is None:
                _publish(producer, topic, message, now_ms)
        producer.poll(0)
        if time.monotonic() - committed_at >= COMMIT_S:
            producer.flush()
            consumer.commit(asynchronous=True)
            committed_at = time.monotonic()
    producer.flush()
    _commit(consumer)
    consumer.close()


def _commit(consumer: Consumer) -> None:
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:  # all of it is committed already
            raise


def _publish(producer: Producer, output: str, message: Any, now_ms: int) -> None:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    text, timestamp_ms = orjson.loads(message.value())["text"], message.timestamp()[1]
    source = Source(topic=topic, partition=partition, offset=offset, timestamp=rfc3339(timestamp_ms))
    event = enriched_event(text, analysis(), model=INFO, source=source, processed_at=rfc3339(now_ms) or "")
    headers: list[tuple[str, str | bytes | None]] = [
        ("textstream.id", event_id(topic, partition, offset).encode()),
        ("textstream.source", f"{topic}/{partition}/{offset}".encode()),
        ("textstream.label", LABEL),
        ("textstream.model", MODEL),
        ("textstream.schema", b"1"),
    ]
    while True:
        try:
            producer.produce(
                output, orjson.dumps(event), message.key(), partition,
                on_delivery=_delivered, timestamp=timestamp_ms, headers=headers,
            )  # fmt: skip
            return
        except BufferError:
            producer.poll(0.01)


def _delivered(error: KafkaError | None, _: Message) -> None:
    if error is not None:
        raise RuntimeError(f"not delivered: {error}")


def main(brokers: str, topics: str, output: str, group: str, linger_ms: str = "5") -> None:
    """With clients of its own."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, **READING})
    consumer.subscribe(topics.split(","))
    run(consumer, Producer({"bootstrap.servers": brokers, **WRITING, "linger.ms": linger_ms}), output)


if __name__ == "__main__":
    main(*sys.argv[1:])
