"""The enriched event: what downstream teams read, typed. The published JSON Schema is generated from this file.

Events are plain dictionaries, typed here: what `Scorer.score` returns, what the worker encodes and what a reader gets
from `json.loads` of a record's value are one and the same thing.
"""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

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
    """A span of the text that says what it is about: `text[begin:end] == key_term["text"]`."""

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


class ModelInfo(TypedDict):
    """Which model spoke; `digest` is the SHA-256 over the bundle's manifest."""

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
