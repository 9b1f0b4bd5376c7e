"""sentry-arroyo: RunTask, Produce, CommitOffsets, as its example transform_and_produce. It cannot set a record's time."""

import signal

import orjson
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import build_kafka_configuration, build_kafka_consumer_configuration
from arroyo.commit import CommitPolicy
from arroyo.processing.processor import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, ProcessingStrategyFactory, Produce, RunTask
from arroyo.types import Topic
from job import BROKERS, GROUP, INPUT, LINGER_MS, OUTPUT, chosen, enriched

analyse = chosen()


def enrich(message):
    """One message, to be written under its key."""
    value, decoded = message.value, orjson.loads(message.payload.value)
    timestamp_ms, at = int(value.timestamp.timestamp() * 1000), value.partition
    event, headers = enriched(analyse, decoded, at.topic.name, at.index, value.offset, timestamp_ms)
    return KafkaPayload(message.payload.key, orjson.dumps(event), headers)


class Enrich(ProcessingStrategyFactory[KafkaPayload]):
    """The steps for the partitions that are ours."""

    def __init__(self, producer):
        self._producer = producer

    def create_with_partitions(self, commit, partitions):
        """Made anew in each generation of the group."""
        return RunTask(enrich, Produce(self._producer, Topic(OUTPUT), CommitOffsets(commit), max_buffer_size=100_000))


if __name__ == "__main__":
    linger = {"linger.ms": LINGER_MS, "queue.buffering.max.messages": 1_000_000}
    producer = KafkaProducer(build_kafka_configuration(linger, bootstrap_servers=[BROKERS]), use_simple_futures=True)
    consumer = KafkaConsumer(build_kafka_consumer_configuration({}, GROUP, bootstrap_servers=[BROKERS]))
    policy = CommitPolicy(min_commit_frequency_sec=1, min_commit_messages=None)
    processor = StreamProcessor(consumer, Topic(INPUT), Enrich(producer), policy)
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    processor.run()
    producer.close()
