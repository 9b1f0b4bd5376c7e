"""The real worker in a thread of this process: for the demo, for measurements, for tests."""

import threading
import time
from typing import TYPE_CHECKING, Self

from textstream.core.ports import World
from textstream.core.process import Scorer
from textstream.errors import Fatal
from textstream.observe.health import Health
from textstream.observe.metrics import Metrics
from textstream.settings import Settings
from textstream.worker import Worker

if TYPE_CHECKING:
    from textstream.observe.tracing import Tracing

JOIN_MARGIN_S = 5.0
"""Beyond the worker's own drain limit, before its thread is given up."""


class WorkerThread:
    """Runs from `with` to the end of its block, then drains; `check` raises what stopped it before."""

    def __init__(
        self, settings: Settings, scorer: Scorer, world: World | None = None, tracing: "Tracing | None" = None
    ) -> None:
        self.metrics = Metrics()
        self.health = Health(stall_after_s=settings.observe.stall_after_s, clock=time.monotonic)
        self.error: BaseException | None = None
        self._join_within_s = settings.delivery.drain_timeout_s + JOIN_MARGIN_S
        self._worker = Worker(settings, scorer, self.metrics, self.health, world=world, tracing=tracing)
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(self._join_within_s)
        if self._thread.is_alive():
            raise Fatal(f"the worker did not end within {self._join_within_s:g} s of being asked to")

    def stop(self) -> None:
        """Ask the worker to drain; the end of the block waits for it."""
        self._worker.stop()

    def value(self, metric: str, **labels: str) -> float:
        """A metric's value, 0 while it has none."""
        return self.metrics.registry.get_sample_value(metric, labels) or 0.0

    def reads(self) -> bool:
        """Whether the worker has its partitions."""
        return self.value("textstream_assigned_partitions") > 0

    def check(self) -> None:
        """Raise what stopped the worker."""
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._worker.run()
        except BaseException as error:  # handed to whoever started the thread
            self.error = error
