"""The path of a message, on one screen: decode → tokenise | infer → enrich → encode.

The first half runs where records are polled, the second where the model is. Both are pure: no I/O, no clock, no logs.
One bad record never harms the records beside it: it becomes a dead letter, in its own place. Whenever one cannot be scored, a
text that is known to be good tells a broken model, which stops the worker, from bad records, which do not: those beside it may
have needed no model (`model.remembering`). Where memory runs out, no record is blamed either, unless it alone needs too much
and that text does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from textstream.analysis import EncodedAnalysis
from textstream.core.codec import Codec
from textstream.core.record import Outcome, Record
from textstream.drift import Reference
from textstream.errors import Fatal, Poison, TextstreamError
from textstream.event import ModelInfo
from textstream.quality import Computed, Quality, Tokens, quality

PROBE = "The room was lovely, the staff were rude. 房间很好，服务很差。"
"""A text that any model can score."""

OUT_OF_MEMORY = "out_of_memory"

Step = Callable[[Sequence[Any]], Sequence[Any]]


class Scorer(Protocol):
    """What the path needs of a model: `textstream.model.scorer.Scorer`, or a fake in tests."""

    info: ModelInfo

    @property
    def reference(self) -> Reference | None:
        """What the texts were like that it was measured on, where its bundle says so."""
        ...

    @property
    def computed(self) -> Computed:
        """What its passes have computed so far."""
        ...

    def tokenise(self, texts: Sequence[str]) -> Sequence[Any]:
        """One `Tokens` for each text."""
        ...

    def analyse(self, batch: Sequence[Any]) -> Sequence[EncodedAnalysis]:
        """One analysis for each `Tokens`, in their order."""
        ...


@dataclass(slots=True)
class Prepared:
    """A record ready for the model; without `tokens` it is a tombstone, or poison and on its way to a dead letter.

    `tokens_count` is what it costs the model, `size` what it holds in memory, about: the bytes of value, key and headers.
    """

    record: Record
    text: str = ""
    tokens: Tokens | None = None
    poison: Poison | None = None
    tokens_count: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        record = self.record
        self.tokens_count = 0 if self.tokens is None else self.tokens.count
        self.size = len(record.value or b"") + len(record.key or b"")
        if record.headers:
            self.size += sum(len(name) + len(content or b"") for name, content in record.headers)


class Enriched(NamedTuple):
    """What came of a batch: an outcome for each item, in their order, and what there is to count of it.

    `halvings` tells how often a part of it failed as a whole and was scored in halves.
    """

    outcomes: list[Outcome]
    quality: Quality
    computed: Computed
    halvings: int


def prepare(records: Sequence[Record], codec: Codec, scorer: Scorer) -> list[Prepared]:
    """Decode → tokenise."""
    records = codec.originals(records)
    decoded = [_decode(record, codec) for record in records]
    texts = [text for text in decoded if isinstance(text, str)]
    tokens = iter(_isolating("tokenise", scorer.tokenise, texts, lambda: [PROBE])[0])
    return [
        _prepared(record, text, next(tokens)) if isinstance(text, str) else Prepared(record, poison=text)
        for record, text in zip(records, decoded, strict=True)
    ]


def enrich(batch: Sequence[Prepared], codec: Codec, scorer: Scorer, now_ms: int) -> Enriched:
    """Infer → enrich → encode. `now_ms` is the time of publishing.

    Raises `Fatal` when the model is broken: that is no record's fault.
    """
    before = scorer.computed
    tokens = [item.tokens for item in batch if item.tokens is not None]
    results, halvings = _isolating("infer", scorer.analyse, tokens, lambda: scorer.tokenise([PROBE]))
    computed = scorer.computed.since(before)
    told = quality([pair for pair in zip(tokens, results, strict=True) if not isinstance(pair[1], Poison)])
    said = iter(results)
    analyses = [next(said) if item.tokens is not None else None for item in batch]
    usual = codec.usual([item.record for item in batch], [item.text for item in batch], analyses, now_ms)
    outcomes = [
        outcome or _outcome(item, analysis, codec, now_ms)
        for outcome, item, analysis in zip(usual, batch, analyses, strict=True)
    ]
    return Enriched(outcomes, told, computed, halvings)


def _decode(record: Record, codec: Codec) -> str | Poison | None:
    try:
        return codec.decode(record)
    except Poison as poison:
        return _as_value(poison)


def _prepared(record: Record, text: str, tokens: Any) -> Prepared:
    return Prepared(record, poison=tokens) if isinstance(tokens, Poison) else Prepared(record, text, tokens)


def _outcome(item: Prepared, analysis: EncodedAnalysis | Poison | None, codec: Codec, now_ms: int) -> Outcome:
    poison = item.poison or (analysis if isinstance(analysis, Poison) else None)
    if poison is None:
        try:
            if analysis is None:
                return codec.tombstone(item.record, now_ms)
            assert not isinstance(analysis, Poison)
            return codec.encode(item.record, item.text, analysis, now_ms)
        except Poison as refused:
            poison = _as_value(refused)
    return codec.dead_letter(item.record, poison, now_ms)


def _as_value(poison: Poison) -> Poison:
    """Without the frames it went through: they hold the record, and it them, until the collector comes, which is seldom."""
    poison.__context__ = None
    return poison.with_traceback(None)


def _isolating(stage: str, step: Step, items: Sequence[Any], probe: Callable[[], Sequence[Any]]) -> tuple[list[Any], int]:
    """Run a step over all items; where it fails, the items at fault give a `Poison` in their place. And how often it halved."""
    results, halvings = _halving(stage, step, items, attempts=1) if items else ([], 0)
    if poisoned := [result for result in results if isinstance(result, Poison)]:
        try:
            step(probe())
        except Exception as error:  # over a text of ours; what was said over a message may quote it, and this ends up in logs
            starved = any(poison.reason == OUT_OF_MEMORY for poison in poisoned)
            what = "has no memory left for one short text" if starved else "fails on a text that is known to be good"
            why = f"{type(error).__name__}: {error}"
            raise Fatal(f"the model {what}, in {stage}: {why}; nothing of them is committed") from None
    return results, halvings


def _halving(stage: str, step: Step, items: Sequence[Any], attempts: int) -> tuple[list[Any], int]:
    """When a step fails, halve the batch until the item that cannot be scored is alone; and how often that was done."""
    try:
        results = list(step(items))
    except MemoryError as error:
        failed = Poison(OUT_OF_MEMORY, stage, f"{type(error).__name__}: {error}", attempts=attempts)
    except TextstreamError:
        raise  # the step knows whose fault it is, and it is no record's
    except Exception as error:
        failed = Poison("scoring_failed", stage, f"{type(error).__name__}: {error}", attempts=attempts)
    else:
        assert len(results) == len(items), f"{len(items)} texts went into {stage}, {len(results)} came out"
        return results, 0
    if len(items) == 1:
        return [failed], 0
    half = len(items) // 2  # out here the error is gone, and with its traceback the memory of the failed pass
    former, latter = (_halving(stage, step, part, attempts + 1) for part in (items[:half], items[half:]))
    return [*former[0], *latter[0]], 1 + former[1] + latter[1]
