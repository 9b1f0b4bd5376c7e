"""Sentiment and key terms for text in Kafka, while it flows.

The Python API: `Scorer.load("swift").score(["…"])` returns `EnrichedEvent`s, the same that workers publish.
`Scorer` is imported when it is first named: who only reads events needs no onnxruntime.
"""

from typing import TYPE_CHECKING, Any

from textstream.event import EnrichedEvent

if TYPE_CHECKING:
    from textstream.model.scorer import Scorer

__all__ = ["EnrichedEvent", "Scorer"]


def __getattr__(name: str) -> Any:
    if name == "Scorer":
        from textstream.model.scorer import Scorer

        return Scorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
