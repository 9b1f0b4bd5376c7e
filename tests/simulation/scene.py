"""One worker in a simulated world in which nothing goes wrong but what a test wants; time passes only where it asks for it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.simulation.broker import Brokers
from tests.simulation.loop import Crashed, Loop
from tests.simulation.observer import Observer
from tests.simulation.run import EXPECTED
from tests.simulation.world import NOW_MS, Process, Setting, SimClock, SimWorld, StopFlag, Tracer
from tests.support.fakes import FakeScorer
from textstream.core.ports import Topics
from textstream.core.process import Scorer
from textstream.layers import load_settings
from textstream.observe.health import Health
from textstream.observe.metrics import Metrics
from textstream.worker import Worker

LIMIT_S, LOOK_S = 60.0, 0.002
"""Simulated; what has not come by then never will, and how often it is looked for."""


class Scene:
    """A worker on topic `a` of one partition, with a network of 4 ms and a model that takes 10 ms a batch."""

    def __init__(self, *, scorer: Scorer | None = None, sent_ms: int = NOW_MS, **flags: object) -> None:
        """Settings are given as `section__name`; every record has the timestamp `sent_ms`."""
        self.loop, rng = Loop(), random.Random(1)
        given = {"input.topics": "a", "input.format": "text"}
        self.settings = load_settings(
            environ={}, flags=given | {name.replace("__", "."): value for name, value in flags.items()}
        )
        delivery = self.settings.delivery
        self.brokers = Brokers(self.loop, rng, protocol="classic", transaction_timeout_s=delivery.transaction_timeout_s)
        self.brokers.grow("a", 1)
        self.log = self.brokers.inputs["a", 0]
        setting = Setting(
            loop=self.loop,
            rng=rng,
            brokers=self.brokers,
            observer=Observer(self.brokers, exactly_once=delivery.guarantee == "exactly_once", expected=EXPECTED),
            settings=self.settings,
            topics=(Topics("a", "a.enriched", "a.dead", "a.replay"),),
            output_partitions=1,
            trace=Tracer(self.loop, on=False),
            coarse_s=0.003,
            score_s=0.01,
            sent_ms=sent_ms,
        )
        self.process = Process("w", setting)
        self.metrics = Metrics()
        clock, scorer = SimClock(self.process), scorer or FakeScorer(fails_on=["unscorable"])
        world = SimWorld(self.process, scorer, transactional_id="w", queue_limit=1000)
        self.worker = Worker(
            self.settings, scorer, self.metrics, Health(stall_after_s=60, clock=clock.now), clock=clock, world=world
        )
        self.worker._stopping = StopFlag(self.process)

    @contextmanager
    def played(self) -> Iterator["Scene"]:
        """The worker runs until the end of the block."""
        self.loop.start(self.process.actor, self._run)
        try:
            yield self
        finally:
            if self.loop.failure is None and not self.process.actor.crashed:
                self.loop.end([self.process.actor])

    def _run(self) -> None:
        with suppress(Crashed):
            self.worker.run()

    def send(self, *values: bytes | None) -> None:
        """Records come in."""
        for value in values:
            self.log.append(value, 0)
        self.loop.tell(self.process.actor)

    def until(self, ready: Callable[[], bool]) -> None:
        """Let time pass until that holds."""
        limit = self.loop.now + LIMIT_S
        while not ready():
            assert self.loop.now < limit, "it never came"
            self.wait(LOOK_S)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.wait(self.loop.main, seconds)
        if self.loop.failure is not None:
            raise self.loop.failure

    def value(self, metric: str, **labels: str) -> float | None:
        """A metric's value; None where it is absent."""
        return self.metrics.registry.get_sample_value(metric, labels)
