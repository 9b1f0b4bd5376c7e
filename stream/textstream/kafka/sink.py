"""Writing: an idempotent producer. Outcomes go out, acknowledgements come back as values."""

from collections import deque
from functools import partial
from typing import NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from textstream.core.process import Prepared
from textstream.core.record import Outcome
from textstream.errors import Fatal, Misconfigured, TextstreamError
from textstream.kafka.client import classified, logger, opened, properties
from textstream.kafka.topics import Pipeline
from textstream.settings import Kafka

BY_KEY = -1
"""librdkafka's RD_KAFKA_PARTITION_UA: the partitioner chooses."""

LIBRDKAFKA_MAX_BYTES = 1_000_000_000
"""The most that its `message.max.bytes` may be; a topic may take more."""

OURS = {
    "acks": "all",
    "enable.idempotence": True,
    # For ever: an outage fills the in-flight budget and the worker waits; giving up would lose the order.
    "delivery.timeout.ms": 0,
    "partitioner": "murmur2_random",
    "queue.buffering.max.messages": 1_000_000,
    # A batch waits this long for more; the micro-batch before it has already gathered them.
    "linger.ms": 1,
}


class Report(NamedTuple):
    """What the broker said of one outcome, `latency_s` seconds after it was handed to the client."""

    item: Prepared
    outcome: Outcome
    error: KafkaError | None
    latency_s: float = 0.0


class Sink:
    """Publishes outcomes of a pipeline, in the order given for each partition."""

    def __init__(self, kafka: Kafka, pipeline: Pipeline) -> None:
        limits = [limit.max_message_bytes for route in pipeline.routes.values() for limit in (route.enriched, route.dead)]
        sizes = {
            "message.max.bytes": min(max(1_000_000, *limits), LIBRDKAFKA_MAX_BYTES),
            "batch.size": min(1_000_000, *limits),
        }
        own = {**OURS, **sizes, "error_cb": self._on_error}
        self._producer = opened(Producer, properties(kafka, own, kafka.producer))
        self._reports: deque[Report] = deque()
        self._fatal: KafkaError | None = None
        self._topics = {}
        for one in pipeline.topics:
            count = pipeline.partitions[one.input]
            for kind, name in (("enriched", one.enriched), ("tombstone", one.enriched), ("dead", one.dead)):
                to = (name, count if pipeline.partitions[name] == count else 0)
                # A record of the replay topic that is no replay has itself for its source.
                self._topics[one.input, kind] = self._topics[one.replay, kind] = to

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """Hand an outcome to the client; False when its queue is full: serve `reports` and try again."""
        position = outcome.record.source
        # 0 kept partitions: the counts differ, so the key decides.
        name, kept_partitions = self._topics[position.topic, outcome.kind]
        try:
            self._producer.produce(
                name,
                outcome.value,
                outcome.record.key,
                position.partition if position.partition < kept_partitions else BY_KEY,
                on_delivery=partial(self._on_delivery, item, outcome),
                timestamp=outcome.timestamp_ms,
                headers=cast("list[tuple[str, str | bytes | None]]", outcome.headers),
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise refused(Report(item, outcome, error.args[0])) from None
        return True

    def reports(self, timeout_s: float = 0) -> list[Report]:
        """The acknowledgements since the last call; waits up to `timeout_s` for the first. Raises `Fatal`."""
        self._producer.poll(timeout_s)
        if self._fatal is not None:
            raise classified(self._fatal, "writing")
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def close(self) -> None:
        """Drop what is still queued: it is not committed, so it will be read and scored again."""
        self._producer.purge(in_flight=False)

    def _on_delivery(self, item: Prepared, outcome: Outcome, error: KafkaError | None, message: Message) -> None:
        self._reports.append(Report(item, outcome, error, message.latency() or 0.0))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error
        else:
            logger.warning("producer: %s", error.str())


def refused(report: Report) -> TextstreamError:
    """Why the broker did not take an outcome. librdkafka retries what can be retried for ever, so what it reports is final."""
    error, position = report.error, report.outcome.record.source
    assert error is not None
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD):
        # Of the whole batch, so which record it was cannot be told; with the limits read anew, it can before producing.
        return Misconfigured(
            f"the broker refused the outcome of {position.id} ({error.str()}): its topic's limits have changed or may not"
            " be read; allow DescribeConfigs on the output topics and restart"
        )
    found = classified(error, f"writing the outcome of {position.id}")
    return found if isinstance(found, Misconfigured) else Fatal(f"{found}; a restart scores it again")
