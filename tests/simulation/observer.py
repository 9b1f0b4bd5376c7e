"""What must hold, judged by what the brokers accept and what the worker was told; never by what the worker believes.

A *run* is what one process reads of one partition between being assigned it (or sent back in it) and losing it. Under at
least once a run repeats what the one before it left uncommitted, and nothing else is ever seen twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.broker import Brokers, Destination, Transaction, Written
from textstream.core.offsets import TopicPartition
from textstream.core.process import Prepared
from textstream.core.record import Outcome, OutcomeKind, Record


class Violation(BaseException):
    """Something that must hold does not. No error: nothing of the worker's may handle it."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


@dataclass(slots=True, eq=False)
class Run:
    """One process's reading of one partition from `start`."""

    number: int
    process: str
    partition: TopicPartition
    start: int
    live: bool = True
    in_flight: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    done: int = 0  # index of the first record, from `start`, that is not acknowledged
    handed: int = -1  # the last offset handed out
    sent: dict[Destination, int] = field(default_factory=dict)


class Handed(Record):
    """A record that knows in which run it was handed out."""

    run: Run


class Observer:
    """Sees everything. `exactly_once` says which promise is judged."""

    def __init__(self, brokers: Brokers, *, exactly_once: bool, expected: Mapping[bytes | None, OutcomeKind]) -> None:
        self._brokers = brokers
        self._exactly_once = exactly_once
        self._expected = expected
        self._runs: dict[tuple[str, TopicPartition], Run] = {}
        self._numbers = 0
        self.view: dict[TopicPartition, dict[int, OutcomeKind]] = {}  # what a read_committed reader sees of each input
        self._last_in_view: dict[tuple[TopicPartition, Destination], int] = {}
        self._last_of_run: dict[tuple[int, Destination], int] = {}
        self._done: dict[TopicPartition, int] = {}  # how many of a partition's records stand, without a hole
        self._promised: dict[TopicPartition, int] = {}  # what the group holds, or will once a transaction's marker has come
        self.repeated = 0
        brokers.watch(self)

    # ---- what the worker is told

    def begins(self, process: str, partition: TopicPartition, start: int, *, member: bool) -> None:
        """A process reads a partition from there: assigned, or sent back. Without being a `member` it will not get far."""
        held = self._promised.get(partition, 0)
        if member and start != held:
            raise Violation("a run begins at the committed offset", f"{process} reads {partition} from {start}, not {held}")
        self.ends(process, [partition])
        self._numbers += 1
        self._runs[process, partition] = Run(self._numbers, process, partition, start)

    def ends(self, process: str, partitions: Sequence[TopicPartition]) -> None:
        """They are not the process's any more, and it was told so; or what it reads of them, it has to read again."""
        for partition in partitions:
            run = self._runs.pop((process, partition), None)
            if run is not None:
                run.live = False
                run.in_flight.clear()

    def rewinds(self, process: str) -> None:
        """The process takes back what it sent: it has to read again before it sends more."""
        for (owner, _), run in self._runs.items():
            if owner == process:
                run.live = False
                run.in_flight.clear()

    def let_go(self, process: str, partitions: Sequence[TopicPartition]) -> None:
        """The process gave them up, with time left."""
        for partition in partitions:
            run = self._runs.get((process, partition))
            if run is None or not run.live:
                continue
            if run.in_flight:
                raise Violation("a revoked partition is finished first", f"{process}, {partition}: {sorted(run.in_flight)}")
            held = self._promised.get(partition, 0)
            if run.handed >= held:
                raise Violation("a revoked partition is committed first", f"{process}, {partition}: {run.handed} ≥ {held}")

    def handed(self, process: str, record: Handed) -> None:
        """A record is the process's to handle."""
        topic, number, offset, _ = record.position
        record.run = self._runs[process, (topic, number)]
        if not record.run.live:
            raise Violation("after an abort all is read again", f"{process} goes on with {record.run.partition} {offset}")
        record.run.in_flight.add(offset)
        record.run.handed = offset

    def in_flight(self, process: str) -> int:
        """How many records the process has in hand."""
        return sum(len(run.in_flight) for (owner, _), run in self._runs.items() if owner == process)

    # ---- what the worker does

    def sends(self, process: str, item: Prepared, outcome: Outcome, to: Destination) -> Run:
        """An outcome leaves the worker."""
        run: Run = item.record.run  # type: ignore[attr-defined]
        offset = item.record.position.offset
        if not run.live or offset not in run.in_flight:
            raise Violation("a stale result is never produced", f"{process} sends {run.partition} {offset}")
        if run.sent.get(to, -1) >= offset:
            raise Violation("order", f"{process} sends {run.partition} {offset} after {run.sent[to]} to {to}")
        run.sent[to] = offset
        source = f"{run.partition[0]}/{run.partition[1]}/{offset}".encode()
        if ("textstream.source", source) not in outcome.headers:
            raise Violation("each record has its own outcome", f"{source!r} under {outcome.headers}")
        if outcome.kind != self._expected[item.record.value]:
            raise Violation("each record has its own outcome", f"{item.record.value!r} became {outcome.kind}")
        return run

    def reported(self, run: Run, offset: int, *, acknowledged: bool) -> None:
        """The worker hears what became of an outcome."""
        run.in_flight.discard(offset)
        if acknowledged:
            run.acknowledged.add(offset)

    def asks_for_commit(self, process: str, offsets: Mapping[TopicPartition, int]) -> None:
        """At least once: the worker believes that these may be committed."""
        for partition, offset in offsets.items():
            run = self._runs.get((process, partition))
            if run is None:
                raise Violation("only what is ours is committed", f"{process} commits {partition} {offset}")
            first = self._first_unacknowledged(run)
            if first is not None and first < offset:
                raise Violation("no commit past an unacknowledged record", f"{process}: {partition} {offset} past {first}")
            self._check_within(partition, offset)

    def _first_unacknowledged(self, run: Run) -> int | None:
        log = self._brokers.inputs[run.partition]
        at = log.from_offset(run.start) + run.done
        while at < len(log.offsets) and log.offsets[at] in run.acknowledged:
            at += 1
        run.done = at - log.from_offset(run.start)
        return log.offsets[at] if at < len(log.offsets) else None

    def _check_within(self, partition: TopicPartition, offset: int) -> None:
        end = self._brokers.inputs[partition].end
        if offset > end:
            raise Violation("no commit past the end", f"{partition} {offset}, its end is {end}")

    # ---- what the brokers accept

    def appended(self, to: Destination, outcome: Written) -> None:
        """An outcome stands in a log, of which a transaction may not be ended."""
        last = self._last_of_run.get((outcome.run, to), -1)
        if outcome.offset <= last:
            raise Violation("order", f"{outcome} stands after {last} in {to}")
        self._last_of_run[outcome.run, to] = outcome.offset
        if not self._exactly_once:
            seen = self.view.setdefault(outcome.source, {})
            self.repeated += outcome.offset in seen
            seen[outcome.offset] = outcome.kind

    def transaction_committed(self, transaction: Transaction) -> None:
        """Its outcomes are seen from now on, whatever happens."""
        for to, outcome in transaction.written:
            seen = self.view.setdefault(outcome.source, {})
            if outcome.offset in seen:
                raise Violation("exactly once", f"{outcome} stands twice")
            seen[outcome.offset] = outcome.kind
            last = self._last_in_view.get((outcome.source, to), -1)
            if outcome.offset <= last:
                raise Violation("order", f"{outcome} is seen after {last} in {to}")
            self._last_in_view[outcome.source, to] = outcome.offset
        held = {**self._brokers.group.committed, **transaction.offsets}
        for _, outcome in transaction.written:
            if outcome.offset >= held.get(outcome.source, 0):
                raise Violation("outcomes stand with their offsets", f"{outcome} without its offset, {held}")
        self._check_done(transaction.offsets)

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The group holds these."""
        for partition, offset in offsets.items():
            held = self._brokers.group.committed.get(partition, 0)
            if offset < held:
                raise Violation("a committed offset never goes back", f"{partition} {offset}, after {held}")
        self._check_done(offsets)

    def _check_done(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._promised.update(offsets)
        for partition, offset in offsets.items():
            self._check_within(partition, offset)
            log, seen = self._brokers.inputs[partition], self.view.setdefault(partition, {})
            done = self._done.get(partition, 0)
            while done < len(log.offsets) and log.offsets[done] in seen:
                done += 1
            self._done[partition] = done
            if done < len(log.offsets) and log.offsets[done] < offset:
                raise Violation("no commit past a record without outcome", f"{partition} {offset} past {log.offsets[done]}")

    # ---- the end

    def drained(self) -> bool:
        """Whether the group holds the end of every partition."""
        committed = self._brokers.group.committed
        return all(committed.get(partition) == log.end for partition, log in self._brokers.inputs.items())

    def check_all(self) -> None:
        """Every input has its outcome."""
        for partition, log in self._brokers.inputs.items():
            if missing := set(log.offsets) - self.view.get(partition, {}).keys():
                raise Violation("nothing is lost", f"{partition}: no outcome of {sorted(missing)}")
