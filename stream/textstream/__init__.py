"""Sentiment and key terms for text in Kafka, while it flows.

The Python API: `Scorer.load("swift").score(["…"])` returns `EnrichedEvent`s, the same that workers publish.
"""

from textstream.event import EnrichedEvent
from textstream.model.scorer import Scorer

__all__ = ["EnrichedEvent", "Scorer"]
