"""One simulation: a seed decides the topics, the settings and what goes wrong; then it is quiet, and all must drain."""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from tests.simulation.broker import Brokers
from tests.simulation.loop import Crashed, Loop
from tests.simulation.observer import Observer, Violation
from tests.simulation.world import DRAIN_EXTRA_S, Process, Setting, SimClock, SimWorld, StopFlag, Tracer
from tests.support.fakes import FakeScorer
from textstream.core.ports import Topics
from textstream.core.record import OutcomeKind
from textstream.errors import Fatal, TextstreamError, Transient
from textstream.extent import Between
from textstream.observe.health import Health
from textstream.observe.metrics import STAGES, Metrics
from textstream.settings import Settings
from textstream.worker import Worker

QUIET_S = 60.0
"""Longest that draining may take once nothing goes wrong any more: above every session, transaction and pause together."""
LOOK_S = 0.05

EXPECTED: dict[bytes | None, OutcomeKind] = {
    b"good": "enriched",
    b"a longer good one": "enriched",
    b"\xff\xfe": "dead",
    b"unscorable": "dead",
    None: "tombstone",
}
"""What is sent, and what must become of it."""
VALUES = [b"good"] * 6 + [b"a longer good one"] * 4 + [b"\xff\xfe", b"unscorable", None]


def guarantee_of(seed: int) -> str:
    """Even seeds try at least once, odd ones exactly once."""
    return ("at_least_once", "exactly_once")[seed % 2]


@contextmanager
def quiet_logs() -> Iterator[None]:
    """What the workers log is of no interest, and slow to print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def check_stages(name: str, worker: Worker) -> None:
    """What the stages hold is what is in flight, and what waits for its commit."""
    held = {stage: worker._metrics.stages[stage].in_progress for stage in STAGES}
    waiting = held.pop("commit")
    if sum(held.values()) != worker._budget.messages or min(held.values()) < 0 or waiting != worker._ledger.uncommitted:
        raise Violation(
            "stages hold what is in flight",
            f"{name}: {held} of {worker._budget.messages}, {waiting} of {worker._ledger.uncommitted} to be committed",
        )


@dataclass(frozen=True)
class Result:
    """How a simulation ended, and what it held; `how` replays it."""

    how: str
    violation: Violation | None
    inputs: int
    repeated: int
    aborts: int
    crashes: int
    trace: list[str]


class Simulation:
    """Supervised workers, and what is done to them."""

    def __init__(
        self, seed: int, guarantee: str | None = None, *, trace: bool = False, eager: bool = False, backfill: bool = False
    ) -> None:
        """A `backfill` reads what is there before it begins, and its workers have to end by themselves."""
        guarantee = guarantee or guarantee_of(seed)
        self._how = f"python -m tests.simulation --seed {seed} --guarantee {guarantee}"
        self._how += " --eager" * eager + " --backfill" * backfill
        self._backfill = Between(None, None) if backfill else None
        self._rng = rng = random.Random(f"{seed} {guarantee}")
        self._loop = loop = Loop()
        self._protocol = rng.choice(["classic", "consumer"])
        self._guarantee = guarantee
        settings = self._settings()
        self._brokers = Brokers(
            loop, rng, protocol=self._protocol, transaction_timeout_s=settings.delivery.transaction_timeout_s
        )
        self._brokers.network.latency_s = rng.choice([0.002, 0.005, 0.015])
        self._observer = Observer(self._brokers, exactly_once=guarantee == "exactly_once", expected=EXPECTED)
        self._setting = Setting(
            loop=loop,
            rng=rng,
            brokers=self._brokers,
            observer=self._observer,
            settings=settings,
            topics=tuple(Topics(name, f"{name}.enriched", f"{name}.dead", f"{name}.replay") for name in settings.input.topics),
            output_partitions=rng.choice([1, 2, 4]),
            trace=Tracer(loop, on=trace),
            coarse_s=rng.choice([0.003, 0.01]),
            score_s=rng.choice([0.002, 0.01, 0.03]),
            eager=eager,
        )
        self._partitions = rng.randint(1, 3)
        self._queue_limit = rng.choice([3, 1000])
        self._static = rng.random() < 0.3
        self._processes: list[Process] = []
        self._running: dict[str, tuple[Process, Worker]] = {}  # by slot
        self._starts = 0
        self._crashes = 0
        self._quiet_from = rng.uniform(0.8, 2.0)
        self._ended: set[str] = set()
        self._done: set[str] = set()  # slots whose backfill has come to its end
        self._all_stop = False

    def _settings(self) -> Settings:
        rng = self._rng
        return Settings.model_validate(
            {
                "input": {"topics": ["a", "b"][: rng.choice([1, 1, 2])], "format": "text"},
                "batch": {
                    "max_messages": rng.randint(1, 8),
                    "max_tokens": rng.choice([3, 20]),
                    "max_wait_ms": rng.choice([0, 5, 20]),
                },
                "delivery": {
                    "guarantee": self._guarantee,
                    "transaction_timeout_s": rng.choice([1, 2]),
                    "max_in_flight_messages": rng.choice([4, 12, 40]),
                    "max_in_flight_bytes": rng.choice([40, 10_000]),
                    "max_in_flight_tokens": rng.choice([12, 10_000]),
                    "pause_after_ms": rng.choice([0, 20, 500]),
                    "commit_interval_ms": rng.choice([10, 40, 150]),
                    "drain_timeout_s": rng.choice([0.3, 1.0]),
                    "startup_timeout_s": 6.0,
                },
            }
        )

    def run(self) -> Result:
        """Until all is drained and stopped, or something that must hold does not."""
        for topic in self._setting.settings.input.topics:
            self._brokers.grow(topic, self._partitions)
        self._produce(self._rng.randint(5, 30) * (4 if self._backfill else 1))
        for number in range(self._rng.randint(1, 3)):
            self._loop.after(self._rng.uniform(0, 0.3), partial(self._start, f"w{number}"))
        for _ in range(self._rng.randint(2, 9)):
            fault = self._rng.choice(FREEZES if self._setting.eager else FAULTS)
            self._loop.at(self._rng.uniform(0.1, self._quiet_from), partial(fault, self))
        for _ in range(0 if self._backfill else self._rng.randint(3, 12)):
            self._loop.at(self._rng.uniform(0, self._quiet_from), lambda: self._produce(self._rng.randint(1, 12)))
        self._loop.at(self._quiet_from, self._calm)
        self._loop.run(lambda: self._all_stop and not self._running)
        failure = self._loop.failure
        self._loop.end([process.actor for process in self._processes if process.name not in self._ended])
        if failure is not None and not isinstance(failure, Violation):
            raise failure
        if failure is None:
            try:
                self._observer.check_all()
            except Violation as violation:
                failure = violation
        return Result(
            how=self._how,
            violation=failure,
            inputs=sum(len(log.offsets) for log in self._brokers.inputs.values()),
            repeated=self._observer.repeated,
            aborts=sum(process.aborts for process in self._processes),
            crashes=self._crashes,
            trace=self._setting.trace.lines,
        )

    def _produce(self, count: int) -> None:
        partitions = sorted(self._brokers.inputs)
        for _ in range(count):
            gap = self._rng.choice([0, 0, 0, 0, 1, 3])
            self._brokers.inputs[self._rng.choice(partitions)].append(self._rng.choice(VALUES), gap)
        if self._rng.random() < 0.3:  # a transaction's marker
            self._brokers.inputs[self._rng.choice(partitions)].end += 1
        for process, _ in self._running.values():
            self._loop.tell(process.actor)

    # ---- workers

    def _start(self, slot: str) -> None:
        if slot in self._running or slot in self._done or self._all_stop:
            return
        self._starts += 1
        process = Process(f"{slot}.{self._starts}", self._setting)
        clock = SimClock(process)
        world = SimWorld(
            process,
            FakeScorer(fails_on=["unscorable"]),
            transactional_id=slot if self._static else process.name,
            queue_limit=self._queue_limit,
        )
        health = Health(stall_after_s=60, clock=clock.now)
        worker = Worker(
            self._setting.settings, world._scorer, Metrics(), health, clock=clock, world=world, between=self._backfill
        )
        worker._stopping = StopFlag(process)
        self._processes.append(process)
        self._running[slot] = process, worker
        self._say(process.name, "starts")
        self._loop.start(process.actor, partial(self._work, slot, process, worker))

    def _work(self, slot: str, process: Process, worker: Worker) -> None:
        try:
            worker.run()
            if process.unfinished is not None:
                raise process.unfinished
            check_stages(process.name, worker)
            how = "stops"
            if self._backfill and not worker._stopping.is_set():
                how = "is done"
                self._done.add(slot)
        except Crashed:
            how = "is gone"
        except (Transient, Fatal) as error:
            how = f"fails: {error}"
            if self._loop.now > self._quiet_from + QUIET_S / 2:
                raise Violation("no failure in calm", f"{process.name} {how}") from error
        except TextstreamError as error:
            raise Violation("no failure without cause", f"{process.name}: {error!r}") from error
        except Exception as error:
            raise Violation("the worker's own checks", f"{process.name}: {error!r}") from error
        finally:
            self._ended.add(process.name)
        self._say(process.name, how)
        if self._running.get(slot, (None,))[0] is process:
            del self._running[slot]
            self._loop.after(0.1, partial(self._start, slot))

    def _say(self, who: str, what: str) -> None:
        if self._setting.trace.on:
            self._setting.trace(who, what)

    # ---- the end

    def _calm(self) -> None:
        """Nothing goes wrong from now on."""
        self._say("", "it is quiet from now on")
        self._brokers.refusals.clear()
        for process, _ in self._running.values():
            process.slow_scoring = 1.0
        if not (self._running or self._done):
            self._start("w0")
        self._loop.after(LOOK_S, self._look)

    def _look(self) -> None:
        if self._over() and self._loop.now > self._quiet_from + 0.2:
            self._say("", "all is drained")
            self._all_stop = True
            for _, worker in self._running.values():
                worker.stop()
            limit_s = 2 * self._setting.settings.delivery.drain_timeout_s + DRAIN_EXTRA_S
            self._loop.after(limit_s + len(self._running) * 0.5, self._must_have_stopped)
        elif self._loop.now > self._quiet_from + QUIET_S:
            committed = self._brokers.group.committed
            left = {p: (committed.get(p), log.end) for p, log in self._brokers.inputs.items() if committed.get(p) != log.end}
            raise Violation("drain in time", f"{QUIET_S:g} s after the last fault: {left} (committed, end)")
        else:
            self._loop.after(LOOK_S, self._look)

    def _over(self) -> bool:
        """Whether all is drained, and of a backfill all workers have ended: by themselves, and none too early."""
        if self._backfill is None:
            return self._observer.drained()
        started = {process.name.split(".")[0] for process in self._processes}
        if not started <= self._done:
            return False
        if not self._observer.drained():
            raise Violation("a backfill ends when all is done", f"{sorted(self._done)} have ended before")
        return True

    def _must_have_stopped(self) -> None:
        if self._running:
            raise Violation("drain in time", f"{sorted(self._running)} did not stop")

    # ---- what goes wrong

    def _someone(self) -> tuple[str, Process, Worker] | None:
        if not self._running:
            return None
        slot = self._rng.choice(sorted(self._running))
        return slot, *self._running[slot]

    def crash(self) -> None:
        """SIGKILL, at whatever the worker waits for."""
        if chosen := self._someone():
            slot, process, _ = chosen
            self._say(process.name, "crashes")
            self._crashes += 1
            del self._running[slot]
            self._loop.crash(process.actor)
            self._loop.after(self._rng.uniform(0.02, 0.6), partial(self._start, slot))

    def stop(self) -> None:
        """SIGTERM; a new one starts later."""
        if chosen := self._someone():
            _, process, worker = chosen
            self._say(process.name, "is asked to stop")
            worker.stop()

    def freeze(self) -> None:
        """SIGSTOP, and SIGCONT later; perhaps it is asked to stop, or another one is started, meanwhile."""
        if (chosen := self._someone()) and chosen[1].actor.frozen_until <= self._loop.now:
            slot, process, worker = chosen
            seconds = self._rng.choice([0.1, 0.6, 1.5, 2.5])
            self._say(process.name, f"is frozen for {seconds} s")
            process.frozen_at = self._loop.now
            process.actor.frozen_until = self._loop.now + seconds
            if self._rng.random() < 0.4:
                worker.stop()
            if self._static and self._rng.random() < 0.5:
                del self._running[slot]
                self._loop.after(0.05, partial(self._start, slot))

    def outage(self) -> None:
        """A broker is away."""
        broker, seconds = self._rng.randrange(3), self._rng.choice([0.05, 0.3, 1.2])
        self._say("", f"broker {broker} is away for {seconds} s")
        self._brokers.network.take_away(broker, seconds)

    def slow_network(self) -> None:
        """Everything takes longer."""
        self._brokers.network.slow_until = self._loop.now + self._rng.choice([0.1, 0.5])

    def slow_scorer(self) -> None:
        """One model takes longer."""
        if chosen := self._someone():
            process = chosen[1]
            process.slow_scoring = self._rng.choice([5.0, 40.0])
            self._say(process.name, f"scores {process.slow_scoring:g} times slower")
            self._loop.after(0.3, lambda: setattr(process, "slow_scoring", 1.0))

    def grow(self) -> None:
        """Partitions are added."""
        if self._backfill:
            return
        self._partitions += 1
        self._say("", f"there are {self._partitions} partitions of each topic")
        for topic in self._setting.settings.input.topics:
            self._brokers.grow(topic, self._partitions)
        self._loop.after(0.05, lambda: self._produce(6))

    def refuse(self) -> None:
        """A broker refuses the next requests to write, or to take offsets."""
        self._brokers.refusals.extend(["the broker failed"] * self._rng.choice([1, 1, 3]))

    def break_producer(self) -> None:
        """A client meets an error that it never recovers from."""
        if (chosen := self._someone()) and chosen[1].sink is not None:
            chosen[1].sink.break_down("the client broke down")

    def scale_out(self) -> None:
        """One worker more."""
        self._start(f"w{self._rng.randrange(3, 5)}")


FAULTS: list[Callable[[Simulation], None]] = [
    Simulation.crash,
    Simulation.crash,
    Simulation.crash,
    Simulation.stop,
    Simulation.stop,
    Simulation.freeze,
    Simulation.freeze,
    Simulation.freeze,
    Simulation.outage,
    Simulation.outage,
    Simulation.slow_network,
    Simulation.slow_scorer,
    Simulation.grow,
    Simulation.refuse,
    Simulation.refuse,
    Simulation.break_producer,
    Simulation.scale_out,
]
FREEZES = [Simulation.freeze, Simulation.freeze, Simulation.freeze, Simulation.scale_out]
"""What an eager client is tried by: it does no harm but where it was shut out."""
