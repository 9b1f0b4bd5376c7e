"""What the model says of one text, on its way to an event: the JSON that is published, written where it is found, and what is
counted and decided by.

So nobody on the path of a message builds or walks through its terms once more: the event is put together from bytes.
"""

from typing import NamedTuple

import orjson

from textstream.event import KINDS, Analysis, Label, ModelInfo


class EncodedAnalysis(NamedTuple):
    """An `Analysis` as JSON."""

    json: bytes
    """Its members, but for `model`, as they stand in an event: without the braces around them."""
    language: str
    """Code of the language, and whether the model supports it."""
    supported: bool
    label: Label | None
    """None where there is no sentiment, as with `probabilities`, which are those of `LABELS`."""
    probabilities: tuple[float, float, float] | None
    truncated: bool
    kinds: tuple[int, int, int]
    """How many key terms of each of `KINDS`."""
    model: ModelInfo | None = None
    """Which of several models spoke; None where there is one."""

    def decoded(self) -> Analysis:
        """As a reader gets it."""
        analysis: Analysis = orjson.loads(b"{%b}" % self.json)
        if self.model is not None:
            analysis["model"] = self.model
        return analysis


def encoded(analysis: Analysis) -> EncodedAnalysis:
    """The analysis as JSON. Raises TypeError where a string holds half of a surrogate pair, which UTF-8 cannot say."""
    model = analysis.get("model")
    written = analysis if model is None else {name: value for name, value in analysis.items() if name != "model"}
    language, sentiment = analysis["language"], analysis["sentiment"]
    found = [term["kind"] for term in analysis["key_terms"]]
    phrases, aspects, entities = map(found.count, KINDS)
    chances = sentiment and sentiment["probabilities"]
    return EncodedAnalysis(
        orjson.dumps(written)[1:-1],
        language["code"],
        language["supported"],
        sentiment["label"] if sentiment else None,
        (chances["negative"], chances["neutral"], chances["positive"]) if chances else None,
        analysis["truncated"],
        (phrases, aspects, entities),
        model,
    )
