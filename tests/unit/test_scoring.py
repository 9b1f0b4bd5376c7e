"""The scoring thread, as the polling thread sees it."""

import signal
import threading
import time
from collections.abc import Iterator

import orjson
import pytest

from tests.support.fakes import FakeScorer
from textstream.clock import SystemClock
from textstream.core.batch import Batch
from textstream.core.codec import Codec, Route
from textstream.core.process import prepare
from textstream.core.record import Position, Record
from textstream.scoring import ScoringThread

WAIT_S = 0.05
PASS_S = 5


@pytest.fixture
def scorer() -> Iterator[FakeScorer]:
    """Its pass ends after `PASS_S`, or with the test."""
    scorer = FakeScorer()
    scorer.gate.clear()
    end = threading.Timer(PASS_S, scorer.gate.set)
    end.start()
    yield scorer
    end.cancel()
    scorer.gate.set()


def test_a_signal_does_not_prolong_the_wait_for_a_pass(scorer: FakeScorer) -> None:
    """A signal as the wait ends does not make it endless: a worker told to stop does not hang behind a stuck pass."""
    codec = Codec(input_format="json", pointer="/text", keep_input=False, model=scorer.info, routes={"t": Route()})
    scoring = ScoringThread(codec, scorer, stall_after_s=2 * PASS_S, clock=SystemClock())
    items = prepare([Record(Position("t", 0, 0, 1), orjson.dumps({"text": "a"}))], codec, scorer)
    scoring.submit(Batch(items, 1, "flush"))
    before = signal.signal(signal.SIGALRM, lambda *_: time.sleep(2 * WAIT_S))
    try:
        signal.setitimer(signal.ITIMER_REAL, WAIT_S / 2)
        assert scoring.results(WAIT_S) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        scoring.close()
