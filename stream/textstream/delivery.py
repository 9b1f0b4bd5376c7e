"""Delivering: outcomes out, acknowledgements in, and how far the group is told that we have come.

`AtLeastOnce` sends outcomes as they are scored and commits, as a consumer, the offsets of what was acknowledged.
`ExactlyOnce` sends the outcomes of a commit interval in one Kafka transaction, and their offsets with them. What keeps that:

1. Nothing is sent while a transaction is being ended: both happen on the polling thread.
2. The group's metadata (`Source.membership`) are taken when we know what is ours: as the assignment is told, and before the
   first outcome of a transaction is sent. A broker before 4.3 checks a member's generation, not who owns a partition: with
   metadata of the moment of the commit, one who was shut out and came back could commit what is another's by now.
3. On revoke the whole transaction is committed or aborted inside the callback; on lost it is aborted.
4. After an abort everything in flight is stale, and every partition is read again from what the group holds (`rewind`).

Both hold the outbox: what is scored and not yet taken by the client. It lies within the in-flight budget.
"""

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from operator import attrgetter, not_
from typing import Any, Generic, TypeVar

from textstream.core.batch import Budget
from textstream.core.offsets import Ledger, TopicPartition
from textstream.core.ports import Aborted, Clock, Membership, Pipeline, Report, Sink, Source, TransactionalSink
from textstream.core.process import Prepared
from textstream.core.record import Outcome
from textstream.errors import Misconfigured, TextstreamError
from textstream.observe.live import Stood
from textstream.observe.logs import get_logger
from textstream.observe.metrics import Metrics

MIN_COMMIT_S = 1.0
"""For the last commit, also when the work before it has used up the drain limit."""
COMMIT_PAUSE_S = 0.05
"""Between two attempts at the last commit: about the time in which a rebalance goes on to its next step."""
ABORT_PAUSE_S, MOST_ABORT_PAUSE_S = 0.05, 5.0
"""Before what an aborted transaction held is read again; doubles each time that it happens in a row."""
MOST_DOUBLINGS = 10
"""More than lead to the longest pause; after a thousand the number would be beyond a float."""
MAX_TRANSACTION_MESSAGES = 50_000
"""A transaction that holds so many is ended before its interval is over: what an abort repeats, and we remember, is bounded."""
FLUSH_WAIT_S = 0.01
"""Longest wait for one acknowledgement before the limit is looked at again."""

log = get_logger("delivery")

_labels = attrgetter("record.position.topic", "kind", "reason")


AnySink = TypeVar("AnySink", bound=Sink)


class Delivery(ABC, Generic[AnySink]):
    """From scored batches to committed offsets. Lives on the polling thread."""

    aborts = 0
    """How often outcomes that had been sent were taken back so far."""

    def __init__(
        self,
        sink: AnySink,
        source: Source,
        ledger: Ledger,
        budget: Budget,
        metrics: Metrics,
        clock: Clock,
        *,
        interval_s: float,
        limit_s: float,
    ) -> None:
        """A commit every `interval_s`; what has to wait for the broker meanwhile, waits at most `limit_s`."""
        self._sink = sink
        self._source = source
        self._ledger = ledger
        self._budget = budget
        self._metrics = metrics
        self._clock = clock
        self._interval_s = interval_s
        self._limit_s = limit_s
        self._committed_at = clock.now()
        self._outbox: deque[tuple[Prepared, Outcome]] = deque()
        self._standing: list[Stood] = []

    def route(self, pipeline: Pipeline) -> None:
        """Where outcomes go from now on."""
        self._sink.route(pipeline)

    @property
    def waiting(self) -> int:
        """How many outcomes were neither acknowledged nor dropped."""
        return len(self._outbox) + self._sink.unreported

    def publish(self, outcomes: Iterable[tuple[Prepared, Outcome]]) -> None:
        """Send outcomes in the order in which their records were polled: those that wait, then these, which are current."""
        self._outbox = deque(self.current(self._outbox))
        self._outbox.extend(outcomes)
        while self._outbox:
            if not self._send(*self._outbox[0]):
                return  # the client's queue is full, and acknowledgements will make room; or all of it is stale by now
            self._outbox.popleft()

    def current(self, outcomes: Collection[tuple[Prepared, Outcome]]) -> list[tuple[Prepared, Outcome]]:
        """Those of the present assignment; the others are dropped: whoever has their partitions now reads them again."""
        are_current = self._ledger.are_current([item.record.position for item, _ in outcomes])
        if not all(are_current):
            stale = [item for item, _ in compress(outcomes, map(not_, are_current))]
            self._budget.remove(stale)
            self._metrics.stale_records.inc(len(stale))
            self._metrics.stages["deliver"].leave(len(stale), self._clock.wall_ms())
        return list(compress(outcomes, are_current))

    def settle(self, wait_s: float) -> None:
        """Take acknowledgements, waiting up to `wait_s` for the first; an outcome that the broker refused stops the worker."""
        reports = self._sink.reports(wait_s)
        if not reports:
            return
        self._budget.remove([item for item, _, _, _ in reports])
        for item, _, error, _ in reports:
            if error is not None:
                self._refused(item, error)
        acknowledged = [report for report in reports if report[2] is None]
        settled = self._ledger.settle([item.record.position for item, _, _, _ in acknowledged])
        self._acknowledged(acknowledged)
        latencies_s = [latency_s for _, _, _, latency_s in acknowledged]
        self._metrics.stage_seconds.labels("deliver").observe_all(latencies_s)
        self._metrics.stages["deliver"].leave(len(reports), self._clock.wall_ms())
        self._metrics.stages["commit"].enter(settled)

    def commit_when_due(self) -> None:
        """Commit what may be committed, once an interval."""
        now = self._clock.now()
        if now - self._committed_at >= self._interval_s or self._heavy:
            self._committed_at = now
            self._commit()
            self.show_uncommitted()

    def show_uncommitted(self) -> None:
        """Of what came to be committed, all has left that is, and that is another's to commit."""
        stage = self._metrics.stages["commit"]
        stage.leave(stage.in_progress - self._ledger.uncommitted, self._clock.wall_ms())

    @property
    def _heavy(self) -> bool:
        """Whether what is to be committed has grown to its limit."""
        return False

    @property
    def standing(self) -> int:
        """How many outcomes came to stand since the last call of `take_standing`."""
        return len(self._standing)

    def take_standing(self) -> list[Stood]:
        """The outcomes that came to stand since the last call."""
        standing, self._standing = self._standing, []
        return standing

    def _send(self, item: Prepared, outcome: Outcome) -> bool:
        return self._sink.send(item, outcome)

    def _count(self, standing: Sequence[Report]) -> None:
        """These stand, since now."""
        now_ms = self._clock.wall_ms()
        outcomes = [outcome for _, outcome, _, _ in standing]
        self._standing += [(outcome, now_ms) for outcome in outcomes]
        # Together: a labelled counter and a histogram cost more for one message than all the rest of its delivery.
        for labels, count in Counter(map(_labels, outcomes)).items():
            self._metrics.outcomes.labels(*labels).inc(count)
        sent_ms = [item.record.timestamp_ms for item, _, _, _ in standing]
        self._metrics.end_to_end_seconds.observe_all([max(0, now_ms - at_ms) / 1000 for at_ms in sent_ms if at_ms > 0])

    @abstractmethod
    def _acknowledged(self, sent: Sequence[Report]) -> None:
        """The broker has these."""

    @abstractmethod
    def _refused(self, item: Prepared, error: TextstreamError) -> None:
        """The broker does not want it, or it was taken back."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit what may be committed, without waiting longer than must be."""

    @abstractmethod
    def commit_now(self, partitions: Sequence[TopicPartition], deadline: float) -> bool:
        """Commit what may be committed of these partitions, until the group holds it; False when the time is up before.

        Whoever reads them next begins there.
        """

    @abstractmethod
    def assigned(self) -> None:
        """Partitions became ours, or stayed: called in every generation of the group."""

    @abstractmethod
    def lost(self) -> None:
        """Somebody else owns partitions whose outcomes may have been sent already."""

    @abstractmethod
    def rewind_if_aborted(self) -> Mapping[TopicPartition, int]:
        """Read again what an aborted transaction held, and from where. Not to be called inside `Source.poll`."""

    def close(self) -> None:
        """Drop what is not delivered: it is not committed."""
        self._sink.close()


class AtLeastOnce(Delivery[Sink]):
    """Offsets follow their outcomes: a crash between the two repeats a suffix of a partition."""

    def _acknowledged(self, sent: Sequence[Report]) -> None:
        self._count(sent)

    def _refused(self, item: Prepared, error: TextstreamError) -> None:
        raise error

    def _commit(self) -> None:
        self._hear()
        self._request(self._ledger.take_commits())

    def commit_now(self, partitions: Sequence[TopicPartition], deadline: float) -> bool:
        """As promised. While members join, the group refuses commits for a moment."""
        deadline = max(deadline, self._clock.now() + MIN_COMMIT_S)
        self._hear()
        again = 0
        while offsets := self._ledger.unconfirmed(partitions):
            self._metrics.retries.labels("commit").inc(again)
            again = len(offsets)
            self._request(offsets)
            held = self._source.committed(offsets, max(0, deadline - self._clock.now()))
            self._ledger.confirm({partition: offset for partition, offset in held.items() if offset is not None})
            if self._ledger.unconfirmed(partitions):
                if self._clock.now() + COMMIT_PAUSE_S > deadline:
                    return False
                self._clock.sleep(COMMIT_PAUSE_S)
        return True

    def assigned(self) -> None:
        """Commits name no generation: the client knows it."""

    def lost(self) -> None:
        """What was sent stands: its new owner repeats it."""

    def rewind_if_aborted(self) -> Mapping[TopicPartition, int]:
        """Nothing is ever aborted."""
        return {}

    def _request(self, offsets: dict[TopicPartition, int]) -> None:
        if offsets:
            self._source.commit(offsets)
            self._metrics.commits.labels("requested").inc(len(offsets))

    def _hear(self) -> None:
        answers = self._source.take_commit_answers()
        self._ledger.confirm(answers.confirmed)
        self._ledger.refuse(answers.refused)
        self._metrics.commits.labels("failed").inc(len(answers.refused))
        self._metrics.retries.labels("commit").inc(len(answers.refused))


class ExactlyOnce(Delivery[TransactionalSink]):
    """Outcomes and their offsets stand together, in one transaction a commit interval, or neither does."""

    _open = False
    _membership: Membership = None
    _aborts_in_a_row = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._acknowledged_since: list[Report] = []

    def assigned(self) -> None:
        """The generation is a new one, and we know what is ours in it."""
        self._membership = self._source.membership()

    def lost(self) -> None:
        """What the transaction holds of them is another's to publish, and it cannot be taken out: none of it stands."""
        if self._open:
            self._abort("partitions were lost")

    def commit_now(self, partitions: Sequence[TopicPartition], deadline: float) -> bool:
        """As promised, of all partitions: a transaction is not divided."""
        return self._end(max(deadline, self._clock.now() + MIN_COMMIT_S))

    def rewind_if_aborted(self) -> Mapping[TopicPartition, int]:
        """As promised; the longer the more often it happens in a row, for whatever is the matter may last."""
        offsets = self._ledger.take_rewinds()
        if offsets:
            self._source.seek(offsets)
            doublings = min(self._aborts_in_a_row, MOST_DOUBLINGS)
            self._clock.sleep(min(ABORT_PAUSE_S * 2**doublings, MOST_ABORT_PAUSE_S))
        return offsets

    def _send(self, item: Prepared, outcome: Outcome) -> bool:
        self._begin()
        try:
            return self._sink.send(item, outcome)
        except Aborted as why:
            self._abort(str(why))
            return False

    def _begin(self) -> None:
        if not self._open:
            # Nothing of it was sent, so nothing of it was made in a generation before this one.
            self._membership = self._source.membership()
            self._sink.begin()
            self._open = True

    def _acknowledged(self, sent: Sequence[Report]) -> None:
        # What is not current went down with an aborted transaction.
        self._acknowledged_since += compress(sent, self._ledger.are_current([one[0].record.position for one in sent]))

    def _refused(self, item: Prepared, error: TextstreamError) -> None:
        if isinstance(error, Misconfigured):
            raise error
        if self._ledger.is_current(item.record.position):  # else it went down with it already
            self._abort(str(error))

    @property
    def _heavy(self) -> bool:
        return len(self._acknowledged_since) >= MAX_TRANSACTION_MESSAGES

    def _commit(self) -> None:
        self._end(self._clock.now() + self._limit_s)

    def _end(self, deadline: float) -> bool:
        """Commit the transaction, with every offset that may be; False when it was aborted."""
        aborts = self.aborts
        while self._sink.unreported and self.aborts == aborts:
            self.settle(FLUSH_WAIT_S)
            if self._clock.now() >= deadline and self._sink.unreported and self.aborts == aborts:
                self._abort(f"{self._sink.unreported} outcomes were not acknowledged in time")
        offsets = self._ledger.unconfirmed(self._ledger.assigned)
        if self.aborts > aborts:
            return False
        if not (self._open or offsets):
            return True
        self._begin()
        self._metrics.commits.labels("requested").inc(len(offsets))
        try:
            self._sink.commit(offsets, self._membership, max(MIN_COMMIT_S, deadline - self._clock.now()))
        except Aborted as why:
            self._metrics.commits.labels("failed").inc(len(offsets))
            self._abort(str(why))
            return False
        self._open = False
        self._aborts_in_a_row = 0
        self._ledger.confirm(offsets)
        self._count(self._acknowledged_since)
        self._acknowledged_since.clear()
        return True

    def _abort(self, why: str) -> None:
        log.warning("transaction_aborted", why=why)
        if self._open:
            self._sink.abort(self._limit_s)
        self._open = False
        self.aborts += 1
        self._aborts_in_a_row += 1
        self._metrics.aborted_transactions.inc()
        self._metrics.retries.labels("transaction").inc()
        self._acknowledged_since.clear()
        self._ledger.rewind()
