"""Which words moved a message's score: each is left out in turn, and what that changes is its part.

The score is P(positive) − P(negative), as emitted. Whatever the model, only texts go in and events come out of it, so the
answer is about what it really said. A Chinese character is left out alone and with each neighbour, since words there are
mostly of two: its part is the mean of all.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from textstream.event import EnrichedEvent
from textstream.model.cascade import Model
from textstream.model.text import HAN
from textstream.model.tokens import Tokens

_HAN = re.compile(f"[{HAN}]")
MAX_WORDS = 128
"""Words of a text that are left out, from its beginning: a text costs at most twice as many scorings."""


class Word(NamedTuple):
    """text[begin:end], and how much higher the score is with it than without it."""

    begin: int
    end: int
    moved: float


def explain(model: Model, event: EnrichedEvent) -> list[Word]:
    """The words of an event's text, in their order, with their parts; none where it was not scored."""
    if event["sentiment"] is None:
        return []
    (tokens,) = model.tokenise([event["text"]])
    cuts = _cuts(tokens)
    parts: list[list[float]] = [[] for _ in range(min(tokens.count, MAX_WORDS))]
    for (first, last), score in zip(cuts, _scores(model, [_without(tokens, *cut) for cut in cuts]), strict=True):
        for own in parts[first:last]:
            own.append((event["sentiment"]["score"] - score) / (last - first))
    places = zip(tokens.begins.tolist(), tokens.ends.tolist(), parts, strict=False)
    return [Word(begin, end, sum(own) / len(own)) for begin, end, own in places]


def _cuts(tokens: Tokens) -> list[tuple[int, int]]:
    """[first, last) of the tokens to leave out together: each alone, and each pair of Chinese neighbours."""
    count = min(tokens.count, MAX_WORDS)
    han = [_HAN.match(tokens.text, int(tokens.begins[at])) is not None for at in range(count)]
    pairs = [(at, at + 2) for at in range(count - 1) if han[at] and han[at + 1] and tokens.ends[at] == tokens.begins[at + 1]]
    return [*((at, at + 1) for at in range(count)), *pairs]


def _without(tokens: Tokens, first: int, last: int) -> str:
    return tokens.text[: int(tokens.begins[first])] + tokens.text[int(tokens.ends[last - 1]) :]


def _scores(model: Model, texts: Sequence[str]) -> list[float]:
    """0 where nothing is left to score."""
    moods = [said.decoded()["sentiment"] for said in model.analyse(model.tokenise(texts))]
    return [mood["score"] if mood else 0.0 for mood in moods]
