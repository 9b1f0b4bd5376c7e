"""What the loop tells of itself as it turns: metrics, page, drift, traces. It reads the loop's state and changes none of it.

Lives on the polling thread. Where one counter says all, the worker and the delivery move that themselves.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textstream.core.batch import Batch, Budget
from textstream.core.offsets import Ledger
from textstream.core.ports import Clock, Pipeline, Scored, Source
from textstream.core.record import Outcome, Record
from textstream.drift import Drift, Reference
from textstream.event import ModelInfo
from textstream.observe.live import Live, Stood
from textstream.observe.metrics import Metrics
from textstream.settings import Delivery

if TYPE_CHECKING:  # it needs OpenTelemetry, and nothing else does
    from textstream.observe.tracing import Tracing

OBSERVE_INTERVAL_S = 1.0
"""Between two updates of lag and in-flight gauges: well below any scrape interval."""
SHOW_INTERVAL_S = 0.1
"""Between two hand-overs of what stands to the page, which draws once a second."""
SHOWN_AT_ONCE = 1_000
"""So many outcomes do not wait for that: they would only lie in memory."""
MAX_LOGGED_BYTES = 500
"""Most of a dead letter's value that a log line shows, under `privacy.log_text`."""


class Telemetry:
    """Called at each step of the path."""

    def __init__(
        self, metrics: Metrics, live: Live, clock: Clock, reference: Reference | None, tracing: "Tracing | None"
    ) -> None:
        self._metrics = metrics
        self._live = live
        self._clock = clock
        self._drift = Drift(reference)
        self._tracing = tracing
        self._observed_at = self._shown_at = clock.now()

    def opened(self, limits: Delivery, model: ModelInfo) -> None:
        """Reading begins: the gauges that no turn moves, or no turn yet."""
        for unit in ("messages", "bytes", "tokens"):
            self._metrics.in_flight_limit.labels(unit).set(getattr(limits, f"max_in_flight_{unit}"))
        for stage in self._metrics.stages.values():
            stage.began(self._clock.wall_ms())
        self._metrics.show_model(model)
        self._metrics.ready.set(1)

    def polled(self, records: Sequence[Record]) -> None:
        """These are to be prepared."""
        self._metrics.stages["prepare"].enter(len(records))
        for topic, count in Counter([record.position.topic for record in records]).items():
            self._metrics.records_polled.labels(topic).inc(count)

    def prepared(self, messages: int, started_at: float) -> None:
        """So many are, and wait for their batch."""
        self._metrics.stage_seconds.labels("prepare").observe(self._clock.now() - started_at)
        self._metrics.stages["prepare"].leave(messages, self._clock.wall_ms())
        self._metrics.stages["score"].enter(messages)

    def submitted(self, batch: Batch) -> None:
        """A batch is closed, and the scoring thread has it."""
        self._metrics.batches.labels(batch.closed_by).inc()
        self._metrics.batch_messages.observe(len(batch.items))
        self._metrics.batch_tokens.observe(batch.tokens)

    def scored(self, scored: Scored, pipeline: Pipeline) -> None:
        """What a batch took, what its texts were like, and whether they are what the model was measured on."""
        metrics, enriched = self._metrics, scored.enriched
        metrics.stage_seconds.labels("wait").observe(scored.started_at - scored.submitted_at)
        metrics.stage_seconds.labels("score").observe(scored.finished_at - scored.started_at)
        metrics.stages["score"].leave(len(enriched.outcomes), self._clock.wall_ms())
        metrics.stages["deliver"].enter(len(enriched.outcomes))
        metrics.retries.labels("scoring").inc(enriched.halvings)
        metrics.count(enriched.quality, enriched.computed)
        for (feature, language), index in self._drift.add(enriched.quality).items():
            metrics.drift_psi.labels(feature, language).set(index)
        if self._tracing is not None:
            self._tracing.trace(scored, pipeline, self._clock)

    def show_when_due(self, standing: int, take_standing: Callable[[], list[Stood]]) -> None:
        """Hand the page what stands. A few times a second, for it costs about the same for one message and for a hundred; and
        before it is much, for until then it is held in memory."""
        now = self._clock.now()
        if now - self._shown_at >= SHOW_INTERVAL_S or standing >= SHOWN_AT_ONCE:
            self._shown_at = now
            self._live.add(take_standing(), self._clock.wall_ms() / 1000)

    def observe_when_due(self, ledger: Ledger, budget: Budget, source: Source, *, fetching: bool = True) -> None:
        """How far each partition is, how far behind, and what is in flight.

        Where nothing is fetched, nobody tells of new ends: what was caught up may be behind by now.
        """
        now = self._clock.now()
        if now - self._observed_at < OBSERVE_INTERVAL_S:
            return
        self._observed_at = now
        self._show_partitions(ledger, source, fetching)
        self._metrics.in_flight_messages.set(budget.messages)
        self._metrics.in_flight_bytes.set(budget.bytes)
        self._metrics.in_flight_tokens.set(budget.tokens)

    def _show_partitions(self, ledger: Ledger, source: Source, fetching: bool) -> None:
        now_ms = self._clock.wall_ms()
        positions = {partition: ledger.next_offset(partition) or 0 for partition in ledger.assigned}
        ends = {
            partition: source.end_offset(partition) if fetching or ledger.pending([partition]) else None
            for partition in positions
        }
        since = {partition: ledger.waits_since_ms(partition, end, now_ms) for partition, end in ends.items()}
        messages = {partition: max(0, end - positions[partition]) for partition, end in ends.items() if end is not None}
        seconds = {partition: max(0, now_ms - at_ms) / 1000 for partition, at_ms in since.items() if at_ms is not None}
        self._metrics.show(self._metrics.position_offset, positions)
        self._metrics.show(self._metrics.lag_messages, messages)
        self._metrics.show(self._metrics.lag_seconds, seconds)


def dead_letter_fields(outcome: Outcome, *, show_text: bool) -> dict[str, str | int]:
    """What a log line tells of a dead letter. What was wrong with it, word for word, may hold a piece of the text too."""
    value = outcome.record.value or b""
    fields: dict[str, str | int] = {"id": outcome.record.source.id, "reason": outcome.reason, "bytes": len(value)}
    if show_text:
        why = dict(outcome.headers).get("__connect.errors.exception.message") or b""
        shown = value[:MAX_LOGGED_BYTES]
        fields |= {"why": why.decode("utf-8", "replace"), "value": shown.decode("utf-8", "backslashreplace")}
    return fields
