"""The enriched event: what downstream teams read, typed. The published JSON Schema is generated from this file.

Events are plain dictionaries, typed here: what `Scorer.score` returns and what a reader gets from `json.loads` of a record's
value are one and the same thing.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

SCHEMA_VERSION = "1"
"""Major version of the event's schema, published in the header `textstream.schema`."""

Label = Literal["negative", "neutral", "positive"]
Kind = Literal["phrase", "aspect", "entity"]

LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")
"""The order of the sentiment classes everywhere: logits, probabilities, manifests."""
KINDS: tuple[Kind, ...] = ("phrase", "aspect", "entity")
"""The order of the key-term channels everywhere: logits, manifests."""

Probability = Annotated[float, Field(ge=0, le=1)]
CodePoint = Annotated[int, Field(ge=0, description="Offset in the event's `text`, in Unicode code points.")]


class Probabilities(TypedDict):
    """Calibrated class probabilities; they sum to 1."""

    negative: Probability
    neutral: Probability
    positive: Probability


class Sentiment(TypedDict):
    """`label` is the most probable class, `score` is P(positive) - P(negative)."""

    label: Label
    score: Annotated[float, Field(ge=-1, le=1)]
    probabilities: Probabilities


class KeyTerm(TypedDict):
    """A span of the text that says what it is about: `text[begin:end] == key_term["text"]`.

    The pairs of `mentions` are lists, as JSON has them.
    """

    text: Annotated[str, Field(min_length=1)]
    normalized: Annotated[str, Field(description="Case, width and traditional characters folded, leading # removed.")]
    kind: Kind
    salience: Annotated[Probability, Field(description="Calibrated probability that the span is a key term.")]
    begin: CodePoint
    end: Annotated[CodePoint, Field(description="Exclusive.")]
    sentiment: Sentiment
    mentions: NotRequired[
        Annotated[
            list[tuple[CodePoint, CodePoint]],
            Field(min_length=2, description="Every [begin, end) of a term that stands more than once, the first included."),
        ]
    ]


class Language(TypedDict):
    """`code` is BCP 47, `und` when there is nothing to tell by."""

    code: str
    probability: Probability
    supported: Annotated[bool, Field(description="False: `sentiment` is null and `key_terms` is empty.")]


class Analysis(TypedDict):
    """What the model says of one text: the model's part of an enriched event."""

    language: Language
    sentiment: Sentiment | None
    key_terms: list[KeyTerm]
    truncated: Annotated[bool, Field(description="The text is longer than the model scores; see `scored_until`.")]
    scored_until: NotRequired[CodePoint]
    model: NotRequired["ModelInfo"]
    """Which of several models spoke; absent where there is one."""


class ModelInfo(TypedDict):
    """Which model spoke. `digest` is the SHA-256 over its bundle's manifest; in a cascade one for both bundles together."""

    name: str
    version: str
    digest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]


class Source(TypedDict):
    """Where the input stood. `timestamp` is the producer's (RFC 3339, UTC), null when the record had none."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    timestamp: str | None


class EnrichedEvent(TypedDict):
    """One scored message. `id` is a pure function of `source`: drop duplicates by `id` and `model.digest`."""

    id: str
    text: str
    language: Language
    sentiment: Sentiment | None
    key_terms: list[KeyTerm]
    truncated: bool
    scored_until: NotRequired[CodePoint]
    model: ModelInfo
    source: Source
    processed_at: Annotated[str, Field(description="RFC 3339, UTC.")]
    input: NotRequired[Annotated[object, Field(description="The producer's JSON object, with `output.keep_input`.")]]


def event_id(topic: str, partition: int, offset: int) -> str:
    """The `id` of the event that comes of this source position."""
    return f"{topic}-{partition}-{offset}"


def enriched_event(text: str, analysis: Analysis, *, model: ModelInfo, source: Source, processed_at: str) -> EnrichedEvent:
    """Put an analysis of `text` and the record's source together; `processed_at` is RFC 3339.

    `model` spoke, unless the analysis itself says which did.
    """
    event: EnrichedEvent = {
        "id": event_id(source["topic"], source["partition"], source["offset"]),
        "text": text,
        "language": analysis["language"],
        "sentiment": analysis["sentiment"],
        "key_terms": analysis["key_terms"],
        "truncated": analysis["truncated"],
        "model": analysis.get("model", model),
        "source": source,
        "processed_at": processed_at,
    }
    if "scored_until" in analysis:
        event["scored_until"] = analysis["scored_until"]
    return event


def mentions(term: KeyTerm) -> list[tuple[int, int]]:
    """Every place [begin, end) of a term: its `mentions`, or its only one."""
    return [(begin, end) for begin, end in term.get("mentions") or [(term["begin"], term["end"])]]


_LAST_RFC3339_MS = 253_402_300_799_999
"""The end of the year 9999, the last moment RFC 3339 can name."""


@lru_cache(maxsize=4096)  # a batch names the same millisecond again and again
def rfc3339(timestamp_ms: int) -> str | None:
    """Milliseconds since the epoch as RFC 3339 in UTC, or None for -1 (absent) and what RFC 3339 cannot name."""
    if not 0 <= timestamp_ms <= _LAST_RFC3339_MS:
        return None
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=256)  # and the same second thousands of times; formatting it costs 1 µs
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an enriched event, published as enriched_event.schema.json."""
    schema = TypeAdapter(EnrichedEvent).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "version": SCHEMA_VERSION, **schema}
