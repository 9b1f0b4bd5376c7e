"""A scorer that needs no model: small, typed, and honest about what it was given."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textstream.analysis import EncodedAnalysis, encoded
from textstream.bench.noop import analysis
from textstream.core.offsets import TopicPartition
from textstream.drift import Reference
from textstream.event import Language, ModelInfo
from textstream.model.tokens import Tokens
from textstream.quality import Computed


@dataclass(frozen=True, slots=True)
class FakeTokens:
    """A text and its length in words."""

    text: str
    count: int
    unknown: int = 0


ENGLISH: Language = {"code": "en", "probability": 1.0, "supported": True}


def bare_tokens(texts: Sequence[str]) -> list[Tokens]:
    """What models make of texts, for one that looks at the text alone: English, without a token."""
    empty = np.zeros(0, np.int32)
    return [Tokens(text, np.zeros((1, 1), np.int32), empty, empty, ENGLISH, False) for text in texts]


class FakeScorer:
    """Gives every text the same analysis. Texts named in `fails_on` raise; while `gate` is closed, scoring waits."""

    info = ModelInfo(name="fake", version="1.0.0", digest="sha256:" + "0" * 64)
    reference: Reference | None = None
    computed = Computed()

    def __init__(self, *, fails_on: Sequence[str] = ()) -> None:
        self.fails_on = set(fails_on)
        self.passes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def tokenise(self, texts: Sequence[str]) -> list[FakeTokens]:
        """One token for each word, at least one."""
        return [FakeTokens(text, max(1, len(text.split()))) for text in texts]

    def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
        """The same neutral analysis for each text."""
        self.gate.wait()
        self.passes.append(len(batch))
        if failing := self.fails_on.intersection(tokens.text for tokens in batch):
            raise RuntimeError(f"cannot score {failing}")
        self.computed = self.computed.plus(sum(tokens.count for tokens in batch), 0)
        return [encoded(analysis()) for _ in batch]


class FakeAssignment:
    """What a source hands rebalances to: it notes what it hears; a test sets the epoch, one for all partitions."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.epoch: int | None = 1

    def epoch_of(self, _: TopicPartition) -> int | None:
        """As the test says."""
        return self.epoch

    def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """From the beginning."""
        self.heard.append("assigned")
        return dict.fromkeys(partitions, 0)

    def revoked(self, _: Sequence[TopicPartition]) -> None:
        """Let go."""
        self.heard.append("revoked")

    def lost(self, _: Sequence[TopicPartition]) -> None:
        """Taken away."""
        self.heard.append("lost")
