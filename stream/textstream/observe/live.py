"""What the worker's page shows, fed by the polling thread with what it has delivered; HTTP threads read `view`, replaced whole.

It counts all outcomes, a hand-over at a time, and decodes events of a sample alone, so that a message costs next to nothing.
Drawn is only while somebody watches. With `show_text = False` no event is decoded: nothing of a message ever gets here.
"""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import cast

import orjson

from textstream.core.record import Outcome
from textstream.event import LABELS, EnrichedEvent
from textstream.observe.view import Mix, Tally, View, ViewModel

FRAME_S = 1.0
"""Between two views: what a reader can follow."""
SAMPLED_A_SECOND = 40.0
"""Most events decoded a second, at some 20 µs each: a thousandth of a core, and enough for the key terms of two minutes."""
SAMPLED_AT_ONCE = 8
"""Most of them that one hand-over gives."""
MAX_SAMPLED_BYTES = 32_768
"""A larger event is not decoded: the polling thread has better things to do."""
TIMED_AT_ONCE = 32
"""Most outcomes of one hand-over whose latency is taken."""

Stood = tuple[Outcome, int]
"""An outcome, and when the broker acknowledged it, in milliseconds since the epoch."""

_label = attrgetter("label")


class Live:
    """Outcomes since the start of the worker. All but `watched` and `view` is the polling thread's."""

    def __init__(self, now: float, *, show_text: bool = True) -> None:
        self.show_text = show_text
        self.watched = False
        """Whether anybody looks, so that it is worth drawing; set by HTTP threads."""
        self.view: tuple[View, float] | None = None
        """The last view, and when it was drawn."""
        self._model = ViewModel(now)
        self._sampled_at = self._drawn_at = now

    def add(self, standing: Sequence[Stood], now: float) -> None:
        """These stand, since the last call; there may be none."""
        if standing:
            self._model.add(_tally(standing), now)
            if self.show_text:
                self._sample(standing, now)
        if self.watched and not 0 <= now - self._drawn_at < FRAME_S:
            self.view, self._drawn_at = (self._model.at(now), now), now

    def _sample(self, standing: Sequence[Stood], now: float) -> None:
        """Decode some, evenly, as many as have become due since the last ones."""
        due = min(int((now - self._sampled_at) * SAMPLED_A_SECOND), SAMPLED_AT_ONCE)
        if due <= 0:
            self._sampled_at = min(self._sampled_at, now)  # a clock that was set back does not end it
            return
        self._sampled_at = now
        for outcome, _ in _evenly(standing, due):
            if outcome.kind == "enriched" and (event := _decoded(outcome.value)) is not None:
                self._model.sample(event, now)


def _tally(standing: Sequence[Stood]) -> Tally:
    """Their numbers. Labels are counted at C's speed, and only what has none is looked at one by one."""
    outcomes = [outcome for outcome, _ in standing]
    labels = Counter(map(_label, outcomes))
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    if labels["none"]:
        unlabelled = [outcome for outcome in outcomes if outcome.label == "none"]
        kinds.update(outcome.kind for outcome in unlabelled)
        reasons.update(outcome.reason for outcome in unlabelled if outcome.kind == "dead")
    return Tally(
        Mix(*(labels[label] for label in LABELS)),
        unscored=kinds["enriched"],
        tombstones=kinds["tombstone"],
        dead=reasons,
        latencies_ms=[
            max(0, stood_ms - outcome.record.timestamp_ms)  # a producer's clock may be ahead of ours
            for outcome, stood_ms in _evenly(standing, TIMED_AT_ONCE)
            if outcome.record.timestamp_ms > 0
        ],
    )


def _evenly(standing: Sequence[Stood], most: int) -> Sequence[Stood]:
    return standing[:: -(-len(standing) // most)]


def _decoded(value: bytes | None) -> EnrichedEvent | None:
    """An event of ours; None where it is too large, or nested deeper than can be read (`output.keep_input`)."""
    if value is None or len(value) > MAX_SAMPLED_BYTES:
        return None
    try:
        return cast(EnrichedEvent, orjson.loads(value))
    except orjson.JSONDecodeError:
        return None
