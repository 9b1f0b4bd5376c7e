"""A worker in a process of its own, as `textstream run` has it, with any scorer."""

import signal
import time

from textstream.collector import settle
from textstream.core.process import Scorer
from textstream.observe import logs
from textstream.observe.health import Health
from textstream.observe.metrics import Metrics
from textstream.settings import Settings
from textstream.worker import Worker


def serve(settings: Settings, scorer: Scorer) -> None:
    """Work until SIGTERM."""
    logs.configure("console", "warning")
    settle()
    health = Health(stall_after_s=settings.observe.stall_after_s, clock=time.monotonic)
    worker = Worker(settings, scorer, Metrics(), health)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()
