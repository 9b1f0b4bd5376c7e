"""Which words moved a message's score: each is left out in turn, and what that changes is its part.

The score is P(positive) − P(negative), as emitted. Whatever the model, only texts go in and events come out of it, so the
answer is about what it really said. A Chinese character is left out alone and with each neighbour, since words there are
mostly of two: its part is the mean of all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from textstream.event import EnrichedEvent, Sentiment
from textstream.model.cascade import Model
from textstream.model.text import HAN
from textstream.model.tokens import Tokens

_HAN = re.compile(f"[{HAN}]")
MAX_WORDS = 128
"""Words of one text that are left out, from its beginning: a text costs about as many scorings."""
BATCH = 256
"""Texts scored at once."""


@dataclass(frozen=True, slots=True)
class Word:
    """text[begin:end], and how much higher the score is with it than without it."""

    begin: int
    end: int
    moved: float


def explain(model: Model, events: Sequence[EnrichedEvent]) -> list[list[Word]]:
    """The words of each event's text, in its order, with their parts; none where it was not scored."""
    batch = model.tokenise([event["text"] for event in events])
    cuts = [_cuts(tokens) if event["sentiment"] else [] for event, tokens in zip(events, batch, strict=True)]
    variants = [_without(tokens, *cut) for tokens, own in zip(batch, cuts, strict=True) for cut in own]
    scores = iter([_score(mood) for at in range(0, len(variants), BATCH) for mood in _moods(model, variants[at : at + BATCH])])
    out: list[list[Word]] = []
    for event, tokens, own in zip(events, batch, cuts, strict=True):
        moved: list[list[float]] = [[] for _ in range(min(tokens.count, MAX_WORDS))]
        for first, last in own:
            change = (_score(event["sentiment"]) - next(scores)) / (last - first)
            for at in range(first, last):
                moved[at].append(change)
        out.append([
            Word(int(tokens.begins[at]), int(tokens.ends[at]), sum(parts) / len(parts))
            for at, parts in enumerate(moved) if parts
        ])  # fmt: skip
    return out


def _cuts(tokens: Tokens) -> list[tuple[int, int]]:
    """[first, last) of the tokens to leave out together: each alone, and each pair of Chinese neighbours."""
    count = min(tokens.count, MAX_WORDS)
    han = [_HAN.match(tokens.text, int(tokens.begins[at])) is not None for at in range(count)]
    pairs = [(at, at + 2) for at in range(count - 1) if han[at] and han[at + 1] and tokens.ends[at] == tokens.begins[at + 1]]
    return [*((at, at + 1) for at in range(count)), *pairs]


def _without(tokens: Tokens, first: int, last: int) -> str:
    return tokens.text[: int(tokens.begins[first])] + tokens.text[int(tokens.ends[last - 1]) :]


def _moods(model: Model, texts: Sequence[str]) -> list[Sentiment | None]:
    return [analysis["sentiment"] for analysis in model.analyse(model.tokenise(texts))]


def _score(sentiment: Sentiment | None) -> float:
    """0 where nothing is left to score."""
    return sentiment["score"] if sentiment else 0.0
