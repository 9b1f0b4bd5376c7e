"""A scorer that computes nothing: what is left of a message's cost with it is the engine's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from textstream.analysis import EncodedAnalysis
from textstream.drift import Reference
from textstream.event import Analysis, ModelInfo
from textstream.quality import Computed

INFO = ModelInfo(name="noop", version="1.0.0", digest="sha256:" + "0" * 64)


@dataclass(frozen=True, slots=True)
class Counted:
    """A text's size as batches count it."""

    count: int = 1
    unknown: int = 0


ONE = Counted()
CHANCES, NO_TERMS = (0.25, 0.5, 0.25), (0, 0, 0)


def analysis() -> Analysis:
    """What is said of every text."""
    return {
        "language": {"code": "en", "probability": 1.0, "supported": True},
        "sentiment": {
            "label": "neutral",
            "score": 0.0,
            "probabilities": {"negative": 0.25, "neutral": 0.5, "positive": 0.25},
        },
        "key_terms": [],
        "truncated": False,
    }


class NoopScorer:
    """Says the same of every text."""

    info = INFO
    reference: Reference | None = None
    computed = Computed()

    def tokenise(self, texts: Sequence[str]) -> list[Counted]:
        """Nothing of the text is looked at."""
        return [ONE] * len(texts)

    def analyse(self, batch: Sequence[Counted]) -> list[EncodedAnalysis]:
        """A neutral analysis for each, made and encoded anew, as in the loops that it is compared with."""
        return [EncodedAnalysis(orjson.dumps(analysis())[1:-1], "en", True, "neutral", CHANCES, False, NO_TERMS) for _ in batch]
