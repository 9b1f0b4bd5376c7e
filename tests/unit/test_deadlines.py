"""The worst batch, the drain limit and the group's patience stand in their order, or the worker does not start."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.fakes import FakeScorer, FakeTokens
from textstream.analysis import EncodedAnalysis
from textstream.deadlines import Deadlines, measured
from textstream.errors import Misconfigured
from textstream.layers import load_settings
from textstream.model.cascade import Cascade

MOST_OF_ONE_TEXT = 2_000
EO: dict[str, object] = {"delivery__guarantee": "exactly_once"}


class Slow(FakeScorer):
    """Takes so many seconds for a batch, by its own clock; reads at most `MOST_OF_ONE_TEXT` words of a text."""

    def __init__(self, seconds: float, now: list[float]) -> None:
        super().__init__()
        self.seconds, self.now, self.tokens = seconds, now, list[int]()

    def tokenise(self, texts: Sequence[str]) -> list[FakeTokens]:
        """Cut like a model's own."""
        return [FakeTokens(text, min(MOST_OF_ONE_TEXT, 3 * len(text))) for text in texts]

    def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
        """Time passes."""
        self.now[0] += self.seconds
        self.tokens.append(sum(tokens.count for tokens in batch))
        return super().analyse(batch)


def deadlines(seconds: float = 1, **flags: object) -> tuple[Deadlines, Slow]:
    """Measured with a model that takes so long; settings are given as `section__name`."""
    now = [0.0]
    model = Slow(seconds, now)
    settings = load_settings(environ={}, flags={name.replace("__", "."): value for name, value in flags.items()})
    return measured(settings, model, lambda: now[0]), model


def test_the_defaults_stand_in_order() -> None:
    """With librdkafka's own poll interval; `check` shows them in one line."""
    found, _ = deadlines()
    found.prove()
    expected = "worst batch 1 s, delivery.drain_timeout_s 25 s, max.poll.interval.ms 300 s, observe.stall_after_s 60 s"
    assert str(found) == expected


@pytest.mark.parametrize(("max_tokens", "expected"), [(16_384, 18_000), (2_000, 2_000), (100, 2_000)])
def test_the_worst_batch_is_the_largest_that_there_can_be(max_tokens: int, expected: int) -> None:
    """As many tokens as a batch may have, in the longest texts; or one such text, which goes alone where it has more."""
    _, model = deadlines(batch__max_tokens=max_tokens)
    assert set(model.tokens) == {expected}


def test_a_cascade_may_score_everything_twice() -> None:
    """Its worst batch is that of both models together."""
    now = [0.0]
    cascade = Cascade(Slow(2, now), Slow(5, now), 0.5)  # type: ignore[arg-type]
    assert measured(load_settings(environ={}, flags={}), cascade, lambda: now[0]).worst_batch_s == 7


def test_what_transactions_need_is_asked_of_them_alone() -> None:
    """A long commit interval, or a drain of half of the poll interval, is fine without them."""
    deadlines(delivery__commit_interval_ms=60_000, delivery__drain_timeout_s=150)[0].prove()


@pytest.mark.parametrize(
    ("flags", "mend"),
    [
        ({"seconds": 30}, "lower batch.max_tokens or raise delivery.drain_timeout_s"),
        ({"delivery__drain_timeout_s": 300}, "lower delivery.drain_timeout_s or raise max.poll.interval.ms"),
        ({"kafka__consumer": {"max.poll.interval.ms": 20_000}}, "lower delivery.drain_timeout_s"),
        ({"kafka__client": {"max.poll.interval.ms": 20_000}}, "lower delivery.drain_timeout_s"),
        ({"seconds": 10, "observe__stall_after_s": 5}, "lower batch.max_tokens or raise observe.stall_after_s"),
        ({**EO, "delivery__drain_timeout_s": 150}, "lower delivery.drain_timeout_s or raise max.poll.interval.ms"),
        ({**EO, "delivery__commit_interval_ms": 30_000}, "lower delivery.commit_interval_ms"),
    ],
)
def test_what_does_not_stand_in_order_is_refused(flags: dict[str, Any], mend: str) -> None:
    """The error names all of them with their values, and what to change."""
    found, _ = deadlines(**flags)
    with pytest.raises(Misconfigured, match=r"worst batch .* delivery\.drain_timeout_s .* max\.poll\.interval\.ms") as refused:
        found.prove()
    assert mend in str(refused.value)
