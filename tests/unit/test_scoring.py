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
from textstream.layers import load_settings
from textstream.scoring import MAX_WAITING_BATCHES, ScoringThread
from textstream.world import RealWorld

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


def codec_of(scorer: FakeScorer) -> Codec:
    """Of topic t."""
    return Codec(input_format="json", pointer="/text", keep_input=False, model=scorer.info, routes={"t": Route()})


def batch(codec: Codec, scorer: FakeScorer) -> Batch:
    """Of one message."""
    return Batch(prepare([Record(Position("t", 0, 0, 1), orjson.dumps({"text": "a"}))], codec, scorer), 1, "flush")


@pytest.mark.parametrize(("cpus", "most"), [(1, 1), (2, MAX_WAITING_BATCHES)])
def test_on_one_cpu_the_two_threads_take_turns(
    scorer: FakeScorer, monkeypatch: pytest.MonkeyPatch, cpus: int, most: int
) -> None:
    """There a batch is out alone, and whoever asks for results lets it be scored, but not for ever; with more CPUs the next
    batch waits beside it, and nobody waits who did not ask for it."""
    monkeypatch.setattr("textstream.world.usable_cpus", lambda: cpus)
    monkeypatch.setattr("textstream.scoring.LET_WORK_S", WAIT_S)
    codec = codec_of(scorer)
    scoring = RealWorld(load_settings(environ={}, flags={"input.topics": "t"}), scorer, SystemClock()).scoring(codec)
    try:
        for _ in range(most):
            assert not scoring.full
            scoring.submit(batch(codec, scorer))
        assert scoring.full
        began = time.monotonic()
        assert scoring.results(0) == []
        assert (time.monotonic() - began >= WAIT_S * 0.9) == (cpus == 1)
        scorer.gate.set()
        given = scoring.results(PASS_S)
        assert [one.enriched.outcomes[0].kind for one in given] == ["enriched"] * len(given) and given
    finally:
        scoring.close()


def test_a_signal_does_not_prolong_the_wait_for_a_pass(scorer: FakeScorer) -> None:
    """A signal as the wait ends does not make it endless: a worker told to stop does not hang behind a stuck pass."""
    codec = codec_of(scorer)
    scoring = ScoringThread(codec, scorer, stall_after_s=2 * PASS_S, clock=SystemClock())
    scoring.submit(batch(codec, scorer))
    before = signal.signal(signal.SIGALRM, lambda *_: time.sleep(2 * WAIT_S))
    try:
        signal.setitimer(signal.ITIMER_REAL, WAIT_S / 2)
        assert scoring.results(WAIT_S) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        scoring.close()
