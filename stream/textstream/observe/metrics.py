"""Every metric, declared once: METRICS.md and the dashboards' test read this file's declarations.

Names follow Prometheus: base units (seconds, bytes), `_total` for counters. No label takes its values from messages.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from textstream.core.offsets import TopicPartition
from textstream.event import ModelInfo

# Powers of about two around what a worker does: batches of 1 to 4,096 messages, 16 to 65,536 tokens.
MESSAGES_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
TOKENS_BUCKETS = (16, 64, 256, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536)
# One pass of a stage takes 50 µs for one short message and seconds for a large batch of a large model.
STAGE_BUCKETS = (0.00005, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# The objective is tens of milliseconds; a backlog is minutes to hours old.
END_TO_END_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600)


class Metrics:
    """The worker's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.records_polled = Counter(
            "textstream_records_polled", "Records taken from the input topic.", ["topic"], registry=self.registry
        )
        self.outcomes = Counter(
            "textstream_outcomes",
            "Outcomes acknowledged by the broker: enriched, tombstone or dead, with the dead letter's reason.",
            ["topic", "outcome", "reason"],
            registry=self.registry,
        )
        self.stale_records = Counter(
            "textstream_stale_records",
            "Records dropped before publishing because their partition had moved; its new owner scores them.",
            registry=self.registry,
        )
        self.batch_messages = Histogram(
            "textstream_batch_messages", "Messages in a micro-batch.", buckets=MESSAGES_BUCKETS, registry=self.registry
        )
        self.batch_tokens = Histogram(
            "textstream_batch_tokens", "Tokens in a micro-batch.", buckets=TOKENS_BUCKETS, registry=self.registry
        )
        self.batch_tokens_limit = Gauge(
            "textstream_batch_tokens_limit",
            "Most tokens of a micro-batch at present: batch.max_tokens, less where memory ran out.",
            registry=self.registry,
        )
        self.batches = Counter(
            "textstream_batches",
            "Micro-batches by the limit that closed them: messages, tokens, age or flush.",
            ["closed_by"],
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "textstream_stage_seconds",
            "Time of one pass of a stage: prepare (decode, tokenise), wait (for the model), score (infer, enrich,"
            " encode) of a batch, deliver (from produce to acknowledgement) of a message.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.end_to_end_seconds = Histogram(
            "textstream_end_to_end_seconds",
            "From the producer's timestamp to the broker's acknowledgement of the outcome.",
            buckets=END_TO_END_BUCKETS,
            registry=self.registry,
        )
        self.in_flight_messages = Gauge(
            "textstream_in_flight_messages", "Messages between poll and acknowledgement.", registry=self.registry
        )
        self.in_flight_bytes = Gauge(
            "textstream_in_flight_bytes", "Bytes of values between poll and acknowledgement.", registry=self.registry
        )
        self.in_flight_tokens = Gauge(
            "textstream_in_flight_tokens", "Tokens between poll and acknowledgement.", registry=self.registry
        )
        self.lag_messages = Gauge(
            "textstream_lag_messages",
            "Messages between what may be committed and the partition's end; absent while unknown.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self._shown_lag: set[TopicPartition] = set()
        self.assigned_partitions = Gauge(
            "textstream_assigned_partitions", "Partitions that this worker owns.", registry=self.registry
        )
        self.rebalances = Counter(
            "textstream_rebalances",
            "Changes of the assignment: assigned, revoked or lost.",
            ["event"],
            registry=self.registry,
        )
        self.pauses = Counter(
            "textstream_pauses", "Times that fetching was paused by a full in-flight budget.", registry=self.registry
        )
        self.commits = Counter(
            "textstream_commits", "Offset commits by result: requested or failed.", ["result"], registry=self.registry
        )
        self.aborted_transactions = Counter(
            "textstream_aborted_transactions",
            "Transactions taken back under exactly-once; what they held is scored again.",
            registry=self.registry,
        )
        self.skipped_records = Counter(
            "textstream_skipped_records",
            "Records that were gone before they were read, under input.on_skip = continue.",
            ["topic"],
            registry=self.registry,
        )
        self.log_lines_suppressed = Counter(
            "textstream_log_lines_suppressed",
            "Log lines beyond observe.log_lines_per_minute, by event name.",
            ["event"],
            registry=self.registry,
        )
        self.breaker_open = Gauge(
            "textstream_breaker_open",
            "1 once too many outcomes were dead letters: nothing more is read until a restart.",
            registry=self.registry,
        )
        self.ready = Gauge("textstream_ready", "1 once the model is warm and the worker reads.", registry=self.registry)
        self.model_info = Gauge(
            "textstream_model_info", "The model that scores; always 1.", ["name", "version", "digest"], registry=self.registry
        )

    def show_model(self, model: ModelInfo) -> None:
        """Name the model that scores."""
        self.model_info.labels(**model).set(1)

    def show_lag(self, lag: Mapping[TopicPartition, int]) -> None:
        """Set the known lags; every other partition's is absent from now on."""
        for (topic, partition), messages in lag.items():
            self.lag_messages.labels(topic, partition).set(messages)
        for topic, partition in self._shown_lag - lag.keys():
            self.lag_messages.remove(topic, str(partition))
        self._shown_lag = set(lag)
