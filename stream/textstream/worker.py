"""The only loop: poll, score, deliver, commit. It owns all state and the clock, and reads `startup / turn / drain`.

The polling thread runs everything here, rebalances included (they happen inside `Source.poll`). The scoring thread and
the client's delivery reports only hand values back to it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from textstream.core.batch import Batcher, Budget
from textstream.core.breaker import Breaker
from textstream.core.codec import Codec
from textstream.core.offsets import Ledger, TopicPartition
from textstream.core.process import Prepared, Scorer, prepare
from textstream.core.record import Outcome
from textstream.errors import Misconfigured, Transient
from textstream.kafka.sink import Report, Sink, refused
from textstream.kafka.source import Polled, Source
from textstream.kafka.topics import Pipeline, TopicAdmin, named
from textstream.observe.health import Health
from textstream.observe.logs import get_logger
from textstream.observe.metrics import Metrics
from textstream.scoring import Scored, ScoringThread
from textstream.settings import Settings

MAX_POLL_RECORDS = 1_000
"""Most records taken in one turn: bounds how long a turn prepares before the model gets its next batch."""
IDLE_WAIT_S = 0.1
"""Longest wait for a record when nothing is in flight: bounds how late a stop is noticed."""
BUSY_WAIT_S = 0.002
"""Longest wait for one thing while another may come: a record, a scored batch, an acknowledgement."""
FINISH_WAIT_S = 0.01
"""Longest wait for a scored batch or an acknowledgement while draining."""
RETRY_FIRST_S, RETRY_MOST_S = 0.5, 5.0
"""Pause between attempts to reach the broker at start; doubles from the first to the most."""
MIN_COMMIT_S = 1.0
"""For the last commit, also when the work before it has used up the drain limit."""
COMMIT_PAUSE_S = 0.05
"""Between two attempts at the last commit: about the time in which a rebalance goes on to its next step."""
OBSERVE_INTERVAL_S = 1.0
"""Between two updates of lag and in-flight gauges: well below any scrape interval."""

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
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._scorer = scorer
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._wall = wall
        self._stopping = threading.Event()
        self._failed = False
        self._paused: set[TopicPartition] = set()
        self._full_since: float | None = None
        self._committed_at = self._observed_at = clock()
        self._ledger = Ledger()
        self._outbox: deque[tuple[Prepared, Outcome]] = deque()  # scored, not yet taken by the client; within the budget
        batch, delivery = settings.batch, settings.delivery
        self._batcher = Batcher(
            max_messages=batch.max_messages, max_tokens=batch.max_tokens, max_wait_s=batch.max_wait_ms / 1000
        )
        self._breaker = Breaker(share=delivery.breaker_share, window=delivery.breaker_window, run=delivery.breaker_run)
        self._stopped = ""  # why the breaker is open
        self._unacknowledged = 0  # outcomes that the client holds
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
                while not self._stopping.is_set() and not self._stopped:
                    self._turn()
                while not self._stopping.is_set() and self._settings.delivery.on_breaker == "pause":
                    self._hold()
                self._drain()
                if self._stopped and self._settings.delivery.on_breaker == "exit":
                    raise Misconfigured(self._stopped)
            except BaseException:
                self._failed = True
                raise
            finally:
                self._health.stopping()
                self._metrics.ready.set(0)

    # ---- startup -------------------------------------------------------------------------------------------------

    def _startup(self) -> Pipeline | None:
        """Wait for the broker and look at the topics; None when stopped meanwhile."""
        topics = named(self._settings.input.topics, self._settings.output)
        admin = TopicAdmin(self._settings.kafka)
        deadline = self._clock() + self._settings.delivery.startup_timeout_s
        pause_s = RETRY_FIRST_S
        while not self._stopping.is_set():
            try:
                return admin.inspect(topics, within_s=max(0.1, deadline - self._clock()))
            except Transient as error:
                if self._clock() + pause_s > deadline:
                    waited = self._settings.delivery.startup_timeout_s
                    raise Transient(f"{error}; gave up after {waited:g} s (delivery.startup_timeout_s)") from None
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, RETRY_MOST_S)
        return None

    def _open(self, pipeline: Pipeline, closing: ExitStack) -> None:
        """Clients and the scoring thread; closed in the opposite order, so that the group is left first."""
        settings = self._settings
        self._codec = Codec(
            input_format=settings.input.format,
            pointer=settings.input.pointer,
            keep_input=settings.output.keep_input,
            model=self._scorer.info,
            routes=pipeline.routes,
        )
        self._sink = Sink(settings.kafka, pipeline)
        closing.callback(self._sink.close)
        self._scoring = ScoringThread(
            self._codec,
            self._scorer,
            stall_after_s=settings.observe.stall_after_s,
            clock=self._clock,
            wall_ms=self._wall_ms,
        )
        closing.callback(self._scoring.close)
        self._source = Source(settings.kafka, settings.input, self)
        closing.callback(self._source.close)
        self._metrics.batch_tokens_limit.set(self._batcher.max_tokens)
        self._metrics.show_model(self._scorer.info)
        self._metrics.ready.set(1)
        log.info("reading", topics=settings.input.topics, group=settings.kafka.group_id, model=self._scorer.info["name"])

    # ---- turn ----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """One round of the path: results out, acknowledgements in, records in, batches out, commit."""
        stuck = self._budget.full  # nothing may be polled, so wait for what makes room
        self._publish(self._scoring.results(BUSY_WAIT_S if stuck or self._scoring.full else 0))
        self._settle(self._sink.reports(BUSY_WAIT_S if stuck and not self._scoring.busy else 0))
        self._throttle()
        if self._may_poll():
            # A full budget has no room, but then all is paused: polling gives nothing and serves rebalances.
            self._take(self._source.poll(max(1, min(self._budget.room, MAX_POLL_RECORDS)), self._poll_wait_s()))
        self._dispatch()
        self._commit_when_due()
        self._observe_when_due()
        self._health.turned(self._scoring.waiting_since)

    def _may_poll(self) -> bool:
        """Polling hands out records, which a full budget has no room for, unless all partitions are paused.

        Then it is called all the same: rebalances happen in it, and the group expects it.
        """
        return not self._budget.full or self._paused.issuperset(self._ledger.assigned)

    def _poll_wait_s(self) -> float:
        """How long to wait for a record: briefly while something else may come."""
        return BUSY_WAIT_S if self._budget.messages else IDLE_WAIT_S

    def _throttle(self) -> None:
        """Pause fetching when the budget stays full, resume when there is room.

        Sparingly: pausing throws prefetched records away. For `pause_after_ms` polling just waits.
        """
        now = self._clock()
        if not self._budget.full:
            self._full_since = None
            if self._paused:
                self._source.resume(list(self._paused))
                self._paused.clear()
            return
        self._full_since = now if self._full_since is None else self._full_since
        running = set(self._ledger.assigned) - self._paused
        if running and now - self._full_since >= self._settings.delivery.pause_after_ms / 1000:
            self._source.pause(list(running))
            self._paused |= running
            self._metrics.pauses.inc()

    def _take(self, polled: Polled) -> None:
        """Decode and tokenise what was polled; it is ours from here on."""
        if polled.records:
            started_at = self._clock()
            for item in prepare(polled.records, self._codec, self._scorer):
                self._ledger.deliver(item.record.position)
                self._budget.add(item)
                self._batcher.add(item, started_at)
                self._metrics.records_polled.labels(item.record.position.topic).inc()
            self._metrics.stage_seconds.labels("prepare").observe(self._clock() - started_at)
        for end in polled.ends:
            self._ledger.reach_end(end)

    def _dispatch(self, *, flush: bool = False) -> None:
        """Hand due batches to the scoring thread, as many as it has room for."""
        while not self._scoring.full and (batch := self._batcher.take(self._clock(), flush=flush)) is not None:
            self._scoring.submit(batch)
            self._metrics.batches.labels(batch.closed_by).inc()
            self._metrics.batch_messages.observe(len(batch.items))
            self._metrics.batch_tokens.observe(batch.tokens)

    def _publish(self, scored: Sequence[Scored]) -> None:
        """Produce outcomes in the order in which their records were polled, up to where the breaker opens."""
        for one in scored:
            self._metrics.stage_seconds.labels("wait").observe(one.started_at - one.submitted_at)
            self._metrics.stage_seconds.labels("score").observe(one.finished_at - one.started_at)
            self._learn_from(one)
            outcomes = zip(one.batch.items, one.outcomes, strict=True)
            self._outbox.extend(each for each in outcomes if self._let_through(*each))
        while self._outbox:
            item, outcome = self._outbox[0]
            if self._ledger.is_current(item.record.position):
                if not self._sink.send(item, outcome):
                    return  # the client's queue is full: acknowledgements will make room
                self._unacknowledged += 1
            else:
                self._budget.remove(item)
                self._metrics.stale_records.inc()
            self._outbox.popleft()

    def _learn_from(self, scored: Scored) -> None:
        """Batches get smaller where memory ran out on one, and slowly larger again."""
        if scored.fitted:
            self._batcher.fitted()
        else:
            self._batcher.shrink(scored.batch)
            log.warning("out of memory: scored in parts, batches are smaller from now on", max_tokens=self._batcher.max_tokens)
        self._metrics.batch_tokens_limit.set(self._batcher.max_tokens)

    def _settle(self, reports: Sequence[Report]) -> None:
        """Count acknowledged outcomes; one that the broker refused stops the worker."""
        now_ms = self._wall_ms()
        for report in reports:
            if report.error is not None:
                raise refused(report)
            item, outcome = report.item, report.outcome
            self._unacknowledged -= 1
            self._budget.remove(item)
            self._ledger.settle(item.record.position)
            self._metrics.outcomes.labels(item.record.position.topic, outcome.kind, outcome.reason).inc()
            self._metrics.stage_seconds.labels("deliver").observe(report.latency_s)
            if item.record.timestamp_ms > 0:
                self._metrics.end_to_end_seconds.observe(max(0, now_ms - item.record.timestamp_ms) / 1000)

    # ---- breaker ---------------------------------------------------------------------------------------------------

    def _let_through(self, item: Prepared, outcome: Outcome) -> bool:
        """Whether an outcome may go out. Stale ones are dropped later, uncounted; the first that is held is told of."""
        if not self._ledger.is_current(item.record.position) or self._breaker.lets_through(outcome):
            return True
        if not self._stopped:
            self._stopped = (
                f"stopped: {self._breaker.trip} (delivery.breaker_share, breaker_window, breaker_run); nothing from there on is"
                " committed: mend the producer or the settings and restart"
            )
            self._metrics.breaker_open.set(1)
            self._metrics.ready.set(0)
            self._health.held(self._stopped)
            log.error(self._stopped, on_breaker=self._settings.delivery.on_breaker)
        return False

    def _hold(self) -> None:
        """A turn behind an open breaker: what went out before is acknowledged and committed, and the group stays whole."""
        self._publish(self._scoring.results(0))
        self._settle(self._sink.reports(0))
        if running := set(self._ledger.assigned) - self._paused:
            self._source.pause(list(running))
            self._paused |= running
        self._source.poll(1, IDLE_WAIT_S)  # for rebalances; a record that was fetched before the pause is dropped, uncommitted
        self._commit_when_due()
        self._observe_when_due()
        self._health.turned(self._scoring.waiting_since)

    # ---- commits ---------------------------------------------------------------------------------------------------

    def _commit_when_due(self) -> None:
        now = self._clock()
        if now - self._committed_at < self._settings.delivery.commit_interval_ms / 1000:
            return
        self._committed_at = now
        self._hear_of_commits()
        if offsets := self._ledger.take_commits():
            self._request(offsets)

    def _commit_now(self, partitions: Sequence[TopicPartition], deadline: float) -> bool:
        """Commit what may be committed of these partitions, until the group holds it; False when the time is up before.

        Whoever reads them next begins there. While members join, the group refuses commits for a moment.
        """
        deadline = max(deadline, self._clock() + MIN_COMMIT_S)
        self._hear_of_commits()
        while offsets := self._ledger.unconfirmed(partitions):
            self._request(offsets)
            self._ledger.confirm(self._source.committed(offsets, max(0, deadline - self._clock())))
            if self._ledger.unconfirmed(partitions):
                if self._clock() + COMMIT_PAUSE_S > deadline:
                    return False
                time.sleep(COMMIT_PAUSE_S)
        return True

    def _request(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._source.commit(offsets)
        self._metrics.commits.labels("requested").inc(len(offsets))

    def _hear_of_commits(self) -> None:
        answers = self._source.take_commit_answers()
        self._ledger.confirm(answers.confirmed)
        self._ledger.refuse(answers.refused)
        self._metrics.commits.labels("failed").inc(len(answers.refused))

    def _observe_when_due(self) -> None:
        now = self._clock()
        if now - self._observed_at < OBSERVE_INTERVAL_S:
            return
        self._observed_at = now
        lag = {partition: self._source.end_offset(partition) for partition in self._ledger.assigned}
        known = {
            partition: max(0, end - next_offset)
            for partition, end in lag.items()
            if end is not None and (next_offset := self._ledger.next_offset(partition)) is not None
        }
        self._metrics.show_lag(known)
        self._metrics.in_flight_messages.set(self._budget.messages)
        self._metrics.in_flight_bytes.set(self._budget.bytes)
        self._metrics.in_flight_tokens.set(self._budget.tokens)

    # ---- rebalances, inside Source.poll ---------------------------------------------------------------------------

    def assigned(self, committed: Mapping[TopicPartition, int | None]) -> None:
        """These partitions are ours, in a new epoch."""
        self._ledger.assign(committed)
        self._moved("assigned", list(committed))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Finish what is in flight within `drain_timeout_s`, commit it, let go."""
        if not self._failed:
            deadline = self._drain_deadline()
            self._work_off(partitions, deadline)
            if not self._commit_now(partitions, deadline):
                log.warning("not committed: the messages since will be read again", partitions=_ids(partitions))
        self._release("revoked", partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Somebody else owns these already: what is in flight is stale, and nothing is committed."""
        self._release("lost", partitions)

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The epoch of one of our partitions, None for others."""
        return self._ledger.epoch_of(partition)

    def _release(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        self._ledger.release(partitions)
        # The client keeps a partition paused across assignments: should it come back, it must be read.
        self._source.resume([partition for partition in partitions if partition in self._paused])
        self._paused.difference_update(partitions)
        self._moved(event, partitions)

    def _moved(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        self._metrics.rebalances.labels(event).inc()
        self._metrics.assigned_partitions.set(len(self._ledger.assigned))
        log.info(event, partitions=_ids(partitions))

    # ---- drain -----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Take no more, finish what is in flight, commit, leave. Raises `Transient` when the time is up before that."""
        self._health.stopping()
        log.info("draining", messages=self._ledger.pending())
        deadline = self._drain_deadline()
        self._work_off(self._ledger.assigned, deadline)
        committed = self._commit_now(self._ledger.assigned, deadline)
        limit = f"within {self._settings.delivery.drain_timeout_s:g} s (delivery.drain_timeout_s)"
        if left := self._unfinished(self._ledger.assigned):
            raise Transient(f"{left} messages were not acknowledged {limit}; they will be read again")
        if not committed:
            raise Transient(f"the last offsets were not committed {limit}; the messages since will be read again")
        log.info("drained")

    def _drain_deadline(self) -> float:
        return self._clock() + self._settings.delivery.drain_timeout_s

    def _work_off(self, partitions: Sequence[TopicPartition], deadline: float) -> None:
        """Score and deliver what was taken of these partitions, until the deadline."""
        while self._unfinished(partitions) and self._clock() < deadline:
            self._dispatch(flush=True)
            self._publish(self._scoring.results(FINISH_WAIT_S))
            self._settle(self._sink.reports(0 if self._scoring.busy else FINISH_WAIT_S))

    def _unfinished(self, partitions: Sequence[TopicPartition]) -> int:
        """How many messages of these partitions wait for their outcome; behind an open breaker, those whose is on its way."""
        return len(self._outbox) + self._unacknowledged if self._stopped else self._ledger.pending(partitions)

    def _wall_ms(self) -> int:
        return int(self._wall() * 1000)


def _ids(partitions: Sequence[TopicPartition]) -> list[str]:
    return [f"{topic}-{partition}" for topic, partition in partitions]
