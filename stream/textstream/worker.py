"""The only loop: poll, score, deliver, commit. It owns all state and the clock, and reads `startup / turn / drain`.

The polling thread runs everything here, rebalances included (they happen inside `Source.poll`). The scoring thread and
the client's delivery reports only hand values back to it.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from textstream.clock import SystemClock
from textstream.core.batch import Batcher, Budget
from textstream.core.breaker import Breaker
from textstream.core.codec import Codec
from textstream.core.offsets import Ledger, TopicPartition
from textstream.core.ports import Clock, Pipeline, Polled, Scored, Source, World
from textstream.core.process import Scorer, prepare
from textstream.core.record import Record
from textstream.delivery import AtLeastOnce, Delivery, ExactlyOnce
from textstream.errors import Misconfigured, Transient
from textstream.extent import ASK_S, Backfill, Between, Endless, Extent
from textstream.observe.health import Health
from textstream.observe.live import Live
from textstream.observe.logs import get_logger
from textstream.observe.metrics import Metrics
from textstream.observe.telemetry import Telemetry, dead_letter_fields
from textstream.settings import Settings
from textstream.world import RealWorld

if TYPE_CHECKING:  # it needs OpenTelemetry, and nothing else does
    from textstream.observe.tracing import Tracing

MAX_POLL_RECORDS = 1_000
"""Most records taken in one turn: bounds how long a turn prepares before the model gets its next batch."""
IDLE_WAIT_S = 0.1
"""Longest wait for a record when nothing is in flight: bounds how late a stop is noticed."""
BUSY_WAIT_S = 0.002
"""Longest wait for one thing while another may come: a record, a scored batch, an acknowledgement."""
LEAST_WAIT_S = 0.001
"""The client knows no shorter wait than a millisecond: it would not wait at all."""
BACKLOG = 64
"""A poll that gives fewer records than this, and than it may, has emptied the client's queue. A pass of swift costs as much as
some twenty messages in it (a millisecond), so fewer than this are worth a wait for more."""
FINISH_WAIT_S = 0.01
"""Longest wait for a scored batch or an acknowledgement while draining."""
RETRY_FIRST_S, RETRY_MOST_S = 0.5, 5.0
"""Pause between attempts to reach the broker at start; doubles from the first to the most."""
REFRESH_WITHIN_S = 2.0
"""Longest that looking for new topics may hold up the loop."""
LOOK_INTERVAL_S, LOOK_WITHIN_S = 1.0, 2.0
"""Between two questions to the group whether a backfill is done, and the longest that one may hold up the loop."""

log = get_logger("worker")


class Worker:
    """One member of the group. `run` returns after `stop`; every record it read by then is accounted for."""

    def __init__(
        self,
        settings: Settings,
        scorer: Scorer,
        metrics: Metrics,
        health: Health,
        *,
        clock: Clock | None = None,
        world: World | None = None,
        between: Between | None = None,
        live: Live | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        """Reads all that comes, or, for a backfill, what lies `between` two times; then `run` returns by itself."""
        self._settings = settings
        self._scorer = scorer
        self._metrics = metrics
        self._health = health
        self._clock = clock or SystemClock()
        self._world = world or RealWorld(settings, scorer, self._clock)
        self._between = between
        live = live or Live(self._clock.wall_ms() / 1000)
        self._telemetry = Telemetry(metrics, live, self._clock, scorer.reference, tracing)
        self._stopping = threading.Event()
        self._failed = False
        self._paused: set[TopicPartition] = set()
        self._full_since: float | None = None
        self._few = True  # records came of the last poll
        self._looked_at = self._clock.now()
        self._ledger = Ledger()
        batch, delivery = settings.batch, settings.delivery
        self._batcher = Batcher(
            max_messages=batch.max_messages, max_tokens=batch.max_tokens, max_wait_s=batch.max_wait_ms / 1000
        )
        self._breaker = Breaker(share=delivery.breaker_share, window=delivery.breaker_window, run=delivery.breaker_run)
        self._stopped = ""  # why the breaker is open
        self._aborts = 0  # after which it counts anew
        self._budget = Budget(
            max_messages=delivery.max_in_flight_messages,
            max_bytes=delivery.max_in_flight_bytes,
            max_tokens=delivery.max_in_flight_tokens,
        )

    def stop(self) -> None:
        """Ask `run` to drain and return. Safe from any thread and from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Read, score and publish until `stop`. Raises `TextstreamError`; nothing is committed past what was acknowledged."""
        self._health.starting()
        pipeline = self._startup()
        if pipeline is None:
            return
        with ExitStack() as closing:
            self._open(pipeline, closing)
            try:
                while not (self._stopping.is_set() or self._extent.done or self._stopped):
                    self._turn()
                while self._stopped and self._settings.delivery.on_breaker == "pause" and not self._stopping.is_set():
                    self._hold()
                self._finish()
            except BaseException:
                self._failed = True
                raise
            finally:
                self._health.stopping()
                self._metrics.ready.set(0)

    # ---- startup -------------------------------------------------------------------------------------------------

    def _startup(self) -> Pipeline | None:
        """Wait for the broker and look at the topics; None when stopped meanwhile."""
        deadline = self._clock.now() + self._settings.delivery.startup_timeout_s
        pause_s = RETRY_FIRST_S
        while not self._stopping.is_set():
            try:
                return self._world.inspect(within_s=max(0.1, deadline - self._clock.now()))
            except Transient as error:
                if self._clock.now() + pause_s > deadline:
                    waited = self._settings.delivery.startup_timeout_s
                    raise Transient(f"{error}; gave up after {waited:g} s (delivery.startup_timeout_s)") from None
            self._metrics.retries.labels("startup").inc()
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, RETRY_MOST_S)
        return None

    def _open(self, pipeline: Pipeline, closing: ExitStack) -> None:
        """Clients and the scoring thread; closed in the opposite order, so that the group is left first."""
        settings = self._settings
        self._pipeline, self._refreshed_at = pipeline, self._clock.now()
        self._identities = dict(pipeline.identities)
        # A replay topic is not among them: what was replayed is to be scored, also where reading begins at the latest record.
        known = {one.input: pipeline.partitions[one.input] for one in pipeline.topics}
        self._extent: Extent = Endless(settings.input.start, known) if self._between is None else Backfill(self._between, known)
        self._codec = Codec(
            input_format=settings.input.format,
            pointer=settings.input.pointer,
            keep_input=settings.output.keep_input,
            model=self._scorer.info,
            routes=pipeline.routes,
            replays=pipeline.replays,
        )
        deliver = self._opened_sink(pipeline, closing)
        self._scoring = self._world.scoring(self._codec)
        closing.callback(self._scoring.close)
        self._source = self._world.source(self, self._read_of(pipeline))
        closing.callback(self._source.close)
        self._delivery = deliver(self._source)  # before anything is asked: partitions may come and go from here on
        self._extent.opened(self._source)
        self._metrics.batch_tokens_limit.set(self._batcher.max_tokens)
        self._telemetry.opened(settings.delivery, self._scorer.info)
        log.info("reading", topics=list(pipeline.routes), group=settings.kafka.group_id, model=self._scorer.info["name"])

    def _read_of(self, pipeline: Pipeline) -> list[str]:
        """The topics to read: inputs, and what is replayed of them, which is no part of a backfill."""
        return [*(one.input for one in pipeline.topics), *(pipeline.replays if self._between is None else ())]

    def _refresh_when_due(self) -> None:
        if self._clock.now() - self._refreshed_at >= self._settings.input.refresh_s:
            self._refresh()

    def _refresh(self) -> Mapping[str, str]:
        """Take up topics that have come to match a pattern, and replay topics; let go of those that went; those that were made
        anew are begun anew, or end the worker. Returns the identities that were told; none where nobody answered."""
        self._refreshed_at = self._clock.now()
        try:
            pipeline = self._world.inspect(within_s=REFRESH_WITHIN_S)
        except (Transient, Misconfigured) as error:
            log.warning("topics_not_looked_at", why=str(error))
            return {}
        self._compare(pipeline.identities)
        self._delivery.route(pipeline)  # as many partitions as there are by now
        if self._read_of(pipeline) != self._read_of(self._pipeline):
            self._pipeline = pipeline
            self._codec.route(pipeline.routes, pipeline.replays)
            self._source.subscribe(self._read_of(pipeline))
            self._extent.subscribed(self._read_of(pipeline))
            log.info("reading", topics=self._read_of(pipeline))
        return pipeline.identities

    def _compare(self, identities: Mapping[str, str]) -> None:
        """A topic that was deleted and made anew has other records under offsets that were read: stop, or begin it anew."""
        for topic, identity in identities.items():
            if self._identities.setdefault(topic, identity) == identity:
                continue
            happened = f"{topic} was deleted and made anew while it was read, and its first records may have been passed over"
            if self._settings.input.on_skip == "stop":
                raise Misconfigured(
                    f"{happened}. `textstream run --from earliest --until end` scores all that it holds; to have a worker begin"
                    " anew by itself, set input.on_skip = continue"
                )
            log.error("recreated", topic=topic, why=happened)
            self._identities[topic] = identity
            for partition in self._ledger.assigned:
                if partition[0] == topic:
                    self._begin_anew(partition, *self._source.bounds(partition, ASK_S))

    def _begin_anew(self, partition: TopicPartition, low: int, high: int) -> None:
        """There are other records under the same offsets: what is in flight is of the old ones."""
        self._ledger.assign({partition: low}, {partition: None})
        self._extent.shortened(partition, high)
        self._source.seek({partition: low})
        self._source.resume(self._extent.rewound({partition: low}))

    def _opened_sink(self, pipeline: Pipeline, closing: ExitStack) -> Callable[[Source], Delivery[Any]]:
        """The writer, and the guarantee that it is used with."""
        settings = self._settings.delivery
        if settings.guarantee == "exactly_once":
            transactional = self._world.transactional_sink(pipeline)
            closing.callback(transactional.close)
            deliver: Callable[..., Delivery[Any]] = partial(ExactlyOnce, transactional)
        else:
            sink = self._world.sink(pipeline)
            closing.callback(sink.close)
            deliver = partial(AtLeastOnce, sink)
        return partial(
            deliver,
            ledger=self._ledger,
            budget=self._budget,
            metrics=self._metrics,
            clock=self._clock,
            interval_s=settings.commit_interval_ms / 1000,
            limit_s=settings.drain_timeout_s,
        )

    # ---- turn ----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """One round of the path: results out, acknowledgements in, records in, batches out, commit."""
        stuck = self._budget.full  # nothing may be polled, so wait for what makes room
        self._rewind_if_aborted()
        self._publish(self._scoring.results(BUSY_WAIT_S if stuck or self._scoring.full or self._trickles else 0))
        self._delivery.settle(BUSY_WAIT_S if stuck and not self._scoring.busy else 0)
        self._throttle()
        if self._may_poll():
            # A full budget has no room, but then all is paused: polling gives nothing and serves rebalances.
            self._poll(max(1, min(self._budget.room, MAX_POLL_RECORDS)))
        self._dispatch()
        self._delivery.commit_when_due()
        self._telemetry.show_when_due(self._delivery.standing, self._delivery.take_standing)
        self._refresh_when_due()
        self._look_for_the_end_when_due()
        self._telemetry.observe_when_due(self._ledger, self._budget, self._source)
        self._health.turned(self._scoring.waiting_since)

    def _rewind_if_aborted(self) -> None:
        """What was taken back is to be read again, and counted again; of a partition that had been read to its end too."""
        if self._delivery.aborts > self._aborts:  # also where nothing of it is ours any more
            self._aborts = self._delivery.aborts
            self._breaker.forget()
        if starts := self._delivery.rewind_if_aborted():
            self._source.resume(self._extent.rewound(starts))

    def _may_poll(self) -> bool:
        """Polling hands out records, which a full budget has no room for, unless all partitions are paused.

        Then it is called all the same: rebalances happen in it, and the group expects it.
        """
        return not self._budget.full or not self._running

    @property
    def _running(self) -> set[TopicPartition]:
        """The partitions that are fetched from."""
        return set(self._ledger.assigned) - self._paused - self._extent.finished

    @property
    def _trickles(self) -> bool:
        """Whether few records come while the model works: they wait for it in the client then, and are taken together."""
        return self._scoring.busy and self._few

    def _poll(self, max_records: int) -> None:
        """Take records: the first to come where the model has nothing to do; else those that come until a batch is due.

        Without waiting where `results` has just waited for the model.
        """
        if self._trickles:
            polled = self._source.poll(max_records, 0)
        elif self._scoring.busy or len(self._batcher):
            due_s = self._batcher.due_in(self._clock.now(), idle=not self._scoring.busy)
            polled = self._source.poll(max_records, min(BUSY_WAIT_S, max(LEAST_WAIT_S, due_s)), gather=True)
        else:
            polled = self._source.poll(max_records, BUSY_WAIT_S if self._budget.messages else IDLE_WAIT_S)
        self._few = len(polled.records) < min(BACKLOG, max_records)
        self._take(polled)

    def _throttle(self) -> None:
        """Pause fetching when the budget stays full, resume when there is room.

        Sparingly: pausing throws prefetched records away. For `pause_after_ms` polling just waits.
        """
        now = self._clock.now()
        if not self._budget.full:
            self._full_since = None
            if self._paused:
                self._source.resume(list(self._paused))
                self._paused.clear()
            return
        self._full_since = now if self._full_since is None else self._full_since
        if self._running and now - self._full_since >= self._settings.delivery.pause_after_ms / 1000:
            self._paused |= self._running
            self._source.pause(list(self._paused))
            self._metrics.pauses.inc()

    def _take(self, polled: Polled) -> None:
        """Decode and tokenise what was polled; it is ours from here on."""
        polled = self._extent.cut(polled)
        if polled.records:
            self._prepare(polled.records)
        for end in polled.ends:
            self._ledger.reach_end(end)
        if polled.ends and self._extent.finished:
            self._source.pause(list(self._extent.finished))
        if polled.out_of_range:
            self._find_again(polled.out_of_range)

    def _prepare(self, records: Sequence[Record]) -> None:
        started_at, now_ms = self._clock.now(), self._clock.wall_ms()
        self._telemetry.polled(records)
        items = prepare(records, self._codec, self._scorer)
        # As it stands in its topic: the time of a replay, not of what it replays. One without a time waits from now on.
        self._ledger.deliver([(one.position, one.timestamp_ms if one.timestamp_ms > 0 else now_ms) for one in records])
        self._budget.add(items)
        self._batcher.add(items, started_at)
        self._telemetry.prepared(len(records), started_at)

    def _find_again(self, partitions: Sequence[TopicPartition]) -> None:
        """The broker does not have what is to be read next: because the topic was made anew, or for another reason.

        Which of them, only a look at the topics tells. Begun anew without it, the topic would be begun once more at the next.
        """
        told = self._refresh()
        for partition in partitions:
            if partition[0] in self._identities and partition[0] not in told:
                self._source.seek({partition: self._ledger.read_from(partition)})  # to be told of it, and look, again
            else:
                self._skip(partition)

    def _skip(self, partition: TopicPartition) -> None:
        """Stop, or go on with the first record that the broker has and count the others."""
        low, high = self._source.bounds(partition, ASK_S)
        wanted = self._ledger.read_from(partition)
        name = f"{partition[0]}-{partition[1]}"
        if low <= wanted <= high:  # it was begun anew, or a replica that lagged has it by now
            self._source.seek({partition: wanted})
            return
        skipped = max(0, low - wanted)
        happened = (
            f"{name} begins at offset {low} and {wanted} was to be read: {skipped} records are gone before they were read"
            " (retention); raise its retention, or add workers"
            if skipped
            else f"{name} ends at offset {high} and {wanted} was to be read: it was truncated, or restored from a copy"
        )
        if self._settings.input.on_skip == "stop":
            raise Misconfigured(f"{happened}. To go on with offset {low}, set input.on_skip = continue")
        log.error("skipped", partition=name, why=happened)
        self._metrics.skipped_records.labels(partition[0]).inc(skipped)
        if skipped:
            self._ledger.jump(partition, low)
            self._source.seek({partition: low})
        else:
            self._begin_anew(partition, low, high)

    def _dispatch(self, *, flush: bool = False) -> None:
        """Hand due batches to the scoring thread, as many as it has room for."""
        while not self._scoring.full:
            batch = self._batcher.take(self._clock.now(), idle=not self._scoring.busy, flush=flush)
            if batch is None:
                break
            self._scoring.submit(batch)
            self._telemetry.submitted(batch)

    def _publish(self, scored: Sequence[Scored]) -> None:
        """Hand scored batches on, up to where the breaker opens, and what still waits for the client."""
        for one in scored:
            self._learn_from(one)
            self._telemetry.scored(one, self._pipeline)
        outcomes = [each for one in scored for each in zip(one.batch.items, one.enriched.outcomes, strict=True)]
        current = self._delivery.current(outcomes)  # no breaker counts the others: whoever has them now does
        passing = self._breaker.lets_through([outcome.reason for _, outcome in current])
        for _, outcome in current[:passing]:
            if outcome.kind == "dead":
                log.info("dead_letter", **dead_letter_fields(outcome, show_text=self._settings.privacy.log_text))
        if passing < len(current) and not self._stopped:
            self._open_breaker()
        self._delivery.publish(current[:passing])

    def _learn_from(self, scored: Scored) -> None:
        """Batches get smaller where memory ran out on one, and slowly larger again; how long the model worked, it rests."""
        self._batcher.worked(scored.started_at, scored.finished_at)
        if scored.fitted:
            self._batcher.fitted()
        else:
            self._batcher.shrink(scored.batch)
            log.warning(
                "out_of_memory", scored="in parts; batches are smaller from now on", max_tokens=self._batcher.max_tokens
            )
        self._metrics.batch_tokens_limit.set(self._batcher.max_tokens)

    # ---- breaker ---------------------------------------------------------------------------------------------------

    def _open_breaker(self) -> None:
        """Say why; the first outcome that is held is told of."""
        self._stopped = (
            f"stopped: {self._breaker.trip} (delivery.breaker_share, breaker_window, breaker_run); nothing from there on is"
            " committed: mend the producer or the settings and restart"
        )
        self._metrics.breaker_open.set(1)
        self._metrics.ready.set(0)
        self._health.held(self._stopped)
        log.error("breaker_open", why=self._stopped, on_breaker=self._settings.delivery.on_breaker)

    def _hold(self) -> None:
        """A turn behind an open breaker: what went out before is acknowledged and committed, and the group stays whole."""
        self._rewind_if_aborted()
        self._publish(self._scoring.results(0))
        self._delivery.settle(0)
        if running := self._running:
            self._source.pause(list(running))
            self._paused |= running
        self._source.poll(1, IDLE_WAIT_S)  # for rebalances; a record that was fetched before the pause is dropped, uncommitted
        self._delivery.commit_when_due()
        self._telemetry.show_when_due(self._delivery.standing, self._delivery.take_standing)
        self._telemetry.observe_when_due(self._ledger, self._budget, self._source, fetching=False)
        self._health.turned(self._scoring.waiting_since)

    def _look_for_the_end_when_due(self) -> None:
        """Where nothing more is to be read of ours, a backfill may be done."""
        now = self._clock.now()
        if self._running or self._budget.messages or now - self._looked_at < LOOK_INTERVAL_S:
            return
        self._looked_at = now
        self._extent.look(self._source, LOOK_WITHIN_S)

    # ---- rebalances, inside Source.poll ---------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """These partitions are ours, in a new epoch; each is read from what the group holds, or else from `input.start`."""
        committed = self._committed(partitions) if partitions else {}
        starts = {
            partition: self._extent.first_offset(partition, self._source) if offset is None else offset
            for partition, offset in committed.items()
        }
        self._ledger.assign(starts, committed)
        self._extent.assigned(starts, self._source)
        self._delivery.assigned()
        self._moved("assigned", partitions)
        return starts

    def _committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """What the group holds. Whoever had them before may have left a transaction open, which is waited for."""
        deadline = self._clock.now() + self._settings.delivery.startup_timeout_s
        committed: dict[TopicPartition, int | None] = {}
        while len(committed) < len(partitions):
            if self._clock.now() >= deadline:
                waited = self._settings.delivery.startup_timeout_s
                raise Transient(f"the group does not tell its offsets within {waited:g} s (delivery.startup_timeout_s)")
            committed |= self._source.committed([p for p in partitions if p not in committed], ASK_S)
        return committed

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Finish what is in flight within `drain_timeout_s`, commit it, let go."""
        if not self._failed:
            deadline = self._drain_deadline()
            self._work_off(partitions, deadline)
            if not self._delivery.commit_now(partitions, deadline):
                log.warning("not_committed", then="the messages since will be read again", partitions=_ids(partitions))
        self._release("revoked", partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Somebody else owns these already: what is in flight is stale, and nothing is committed."""
        if not self._failed:  # else closing takes back what was sent
            self._delivery.lost()
        self._release("lost", partitions)

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The epoch of one of our partitions, None for others."""
        return self._ledger.epoch_of(partition)

    def _release(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        self._ledger.release(partitions)
        self._delivery.show_uncommitted()
        self._extent.released(partitions)
        # The client keeps a partition paused across assignments, for whatever cause: should it come back, it must be read.
        self._source.resume(partitions)
        self._paused.difference_update(partitions)
        self._moved(event, partitions)

    def _moved(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        self._metrics.rebalances.labels(event).inc()
        self._metrics.assigned_partitions.set(len(self._ledger.assigned))
        log.info("partitions_moved", how=event, partitions=_ids(partitions))

    # ---- drain -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Drain, and say so where that is not all that was to be done."""
        try:
            self._drain()
        except Transient as error:
            if self._exits:  # a restart would meet the same dead letters: that is what somebody must act on
                raise Misconfigured(f"{self._stopped}; {error}") from None
            raise
        if self._exits:
            raise Misconfigured(self._stopped)
        if self._between is not None and not self._extent.done:
            raise Transient("the backfill was stopped before its end: the same command goes on where it was")

    @property
    def _exits(self) -> bool:
        """Whether the breaker is open, as it may have come to be while draining, and that is to end the process."""
        return bool(self._stopped) and self._settings.delivery.on_breaker == "exit"

    def _drain(self) -> None:
        """Take no more, finish what is in flight, commit, leave. Raises `Transient` when the time is up before that."""
        self._health.stopping()
        log.info("draining", messages=self._ledger.pending())
        deadline = self._drain_deadline()
        self._work_off(self._ledger.assigned, deadline)
        committed = self._delivery.commit_now(self._ledger.assigned, deadline)
        limit = f"within {self._settings.delivery.drain_timeout_s:g} s (delivery.drain_timeout_s)"
        if left := self._unfinished(self._ledger.assigned):
            raise Transient(f"{left} messages were not acknowledged {limit}; they will be read again")
        if not committed:
            raise Transient(f"the last offsets were not committed {limit}; the messages since will be read again")
        log.info("drained")

    def _drain_deadline(self) -> float:
        return self._clock.now() + self._settings.delivery.drain_timeout_s

    def _work_off(self, partitions: Sequence[TopicPartition], deadline: float) -> None:
        """Score and deliver what was taken of these partitions, until the deadline."""
        while self._unfinished(partitions) and self._clock.now() < deadline:
            self._dispatch(flush=True)
            self._publish(self._scoring.results(FINISH_WAIT_S))
            self._delivery.settle(0 if self._scoring.busy else FINISH_WAIT_S)

    def _unfinished(self, partitions: Sequence[TopicPartition]) -> int:
        """How many messages of these partitions wait for their outcome; behind an open breaker, those whose is on its way."""
        return self._delivery.waiting if self._stopped else self._ledger.pending(partitions)


def _ids(partitions: Sequence[TopicPartition]) -> list[str]:
    return [f"{topic}-{partition}" for topic, partition in partitions]
