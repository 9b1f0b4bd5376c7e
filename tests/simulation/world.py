"""The worker's world, simulated (`core.ports.World`): clients of the brokers in `broker`, a model, a clock.

A process that crashes reaches nothing any more; one that is frozen (SIGSTOP) does nothing until it goes on, and learns only
then, in a poll, what became of it meanwhile. What was on the wire arrives all the same.
"""

import contextlib
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from zlib import crc32

from tests.simulation.broker import (
    BROKERS,
    GROUP_BROKER,
    MAX_POLL_INTERVAL_S,
    NOBODY,
    TRANSACTION_BROKER,
    Brokers,
    Connection,
    Destination,
    Membership,
    Transaction,
    Written,
)
from tests.simulation.loop import Actor, Crashed, Loop
from tests.simulation.observer import Handed, Observer, Run, Violation
from textstream.core.batch import Batch
from textstream.core.codec import Codec, Route
from textstream.core.offsets import TopicPartition
from textstream.core.ports import Aborted, Assignment, CommitAnswers, Pipeline, Polled, Report, Scored, Topics
from textstream.core.ports import Membership as AnyMembership
from textstream.core.process import Prepared, Scorer, enrich
from textstream.core.record import Outcome, Position
from textstream.errors import Fatal, TextstreamError, Transient
from textstream.settings import Settings

HEARTBEAT_S = 0.05
LINGER_S = 0.001
FETCH_MAX = 7
"""Most records of one partition in a row."""
RETRY_S = 0.02
"""Before the client asks again for what the broker could not tell."""
SCORING_QUEUE = 2
DRAIN_EXTRA_S = 1.5
"""Beyond the drain limit, for letting go and for stopping: `delivery.MIN_COMMIT_S`, and the simulation's coarse time."""
NOW_MS = 1_764_000_000_000

T = TypeVar("T")


class Tracer:
    """What happened, in order; costs nothing while it is off."""

    def __init__(self, loop: Loop, *, on: bool) -> None:
        self._loop = loop
        self.on = on
        self.lines: list[str] = []

    def __call__(self, who: str, what: str) -> None:
        """One line."""
        self.lines.append(f"{self._loop.now:8.4f} {who:6} {what}")


@dataclass
class Setting:
    """What all processes share."""

    loop: Loop
    rng: random.Random
    brokers: Brokers
    observer: Observer
    settings: Settings
    topics: tuple[Topics, ...]
    output_partitions: int
    trace: Tracer
    coarse_s: float
    """No wait is shorter than this, unless what it waits for comes: the machine is busy."""
    score_s: float
    """What a batch takes."""
    sent_ms: int = NOW_MS
    """The timestamp of every record."""
    eager: bool = False
    """A client that was shut out joins again before its polling thread hears of it. librdkafka's waits; others may not."""


class Process:
    """One incarnation of a worker: its time, its connections, its fate."""

    def __init__(self, name: str, setting: Setting) -> None:
        self.name = name
        self.setting = setting
        self.actor = Actor(name)
        self.slow_scoring = 1.0
        self.aborts = 0
        self.frozen_at = -1.0
        self.unfinished: Violation | None = None  # what it left, which it may only where it failed
        self.source: SimSource | None = None
        self.sink: SimSink | None = None

    @property
    def crashed(self) -> bool:
        """Whether it is gone."""
        return self.actor.crashed

    def check(self) -> None:
        """What a process that is gone would still do, it does not."""
        if self.actor.crashed:
            raise Crashed

    def wait(self, seconds: float, ready: Callable[[], bool] | None = None) -> None:
        """Let time pass."""
        self.setting.loop.wait(self.actor, max(seconds, self.setting.coarse_s), ready)

    def when_running(self, do: Callable[[], object]) -> None:
        """Do what a thread of the process does: not while it is frozen, never when it is gone."""
        if self.actor.crashed:
            return
        if self.actor.frozen_until > self.setting.loop.now:
            self.setting.loop.at(self.actor.frozen_until, lambda: self.when_running(do))
        else:
            do()

    def ask(self, connection: Connection, question: Callable[[], T | None], within_s: float) -> T | None:
        """A request and its answer; None when none came in time. The broker may have done it all the same."""
        setting = self.setting
        deadline = setting.loop.now + within_s
        answers: list[T] = []

        def arrive() -> None:
            answer = question()
            if answer is not None:
                setting.loop.after(setting.brokers.network.latency(), lambda: self.when_running(lambda: take(answer)))
            elif setting.loop.now < deadline:
                setting.loop.after(RETRY_S, arrive)

        def take(answer: T) -> None:
            answers.append(answer)
            setting.loop.tell(self.actor)

        connection.send(arrive)
        setting.loop.wait(self.actor, within_s, lambda: bool(answers))
        return answers[0] if answers else None


class SimClock:
    """`core.ports.Clock`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop = process.setting.loop

    def now(self) -> float:
        """The simulation's."""
        return self._loop.now

    def wall_ms(self) -> int:
        """The simulation's, as a date."""
        return NOW_MS + int(self._loop.now * 1000)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._process.wait(seconds)


class StopFlag(threading.Event):
    """The worker's stop flag: to wait for it lets simulated time pass."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def wait(self, timeout: float | None = None) -> bool:
        """As the real one."""
        self._process.wait(timeout or 0.0, self.is_set)
        return self.is_set()


class SimSource:
    """`core.ports.Source`: a member of the group, with librdkafka's background threads."""

    def __init__(self, process: Process, assignment: Assignment) -> None:
        setting = process.setting
        self._process, self._setting, self._assignment = process, setting, assignment
        self._loop, self._observer, self._group = setting.loop, setting.observer, setting.brokers.group
        self._connection = Connection(setting.loop, setting.brokers.network, GROUP_BROKER)
        self.owned: dict[TopicPartition, int] = {}  # and the next offset to fetch
        self._paused: set[TopicPartition] = set()
        self._told_end: dict[TopicPartition, int] = {}
        self._todo: deque[tuple[str, set[TopicPartition]]] = deque()
        self._doing = False
        self._must_rejoin = False
        self._membership = NOBODY
        self._answers_on_the_way = CommitAnswers({}, [])
        self._answers = CommitAnswers({}, [])
        self._polled_at = setting.loop.now
        self._closed = False
        self._limit = setting.settings.delivery.max_in_flight_messages
        self._name = self._group.join(self)
        process.source = self
        self._beat()

    # ---- in the background

    @property
    def claims(self) -> Iterable[TopicPartition]:
        """What it tells the group that it owns."""
        return () if self._lost else self.owned

    @property
    def settled(self) -> bool:
        """Whether all that it was told as the member that it is now is done."""
        return not self._doing and (not self._todo or (self._lost and len(self._todo) == 1))

    @property
    def _lost(self) -> bool:
        """Whether it was shut out, and the polling thread does not know."""
        return bool(self._todo) and self._todo[0][0] == "lost"

    @property
    def is_member(self) -> bool:
        """Whether what it owns is its own."""
        return not self._lost and self._name in self._group.members

    def told(self, membership: Membership, revoked: set[TopicPartition], assigned: set[TopicPartition] | None) -> None:
        """The group has moved on; the polling thread hears of it in its next poll."""
        self._membership = membership
        if revoked:
            self._todo.append(("revoked", revoked))
            self._must_rejoin = self._group.classic
        if assigned is not None:
            self._todo.append(("assigned", assigned))
        self._loop.tell(self._process.actor)

    def shut_out(self) -> None:
        """It is no member any more; the polling thread hears of it in its next poll, and then it joins again."""
        # As measured with librdkafka 2.16.0 on Kafka 4.1.1: a classic client keeps the generation, under no name; with
        # KIP-848 it keeps the name, with the epoch of one who wants to join. Brokers refuse both.
        was = self._membership
        self._membership = Membership("", was.generation) if self._group.classic else Membership(self._name, 0)
        if not self._lost or self._setting.eager:
            self._todo = deque([("lost", set())])
            self._loop.tell(self._process.actor)
        if self._setting.eager:
            self._name = self._group.join(self)

    def _beat(self) -> None:
        if self._closed or self._process.crashed:
            return
        self._loop.after(HEARTBEAT_S * (0.5 + self._setting.rng.random()), lambda: self._process.when_running(self._beat))
        if self._setting.brokers.network.away(GROUP_BROKER):
            return
        if self._loop.now - self._polled_at > MAX_POLL_INTERVAL_S:
            self._group.leave(self._name)
        if self._must_rejoin and self.settled:
            self._must_rejoin = False
            self._group.rejoin()
        self._group.heartbeat(self._name, self)

    # ---- on the polling thread

    def membership(self) -> Membership:
        """What the background knows by now, which may be more than the polling thread was told."""
        self._process.check()
        return self._membership

    def poll(self, max_records: int, timeout_s: float, *, gather: bool = False) -> Polled:
        """As the real one."""
        self._process.check()
        self._polled_at = self._loop.now
        if max_records > max(1, self._limit - self._observer.in_flight(self._process.name)):
            raise Violation("memory is bounded", f"{self._process.name} polls {max_records} more")
        self._serve()
        polled = self._fetch(max_records)
        if timeout_s and not (polled.records or polled.ends):
            self._process.wait(timeout_s, (lambda: False) if gather else self._something)
            self._polled_at = self._loop.now
            self._serve()
            polled = self._fetch(max_records)
        self._answers.confirmed.update(self._answers_on_the_way.confirmed)
        self._answers.refused.extend(self._answers_on_the_way.refused)
        self._answers_on_the_way = CommitAnswers({}, [])
        return polled

    def _something(self) -> bool:
        brokers = self._setting.brokers
        return bool(self._todo) or any(
            brokers.inputs[partition].end > max(at, self._told_end.get(partition, -1))
            for partition, at in self.owned.items()
            if partition not in self._paused and not brokers.network.away(partition[1] % BROKERS)
        )

    def _fetch(self, most: int) -> Polled:
        polled = Polled([], [], [])
        partitions = [partition for partition in self.owned if partition not in self._paused]
        self._setting.rng.shuffle(partitions)
        for partition in partitions:
            if most > len(polled.records) and not self._setting.brokers.network.away(partition[1] % BROKERS):
                self._fetch_from(partition, min(FETCH_MAX, most - len(polled.records)), polled)
        return polled

    def _fetch_from(self, partition: TopicPartition, most: int, polled: Polled) -> None:
        log, at = self._setting.brokers.inputs[partition], self.owned[partition]
        epoch = self._assignment.epoch_of(partition)
        first = log.from_offset(at)
        for offset in log.offsets[first : first + most]:
            self.owned[partition] = offset + 1
            if epoch is not None:
                record = Handed(Position(*partition, offset, epoch), log.values[offset], b"key", (), self._setting.sent_ms)
                self._observer.handed(self._process.name, record)
                polled.records.append(record)
        if first + most >= len(log.offsets) and self._told_end.get(partition, -1) != log.end:
            self.owned[partition] = self._told_end[partition] = log.end
            if epoch is not None:
                polled.ends.append(Position(*partition, log.end, epoch))

    def _serve(self) -> None:
        """Rebalances, as the polling thread hears of them."""
        while self._todo:
            what, partitions = self._todo.popleft()
            self._doing = True
            try:
                getattr(self, f"_serve_{what}")(sorted(partitions))
            finally:
                self._doing = False

    def _serve_assigned(self, partitions: list[TopicPartition]) -> None:
        self._say("assigned", partitions)
        for partition in partitions:
            self._observer.ends(self._process.name, [partition])
        starts = self._assignment.assigned(partitions)
        for partition, start in starts.items():
            self._begin(partition, start)

    def _begin(self, partition: TopicPartition, start: int) -> None:
        self._observer.begins(self._process.name, partition, start, member=self.is_member)
        self.owned[partition] = start
        self._told_end.pop(partition, None)

    def _serve_revoked(self, partitions: list[TopicPartition]) -> None:
        self._say("revoked", partitions)
        drain_s = self._setting.settings.delivery.drain_timeout_s
        began_at = self._loop.now
        aborts = self._process.aborts
        self._assignment.revoked(partitions)
        took_s = self._loop.now - began_at
        calm = self._process.frozen_at < began_at and aborts == self._process.aborts
        if took_s > 2 * drain_s + DRAIN_EXTRA_S and self._process.frozen_at < began_at:
            raise Violation("drain in time", f"{self._process.name} took {took_s:.3f} s to let {partitions} go")
        if took_s < drain_s - 0.01 and self.is_member and calm:
            self._observer.let_go(self._process.name, partitions)
        self._forget(partitions)

    def _serve_lost(self, _: list[TopicPartition]) -> None:
        partitions, self.owned = sorted(self.owned), {}
        self._say("lost", partitions)
        self._observer.ends(self._process.name, partitions)
        if partitions:
            self._assignment.lost(partitions)
        self._must_rejoin = False
        if not (self._closed or self._setting.eager):
            self._name = self._group.join(self)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        self._observer.ends(self._process.name, partitions)
        for partition in partitions:
            del self.owned[partition]

    def _say(self, what: str, partitions: Sequence[TopicPartition]) -> None:
        if self._setting.trace.on:
            self._setting.trace(self._process.name, f"is told: {what} {list(partitions)} {self._membership}")

    def subscribe(self, topics: Sequence[str]) -> None:
        """As the real one; topics neither come nor go here."""
        self._process.check()

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """As the real one."""
        self._process.check()
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """As the real one."""
        self._process.check()
        self._paused.difference_update(partitions)

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """As the real one."""
        self._process.check()
        for partition, offset in sorted(offsets.items()):
            self._begin(partition, offset)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """As the real one."""
        self._process.check()
        self._observer.asks_for_commit(self._process.name, offsets)
        asked, membership = dict(offsets), self._membership

        def arrive() -> None:
            accepted = self._group.commit(asked, membership)
            self._loop.after(
                self._setting.brokers.network.latency(), lambda: self._process.when_running(lambda: hear(accepted))
            )

        def hear(accepted: bool) -> None:
            if accepted:
                self._answers_on_the_way.confirmed.update(asked)
            else:
                self._answers_on_the_way.refused.extend(asked)

        self._connection.send(arrive)

    def take_commit_answers(self) -> CommitAnswers:
        """As the real one."""
        answers, self._answers = self._answers, CommitAnswers({}, [])
        return answers

    def committed(self, partitions: Iterable[TopicPartition], within_s: float) -> dict[TopicPartition, int | None]:
        """As the real one: offsets that a transaction may still change are waited for."""
        self._process.check()
        asked = list(partitions)

        def question() -> dict[TopicPartition, int | None] | None:
            if not self._group.stable(asked):
                return None
            return {partition: self._group.committed.get(partition) for partition in asked}

        return self._process.ask(self._connection, question, within_s) or {}

    def bounds(self, partition: TopicPartition, within_s: float) -> tuple[int, int]:
        """As the real one."""
        self._process.check()
        return 0, self._setting.brokers.inputs[partition].end

    def offset_at(self, partition: TopicPartition, timestamp_ms: int, within_s: float) -> int:
        """As the real one; all records are of the same time."""
        return 0 if timestamp_ms <= NOW_MS else self._setting.brokers.inputs[partition].end

    def end_offset(self, partition: TopicPartition) -> int | None:
        """As the real one."""
        return self._setting.brokers.inputs[partition].end

    def close(self) -> None:
        """As the real one."""
        self._process.check()
        self._closed = True
        partitions = sorted(self.owned)
        if self.is_member and partitions:
            try:
                self._observer.let_go(self._process.name, partitions)
            except Violation as unfinished:
                self._process.unfinished = unfinished
            self._assignment.revoked(partitions)
        elif partitions:
            self._assignment.lost(partitions)
        self._forget(partitions)
        self._group.leave(self._name)


@dataclass(slots=True, eq=False)
class SentBatch:
    """Outcomes that travel to one partition together."""

    to: Destination
    items: list[tuple[Prepared, Outcome, Run]] = field(default_factory=list)
    purged: bool = False


class SimSink:
    """`core.ports.Sink`: an idempotent producer. A partition's batches arrive and are reported in order."""

    def __init__(self, process: Process, pipeline: Pipeline, limit: int) -> None:
        self._process, self._setting = process, process.setting
        self._loop, self._brokers = process.setting.loop, process.setting.brokers
        self._pipeline, self._limit = pipeline, limit
        self._connections: dict[Destination, Connection] = {}
        self._filling: dict[Destination, SentBatch] = {}
        self._travelling: list[SentBatch] = []
        self._reported_at: dict[Destination, float] = {}
        self._reports: list[tuple[Report, Run]] = []
        self._transaction: Transaction | None = None
        self._fatal = ""
        self._failed = ""  # why a batch was refused
        self.unreported = 0
        process.sink = self

    def route(self, pipeline: Pipeline) -> None:
        """As the real one."""
        self._pipeline = pipeline

    def break_down(self, why: str) -> None:
        """The client meets an error that it never recovers from."""
        self._fatal = why
        self._loop.tell(self._process.actor)

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """As the real one."""
        self._process.check()
        if self.unreported >= self._limit:
            return False
        to = self._destination(outcome)
        run = self._setting.observer.sends(self._process.name, item, outcome, to)
        if self._setting.trace.on:
            self._setting.trace(self._process.name, f"sends {run.partition} {item.record.position.offset} to {to}")
        batch = self._filling.get(to)
        if batch is None:
            batch = self._filling[to] = SentBatch(to)
            self._travelling.append(batch)
            self._loop.after(LINGER_S, lambda: self._process.when_running(lambda: self._depart(batch)))
        batch.items.append((item, outcome, run))
        self.unreported += 1
        return True

    def _destination(self, outcome: Outcome) -> Destination:
        topic, partition = outcome.record.position.topic, outcome.record.position.partition
        route = next(one for one in self._pipeline.topics if one.input == topic)
        name = route.dead if outcome.kind == "dead" else route.enriched
        count = self._pipeline.partitions[name]
        if count == self._pipeline.partitions[topic] and partition < count:
            return name, partition
        return name, crc32(outcome.record.value or b"") % count

    def _depart(self, batch: SentBatch) -> None:
        if batch.purged:
            return
        del self._filling[batch.to]
        if batch.to not in self._connections:
            self._connections[batch.to] = Connection(self._loop, self._brokers.network, batch.to[1] % BROKERS)
        transaction = self._transaction
        self._connections[batch.to].send(lambda: self._arrive(batch, transaction))

    def _arrive(self, batch: SentBatch, transaction: Transaction | None) -> None:
        if batch.purged:
            return
        error: TextstreamError | None = None
        if self._brokers.refusals and not self._process.crashed:
            error = Fatal(self._brokers.refusals.popleft())
        else:
            for item, outcome, run in batch.items:
                written = Written(run.partition, item.record.position.offset, outcome.kind, run.number)
                if not self._brokers.append(batch.to, written, transaction):
                    error = Fatal("the transaction is ended")
        at = max(self._reported_at.get(batch.to, 0.0), self._loop.now + self._brokers.network.latency())
        self._reported_at[batch.to] = at
        self._loop.at(at, lambda: self._process.when_running(lambda: self._report(batch, error)))

    def _report(self, batch: SentBatch, error: TextstreamError | None) -> None:
        if batch.purged:
            return
        batch.purged = True
        self._travelling.remove(batch)
        self._reports += [((item, outcome, error, 0.0), run) for item, outcome, run in batch.items]
        self._failed = str(error) if error is not None else self._failed
        self._loop.tell(self._process.actor)

    def reports(self, timeout_s: float = 0) -> list[Report]:
        """As the real one."""
        self._process.check()
        if timeout_s and not self._reports:
            self._process.wait(timeout_s, lambda: bool(self._reports or self._fatal))
        if self._fatal:
            raise Fatal(self._fatal)
        taken, self._reports = self._reports, []
        self.unreported -= len(taken)
        for report, run in taken:
            item, _, error, _ = report
            offset = item.record.position.offset
            self._setting.observer.reported(run, offset, acknowledged=error is None)
        return [report for report, _ in taken]

    def close(self) -> None:
        """As the real one."""
        self._process.check()
        self._purge()

    def _purge(self) -> None:
        for batch in self._travelling:
            batch.purged = True
            self._reports += [((item, outcome, Fatal("purged"), 0.0), run) for item, outcome, run in batch.items]
        self._travelling.clear()
        self._filling.clear()


class SimTransactionalSink(SimSink):
    """`core.ports.TransactionalSink`."""

    def __init__(self, process: Process, pipeline: Pipeline, limit: int, name: str, timeout_s: float) -> None:
        super().__init__(process, pipeline, limit)
        self._name = name
        self._coordinator = Connection(self._loop, self._brokers.network, TRANSACTION_BROKER)
        self._ending = False
        opened: list[int] = []

        def question() -> int | None:
            if not opened and (epoch := self._brokers.transactions.open_producer(name)) is not None:
                opened.append(epoch)
            return opened[0] if opened else None

        epoch = process.ask(self._coordinator, question, timeout_s)
        if epoch is None:
            raise Transient(f"no transactions within {timeout_s} s")
        self._epoch = epoch

    def begin(self) -> None:
        """As the real one."""
        self._process.check()
        assert self._transaction is None, "begun twice"
        self._transaction = Transaction(self._name, self._epoch)

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """As the real one."""
        if self._transaction is None or self._ending:
            raise Violation("nothing is sent outside of a transaction", f"{self._process.name}: {item.record.position}")
        if self._failed:
            raise Aborted(self._failed)
        return super().send(item, outcome)

    def commit(self, offsets: Mapping[TopicPartition, int], membership: AnyMembership, within_s: float) -> None:
        """As the real one."""
        self._process.check()
        transaction = self._transaction
        assert transaction is not None and isinstance(membership, Membership)
        if self.unreported:
            raise Violation("a transaction is committed whole", f"{self._process.name}: {self.unreported} are on their way")
        if self._setting.trace.on:
            self._setting.trace(self._process.name, f"commits {dict(offsets)} as {membership}")
        deadline = self._loop.now + within_s
        self._ending = True
        try:
            if offsets:
                self._take(self._process.ask(
                    self._coordinator, lambda: self._add_offsets(transaction, dict(offsets), membership), within_s
                ), "offsets not taken into the transaction")  # fmt: skip
            left_s = max(deadline - self._loop.now, 0.1)
            self._take(
                self._process.ask(self._coordinator, lambda: self._end(transaction, commit=True), left_s), "not committed"
            )
        finally:
            self._ending = False
        self._transaction = None

    def abort(self, within_s: float) -> None:
        """As the real one."""
        self._process.check()
        transaction = self._transaction
        assert transaction is not None
        self._process.aborts += 1
        self._setting.observer.rewinds(self._process.name)
        if self._setting.trace.on:
            self._setting.trace(self._process.name, "aborts")
        self._purge()
        answer = self._process.ask(self._coordinator, lambda: self._end(transaction, commit=False), within_s)
        self._take(answer, "not aborted")
        self._transaction, self._failed = None, ""

    def close(self) -> None:
        """As the real one."""
        self._process.check()
        if self._transaction is not None:
            with contextlib.suppress(TextstreamError, Aborted):
                self.abort(5.0)

    def _add_offsets(self, transaction: Transaction, offsets: dict[TopicPartition, int], who: Membership) -> str:
        if self._brokers.refusals:
            return "abort: " + self._brokers.refusals.popleft()
        if not self._brokers.transactions.enter(transaction):
            return "fenced"
        if not self._brokers.group.accepts(who, in_transaction=True):
            return f"abort: the group does not know {who}"
        transaction.offsets.update(offsets)
        self._brokers.group.add_pending(transaction, offsets)
        return "done"

    def _end(self, transaction: Transaction, *, commit: bool) -> str:
        transactions = self._brokers.transactions
        if transaction.state in ("new", "open") and transactions.fenced(transaction):
            return "fenced"
        return "done" if transactions.end(transaction, commit=commit) else "fenced"

    def _take(self, answer: str | None, doing: str) -> None:
        if answer is None:
            raise Transient(f"{doing}: no answer")
        if answer.startswith("abort: "):
            raise Aborted(f"{doing}: {answer}")
        if answer == "fenced":
            raise Fatal(f"{doing}: another producer has the transactional id, or the transaction took too long")


class SimScoring:
    """`core.ports.Scoring`: a scoring thread that takes simulated time."""

    def __init__(self, process: Process, codec: Codec, scorer: Scorer) -> None:
        self._process, self._loop, self._rng = process, process.setting.loop, process.setting.rng
        self._codec, self._scorer = codec, scorer
        self._submitted: deque[tuple[Batch, float]] = deque()
        self._scored: list[Scored | BaseException] = []
        self._free_at = 0.0
        self._limits = process.setting.settings.batch

    @property
    def busy(self) -> bool:
        """As the real one."""
        return bool(self._submitted)

    @property
    def full(self) -> bool:
        """As the real one."""
        return len(self._submitted) >= SCORING_QUEUE

    @property
    def waiting_since(self) -> float | None:
        """As the real one."""
        return self._submitted[0][1] if self._submitted else None

    def submit(self, batch: Batch) -> None:
        """As the real one."""
        self._process.check()
        too_many = len(batch.items) > self._limits.max_messages
        if self.full or too_many or (batch.tokens > self._limits.max_tokens and len(batch.items) > 1):
            raise Violation("queues keep their bounds", f"{self._process.name}: {len(batch.items)}, {batch.tokens} tokens")
        now = self._loop.now
        self._submitted.append((batch, now))
        begins = max(now, self._free_at)
        self._free_at = begins + self._process.setting.score_s * self._process.slow_scoring * (0.5 + self._rng.random())
        self._loop.at(self._free_at, lambda: self._process.when_running(lambda: self._finish(batch, now, begins)))

    def _finish(self, batch: Batch, submitted_at: float, started_at: float) -> None:
        now = self._loop.now
        try:
            enriched = enrich(batch.items, self._codec, self._scorer, NOW_MS + int(now * 1000))
            self._scored.append(Scored(batch, enriched, submitted_at, started_at, now))
        except Exception as error:
            self._scored.append(error)
        self._loop.tell(self._process.actor)

    def results(self, timeout_s: float) -> list[Scored]:
        """As the real one."""
        self._process.check()
        if timeout_s and self.busy and not self._scored:
            self._process.wait(timeout_s, lambda: bool(self._scored))
        taken, self._scored = self._scored, []
        results = []
        for one in taken:
            if isinstance(one, BaseException):
                raise one
            self._submitted.popleft()
            results.append(one)
        return results

    def close(self) -> None:
        """As the real one."""
        self._process.check()


class SimWorld:
    """`core.ports.World`."""

    def __init__(self, process: Process, scorer: Scorer, *, transactional_id: str, queue_limit: int) -> None:
        self._process, self._setting, self._scorer = process, process.setting, scorer
        self._transactional_id = transactional_id
        self._queue_limit = queue_limit

    def inspect(self, within_s: float) -> Pipeline:
        """The topics as they are now."""
        self._process.check()
        if self._setting.brokers.network.away(GROUP_BROKER):
            raise Transient("the broker is away")
        counts: dict[str, int] = {}
        for topic, _ in self._setting.brokers.inputs:
            counts[topic] = counts.get(topic, 0) + 1
        for one in self._setting.topics:
            counts[one.enriched] = counts[one.dead] = self._setting.output_partitions
        routes = {one.input: Route() for one in self._setting.topics}
        return Pipeline(self._setting.topics, counts, routes, replays={})

    def scoring(self, codec: Codec) -> SimScoring:
        """The model, at work."""
        return SimScoring(self._process, codec, self._scorer)

    def source(self, assignment: Assignment, topics: Sequence[str]) -> SimSource:
        """A member of the group."""
        return SimSource(self._process, assignment)

    def sink(self, pipeline: Pipeline) -> SimSink:
        """A writer, for at least once."""
        return SimSink(self._process, pipeline, self._queue_limit)

    def transactional_sink(self, pipeline: Pipeline) -> SimTransactionalSink:
        """A writer, for exactly once."""
        timeout_s = self._setting.settings.delivery.transaction_timeout_s
        return SimTransactionalSink(self._process, pipeline, self._queue_limit, self._transactional_id, timeout_s)
