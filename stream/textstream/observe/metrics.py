"""Every metric, declared once: METRICS.md and the dashboards' test read this file's declarations.

Names follow Prometheus: base units (seconds, bytes), `_total` for counters. No label takes its values from messages.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Generic, Literal, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from textstream.core.offsets import TopicPartition
from textstream.event import LABELS, ModelInfo
from textstream.quality import CONFIDENCE_BOUNDS, Computed, Quality

# Powers of about two around what a worker does: batches of 1 to 4,096 messages, 16 to 65,536 tokens.
MESSAGES_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
TOKENS_BUCKETS = (16, 64, 256, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536)
# One pass of a stage takes 50 µs for one short message and seconds for a large batch of a large model.
STAGE_BUCKETS = (0.00005, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# The objective is tens of milliseconds; a backlog is minutes to hours old.
END_TO_END_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600)

StageName = Literal["prepare", "score", "deliver", "commit"]
STAGES: tuple[StageName, ...] = ("prepare", "score", "deliver", "commit")


class BatchHistogram(Histogram):
    """A histogram that takes in what was counted of a whole batch."""

    def observe_counts(self, counts: Sequence[int], total: float) -> None:
        """So many values in each bucket, the one for all above the last bound included, which are `total` together."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)

    def observe_all(self, values: Sequence[float]) -> None:
        """Each of these. `observe` takes two locks and walks over the bounds for each, this one once for all."""
        ordered = sorted(values)
        ends = [bisect_right(ordered, bound) for bound in self._upper_bounds]
        self.observe_counts([end - begin for begin, end in pairwise([0, *ends])], sum(values))


M = TypeVar("M", bound=Counter | Gauge | Histogram)


class Declared(Generic[M]):
    """One metric: attribute `lag_seconds` of `Metrics` is `textstream_lag_seconds`, made anew for each `Metrics`.

    `shown_by` names the test that moves it.
    """

    def __init__(
        self,
        kind: Callable[..., M],
        meaning: str,
        labels: Sequence[str] = (),
        *,
        shown_by: str,
        buckets: Sequence[float] | None = None,
    ) -> None:
        self.shown_by = shown_by
        self._kind = kind
        self._meaning = meaning
        self._labels = labels
        self._options = {} if buckets is None else {"buckets": buckets}

    @overload
    def __get__(self, metrics: None, owner: type) -> "Declared[M]": ...
    @overload
    def __get__(self, metrics: object, owner: type) -> M: ...
    def __get__(self, metrics: object, owner: type) -> "Declared[M] | M":
        return self  # each `Metrics` has its own in its place

    def made(self, attribute: str, registry: CollectorRegistry) -> M:
        """The metric, in a registry."""
        return self._kind(f"textstream_{attribute}", self._meaning, self._labels, registry=registry, **self._options)


class Metrics:
    """The worker's metrics in a registry of their own."""

    # ---- the path of a message

    records_polled = Declared(
        Counter, "Records taken from the input topic.", ["topic"], shown_by="test_each_stage_counts_what_goes_in_and_out"
    )
    outcomes = Declared(
        Counter,
        "Outcomes acknowledged by the broker: enriched, tombstone or dead, with the dead letter's reason.",
        ["topic", "outcome", "reason"],
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    stale_records = Declared(
        Counter,
        "Records dropped before publishing because their partition had moved; its new owner scores them.",
        shown_by="test_what_is_stale_leaves_its_stage_too",
    )
    stage_in_messages = Declared(
        Counter,
        "Messages that came to a stage: prepare (decode, tokenise), score (wait for a batch and for the model; infer, enrich,"
        " encode), deliver (produce, until acknowledged), commit (until the group holds the offset).",
        ["stage"],
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    stage_out_messages = Declared(
        Counter,
        "Messages that left a stage, those that were dropped as stale among them.",
        ["stage"],
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    stage_in_progress_messages = Declared(
        Gauge,
        "Messages in a stage now; prepare, score and deliver are all that is in flight.",
        ["stage"],
        shown_by="test_a_stage_that_is_stuck_shows_what_it_holds",
    )
    stage_progress_timestamp_seconds = Declared(
        Gauge,
        "Unix time at which a stage last finished anything, or the worker began to read.",
        ["stage"],
        shown_by="test_a_stage_that_is_stuck_shows_what_it_holds",
    )
    stage_seconds = Declared(
        BatchHistogram,
        "Time of one pass of a stage: prepare (decode, tokenise), wait (for the model), score (infer, enrich,"
        " encode) of a batch, deliver (from produce to acknowledgement) of a message.",
        ["stage"],
        buckets=STAGE_BUCKETS,
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    end_to_end_seconds = Declared(
        BatchHistogram,
        "From the producer's timestamp until the outcome stands: to the broker's acknowledgement, under exactly-once to the"
        " commit of its transaction.",
        buckets=END_TO_END_BUCKETS,
        shown_by="test_end_to_end_latency_ends_where_the_outcome_stands",
    )
    retries = Declared(
        Counter,
        "What was tried again: startup (the broker was not there), scoring (a batch, or a part of one, in halves), commit"
        " (of an offset that was refused), transaction (taken back, and read again).",
        ["what"],
        shown_by="test_each_kind_of_retry_is_counted",
    )

    # ---- batches, the in-flight budget

    batch_messages = Declared(
        Histogram,
        "Messages in a micro-batch.",
        buckets=MESSAGES_BUCKETS,
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    batch_tokens = Declared(
        Histogram,
        "Tokens in a micro-batch.",
        buckets=TOKENS_BUCKETS,
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    batch_tokens_limit = Declared(
        Gauge,
        "Most tokens of a micro-batch at present: batch.max_tokens, less where memory ran out.",
        shown_by="test_batches_shrink_where_memory_runs_out",
    )
    batches = Declared(
        Counter,
        "Micro-batches by what closed them: messages, tokens, age, an idle model, or flush.",
        ["closed_by"],
        shown_by="test_each_stage_counts_what_goes_in_and_out",
    )
    in_flight_messages = Declared(
        Gauge, "Messages between poll and acknowledgement.", shown_by="test_a_stage_that_is_stuck_shows_what_it_holds"
    )
    in_flight_bytes = Declared(
        Gauge,
        "Bytes of keys, values and headers between poll and acknowledgement.",
        shown_by="test_a_stage_that_is_stuck_shows_what_it_holds",
    )
    in_flight_tokens = Declared(
        Gauge, "Tokens between poll and acknowledgement.", shown_by="test_a_stage_that_is_stuck_shows_what_it_holds"
    )
    in_flight_limit = Declared(
        Gauge,
        "Most that may be in flight, by unit: messages, bytes or tokens (delivery.max_in_flight_…).",
        ["unit"],
        shown_by="test_a_stage_that_is_stuck_shows_what_it_holds",
    )
    pauses = Declared(
        Counter,
        "Times that fetching was paused by a full in-flight budget.",
        shown_by="test_a_blocked_scorer_is_waited_for_in_bounds_and_not_for_ever",
    )

    # ---- partitions, offsets

    lag_messages = Declared(
        Gauge,
        "Messages between what may be committed and the partition's end; absent while unknown.",
        ["topic", "partition"],
        shown_by="test_lag_is_told_in_messages_and_in_seconds",
    )
    lag_seconds = Declared(
        Gauge,
        "How long the oldest message has waited that may not be committed yet: since the producer's timestamp once it is read,"
        " before that since its partition was first seen to hold it; 0 when caught up, absent while unknown.",
        ["topic", "partition"],
        shown_by="test_lag_is_told_in_messages_and_in_seconds",
    )
    position_offset = Declared(
        Gauge,
        "Next offset that may be committed. Where it stands still while there is lag, the partition is stalled.",
        ["topic", "partition"],
        shown_by="test_lag_is_told_in_messages_and_in_seconds",
    )
    assigned_partitions = Declared(
        Gauge, "Partitions that this worker owns.", shown_by="test_lag_is_told_in_messages_and_in_seconds"
    )
    rebalances = Declared(
        Counter,
        "Changes of the assignment: assigned, revoked or lost.",
        ["event"],
        shown_by="test_what_is_stale_leaves_its_stage_too",
    )
    commits = Declared(
        Counter, "Offset commits by result: requested or failed.", ["result"], shown_by="test_each_kind_of_retry_is_counted"
    )
    aborted_transactions = Declared(
        Counter,
        "Transactions taken back under exactly-once; what they held is scored again.",
        shown_by="test_after_an_abort_everything_is_read_again",
    )
    skipped_records = Declared(
        Counter,
        "Records that were gone before they were read, under input.on_skip = continue.",
        ["topic"],
        shown_by="test_retention_that_overtakes_is_counted",
    )

    # ---- what the texts are like; counted as they are scored, so what is read again counts again

    text_messages = Declared(
        Counter,
        "Texts scored, by language: one that the model supports, or other.",
        ["language"],
        shown_by="test_texts_are_counted_by_what_they_are_like",
    )
    sentiment = Declared(
        Counter,
        "Texts by language and label.",
        ["language", "label"],
        shown_by="test_texts_are_counted_by_what_they_are_like",
    )
    confidence = Declared(
        BatchHistogram,
        "Probability of the label that was given.",
        ["language"],
        buckets=CONFIDENCE_BOUNDS,
        shown_by="test_texts_are_counted_by_what_they_are_like",
    )
    text_truncated = Declared(
        Counter,
        "Texts longer than the model reads.",
        ["language"],
        shown_by="test_texts_are_counted_by_what_they_are_like",
    )
    text_tokens = Declared(
        Counter, "Tokens of the texts.", ["language"], shown_by="test_texts_are_counted_by_what_they_are_like"
    )
    text_unknown_tokens = Declared(
        Counter,
        "Tokens that the model's vocabulary lacks: all of a text in a language that it has no vocabulary for.",
        ["language"],
        shown_by="test_texts_are_counted_by_what_they_are_like",
    )
    key_terms = Declared(
        Counter,
        "Key terms found, by kind: phrase, aspect or entity.",
        ["kind"],
        shown_by="test_texts_are_counted_by_what_they_are_like",
    )
    drift_psi = Declared(
        Gauge,
        "Population stability index of the last 2,000 messages of a language against the bundle's reference: of sentiment,"
        " confidence, length and unknown words; of all messages (all) that of language. Below 0.1 nothing shifted, above 0.25"
        " the messages are others. Absent before, and where the bundle has no reference.",
        ["feature", "language"],
        shown_by="test_a_worker_tells_when_messages_are_others",
    )

    # ---- the model, the process

    model_tokens = Declared(
        Counter,
        "Tokens that model passes computed: words, or word pieces where the model reads those.",
        shown_by="test_padding_is_counted_beside_what_is_computed",
    )
    model_padding_tokens = Declared(
        Counter,
        "Padding that model passes computed beside the tokens.",
        shown_by="test_padding_is_counted_beside_what_is_computed",
    )
    remembered_messages = Declared(
        Counter,
        "Messages whose text had come before and was not scored again (`model.remember_texts`).",
        shown_by="test_texts_that_needed_no_pass_are_counted",
    )
    model_info = Declared(
        Gauge,
        "The model that scores; always 1.",
        ["name", "version", "digest"],
        shown_by="test_a_stage_that_is_stuck_shows_what_it_holds",
    )
    log_lines_suppressed = Declared(
        Counter,
        "Log lines beyond observe.log_lines_per_minute, by event name.",
        ["event"],
        shown_by="test_suppressed_lines_are_counted_and_summed_up",
    )
    breaker_open = Declared(
        Gauge,
        "1 once too many outcomes were dead letters: nothing more is read until a restart.",
        shown_by="test_it_holds_until_a_restart",
    )
    ready = Declared(
        Gauge,
        "1 once the model is warm and the worker reads.",
        shown_by="test_a_stage_that_is_stuck_shows_what_it_holds",
    )

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector):  # process_*, python_info
            collector(registry=self.registry)
        for attribute, metric in declarations().items():
            setattr(self, attribute, metric.made(attribute, self.registry))
        self.stages: Mapping[StageName, Stage] = {name: Stage(self, name) for name in STAGES}
        self._shown: dict[Gauge, set[TopicPartition]] = {}

    def show_model(self, model: ModelInfo) -> None:
        """Name the model that scores."""
        self.model_info.labels(**model).set(1)

    def show(self, gauge: Gauge, values: Mapping[TopicPartition, float]) -> None:
        """Set a gauge where its value is known; that of every other partition is absent from now on."""
        for partition, value in values.items():
            gauge.labels(*partition).set(value)
        for topic, number in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(topic, str(number))
        self._shown[gauge] = set(values)

    def count(self, quality: Quality, computed: Computed) -> None:
        """The texts of a batch, and what passes computed for them."""
        for language, texts in quality.languages.items():
            self.text_messages.labels(language).inc(texts.messages)
            self.text_truncated.labels(language).inc(texts.truncated)
            self.text_tokens.labels(language).inc(texts.tokens)
            self.text_unknown_tokens.labels(language).inc(texts.unknown)
            self.confidence.labels(language).observe_counts(texts.bins["confidence"], texts.confidence_sum)
            for label, count in zip(LABELS, texts.bins["sentiment"], strict=True):
                self.sentiment.labels(language, label).inc(count)
        for kind, count in quality.key_terms.items():
            self.key_terms.labels(kind).inc(count)
        self.model_tokens.inc(computed.tokens)
        self.model_padding_tokens.inc(computed.padding)
        self.remembered_messages.inc(computed.remembered)


class Stage:
    """Messages in one stage of the path. Of one thread."""

    def __init__(self, metrics: Metrics, name: StageName) -> None:
        self.in_progress = 0
        self._in = metrics.stage_in_messages.labels(name)
        self._out = metrics.stage_out_messages.labels(name)
        self._in_progress = metrics.stage_in_progress_messages.labels(name)
        self._progress = metrics.stage_progress_timestamp_seconds.labels(name)

    def enter(self, messages: int) -> None:
        """So many came."""
        self.in_progress += messages
        self._in.inc(messages)
        self._in_progress.set(self.in_progress)

    def leave(self, messages: int, now_ms: int) -> None:
        """So many left, at this time."""
        if messages:
            self.in_progress -= messages
            self._out.inc(messages)
            self._in_progress.set(self.in_progress)
            self.began(now_ms)

    def began(self, now_ms: int) -> None:
        """Whatever there is to finish is finished later than this."""
        self._progress.set(now_ms / 1000)


def declarations() -> dict[str, Declared[Counter] | Declared[Gauge] | Declared[Histogram]]:
    """Every metric by its attribute."""
    return {name: metric for name, metric in vars(Metrics).items() if isinstance(metric, Declared)}
