"""Enriched events made by hand, for tests that need no model."""

from textstream.event import EnrichedEvent, KeyTerm, Label, Sentiment

SCORES: dict[Label, float] = {"negative": -0.9, "neutral": 0.0, "positive": 0.9}


def sentiment(label: Label) -> Sentiment:
    """A confident one."""
    probabilities = {"negative": 0.05, "neutral": 0.05, "positive": 0.05, label: 0.9}
    return {
        "label": label,
        "score": SCORES[label],
        "probabilities": {
            "negative": probabilities["negative"],
            "neutral": probabilities["neutral"],
            "positive": probabilities["positive"],
        },
    }


def term(text: str, said: str, label: Label = "neutral", normalized: str | None = None) -> KeyTerm:
    """The first mention of `said` in `text`."""
    begin = text.index(said)
    return {
        "text": said,
        "normalized": normalized or said.lower(),
        "kind": "aspect",
        "salience": 0.9,
        "begin": begin,
        "end": begin + len(said),
        "sentiment": sentiment(label),
    }


def event(
    text: str,
    label: Label | None = "neutral",
    *,
    terms: list[KeyTerm] | None = None,
    timestamp: str | None = "2026-11-23T13:05:02.120Z",
    language: str = "en",
) -> EnrichedEvent:
    """One scored message; unscored where `label` is None."""
    return {
        "id": "reviews-0-0",
        "text": text,
        "language": {"code": language, "probability": 1.0, "supported": label is not None},
        "sentiment": sentiment(label) if label else None,
        "key_terms": terms or [],
        "truncated": False,
        "model": {"name": "textstream-test", "version": "1.0.0", "digest": f"sha256:{'0' * 64}"},
        "source": {"topic": "reviews", "partition": 0, "offset": 0, "timestamp": timestamp},
        "processed_at": "2026-11-23T13:05:02.153Z",
    }
