"""A worker in a process of its own, as `textstream run` has it, with any scorer.

python -m textstream.bench.worker     # with one that computes nothing, by TEXTSTREAM_ variables
"""

import os
import signal
import time

from textstream.bench.noop import NoopScorer
from textstream.core.process import Scorer
from textstream.layers import load_settings
from textstream.memory import settle
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


if __name__ == "__main__":
    serve(load_settings(environ=os.environ), NoopScorer())
