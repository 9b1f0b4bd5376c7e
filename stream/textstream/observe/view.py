"""What a live view shows, as plain values: rates, latency, sentiment, languages, key terms, latest messages, dead letters.

`ViewModel` folds outcomes in, each with the time of its arrival; `at(now)` is the `View` of that moment, which any
renderer may draw: the terminal today, a web page later. Pure: no I/O and no clock; times are seconds since the epoch.
However long the stream and whatever its messages, memory is bounded by the limits below.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from textstream.event import EnrichedEvent, KeyTerm, Label

RATE_WINDOW_S = 5
"""Long enough to be steady at 40 messages a second, short enough to show a stall."""
HISTORY_S = 60
"""Whole seconds of history, for a sparkline."""
MAX_LATENCIES = 2_048
"""The latest latencies, of which the percentiles are taken; the 99th then stands on 20 samples."""
TERM_WINDOW_S = 120
TERM_SLICE_S = 10
"""Terms leave the window a slice at a time."""
MAX_TERMS_OF_SLICE = 500
"""Distinct terms counted in a slice; a newcomer beyond that goes uncounted, the frequent ones have long been seen."""
TOP_TERMS = 20
LATEST_MESSAGES = 30
LATEST_EVERY_S = 0.4
"""Pace at which messages enter the latest ones: a reader follows two or three a second, not forty."""
EXCERPT_CODE_POINTS = 600
MAX_NAMES = 30
"""Distinct languages, and distinct reasons, counted by name; the rest is `OTHER`."""
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Mix:
    """How many messages, or mentions of a term, have each sentiment."""

    negative: int = 0
    neutral: int = 0
    positive: int = 0

    @property
    def total(self) -> int:
        """All three."""
        return self.negative + self.neutral + self.positive

    def share(self, label: Label) -> float:
        """0…1; 0 where there is nothing yet."""
        count: int = getattr(self, label)
        return count / self.total if self.total else 0.0

    def plus(self, label: Label) -> "Mix":
        """This mix and one more."""
        return self + Mix(**{label: 1})

    def __add__(self, other: "Mix") -> "Mix":
        return Mix(self.negative + other.negative, self.neutral + other.neutral, self.positive + other.positive)


@dataclass(frozen=True, slots=True)
class Term:
    """A key term of the last `TERM_WINDOW_S` seconds, by its normalized form; a message counts once."""

    normalized: str
    mix: Mix


@dataclass(frozen=True, slots=True)
class Latency:
    """From the source's timestamp to the arrival of the enriched event, in milliseconds."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a reader of the dead-letter topic learns: the stable code, and why in one line."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the stream. Counts are since the start, except where a window is named."""

    elapsed_s: float
    enriched: int
    tombstones: int
    dead: int
    rate: float
    """Outcomes a second, over the last `RATE_WINDOW_S` whole seconds."""
    mean_rate: float
    """Outcomes a second, from the first to the last arrival."""
    history: tuple[int, ...]
    """Outcomes in each of the last `HISTORY_S` whole seconds, oldest first."""
    latency: Latency | None
    sentiment: Mix
    unscored: int
    """Enriched, but in a language that the model does not support."""
    languages: tuple[tuple[str, int], ...]
    """Code and count, the most frequent first; so are the next two."""
    terms: tuple[Term, ...]
    dead_letters: tuple[tuple[str, int], ...]
    last_dead: DeadLetter | None
    latest: tuple[EnrichedEvent, ...]
    """Excerpts, newest first, paced to be readable: a sample, not every message."""

    @property
    def outcomes(self) -> int:
        """Every input has exactly one."""
        return self.enriched + self.tombstones + self.dead


class ViewModel:
    """Everything counted so far; create it when the stream starts. Time never runs backwards in here."""

    def __init__(self, now: float) -> None:
        self._started = self._now = now
        self._arrivals = _Arrivals()
        self._latencies_ms: deque[float] = deque(maxlen=MAX_LATENCIES)
        self._sentiment = Mix()
        self._enriched = self._tombstones = self._unscored = 0
        self._languages: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._last_dead: DeadLetter | None = None
        self._terms = _TermWindow()
        self._latest: deque[EnrichedEvent] = deque(maxlen=LATEST_MESSAGES)
        self._latest_at = float("-inf")

    def add_enriched(self, event: EnrichedEvent, now: float) -> None:
        """An enriched event has arrived."""
        self._arrive(now)
        self._enriched += 1
        _count(self._languages, event["language"]["code"])
        self._add_latency(event["source"]["timestamp"], now)
        self._add_sentiment(event)
        self._terms.add(event["key_terms"], self._elapsed_s)
        if self._now - self._latest_at >= LATEST_EVERY_S:
            self._latest_at = self._now
            self._latest.appendleft(excerpt(event))

    def add_tombstone(self, now: float) -> None:
        """A null value has been forwarded."""
        self._arrive(now)
        self._tombstones += 1

    def add_dead(self, letter: DeadLetter, now: float) -> None:
        """A dead letter has arrived."""
        self._arrive(now)
        _count(self._reasons, letter.reason)
        self._last_dead = letter

    def at(self, now: float) -> View:
        """The view of this moment."""
        self._now = max(self._now, now)
        return View(
            elapsed_s=self._elapsed_s,
            enriched=self._enriched,
            tombstones=self._tombstones,
            dead=self._reasons.total(),
            rate=self._arrivals.rate(self._elapsed_s),
            mean_rate=self._arrivals.mean_rate(),
            history=self._arrivals.history(self._elapsed_s),
            latency=_latency(self._latencies_ms),
            sentiment=self._sentiment,
            unscored=self._unscored,
            languages=tuple(self._languages.most_common()),
            terms=self._terms.top(self._elapsed_s),
            dead_letters=tuple(self._reasons.most_common()),
            last_dead=self._last_dead,
            latest=tuple(self._latest),
        )

    @property
    def _elapsed_s(self) -> float:
        return self._now - self._started

    def _arrive(self, now: float) -> None:
        self._now = max(self._now, now)
        self._arrivals.add(self._elapsed_s)

    def _add_latency(self, timestamp: str | None, now: float) -> None:
        if timestamp is not None:
            sent = datetime.fromisoformat(timestamp).timestamp()
            self._latencies_ms.append(max(0.0, now - sent) * 1000)  # a producer's clock may be ahead of ours

    def _add_sentiment(self, event: EnrichedEvent) -> None:
        if event["sentiment"] is None:
            self._unscored += 1
        else:
            self._sentiment = self._sentiment.plus(event["sentiment"]["label"])


def excerpt(event: EnrichedEvent) -> EnrichedEvent:
    """The event with its text cut to `EXCERPT_CODE_POINTS`, and the mentions of key terms that still stand in it."""
    if len(event["text"]) <= EXCERPT_CODE_POINTS:
        return event
    cut = event.copy()
    cut["text"] = event["text"][:EXCERPT_CODE_POINTS]
    cut["key_terms"] = [term for term in event["key_terms"] if _mentions_within(term)]
    cut["key_terms"] = [_only_within(term) for term in cut["key_terms"]]
    return cut


def mentions(term: KeyTerm) -> list[tuple[int, int]]:
    """Every place of a term: its `mentions`, or its only one."""
    return term.get("mentions") or [(term["begin"], term["end"])]


def _mentions_within(term: KeyTerm) -> list[tuple[int, int]]:
    return [(begin, end) for begin, end in mentions(term) if end <= EXCERPT_CODE_POINTS]


def _only_within(term: KeyTerm) -> KeyTerm:
    within = _mentions_within(term)
    kept = term.copy()
    kept.pop("mentions", None)
    kept["begin"], kept["end"] = within[0]
    if len(within) > 1:
        kept["mentions"] = within
    return kept


class _Arrivals:
    """Outcomes of each whole second since the start, for as long as `HISTORY_S`."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=HISTORY_S + 1)  # (second, outcomes in it), oldest first
        self._first_s = self._last_s = 0.0
        self._total = 0

    def add(self, elapsed_s: float) -> None:
        second = int(elapsed_s)
        count = 0
        if self._seconds and self._seconds[-1][0] == second:
            _, count = self._seconds.pop()
        self._seconds.append((second, count + 1))
        self._first_s = self._first_s if self._total else elapsed_s
        self._last_s = elapsed_s
        self._total += 1

    def history(self, elapsed_s: float) -> tuple[int, ...]:
        now = int(elapsed_s)
        counts = dict(self._seconds)
        return tuple(counts.get(second, 0) for second in range(max(0, now - HISTORY_S), now))

    def rate(self, elapsed_s: float) -> float:
        window = self.history(elapsed_s)[-RATE_WINDOW_S:]
        if not window:  # the first second is not over: what has come so far
            return float(self._total)
        return sum(window) / len(window)

    def mean_rate(self) -> float:
        # From the first arrival to the last there is one interval fewer than arrivals.
        return (self._total - 1) / (self._last_s - self._first_s) if self._last_s > self._first_s else 0.0


@dataclass(slots=True)
class _TermSlice:
    number: int
    mixes: dict[str, Mix] = field(default_factory=dict)


class _TermWindow:
    """Key terms of the last `TERM_WINDOW_S`, in slices of `TERM_SLICE_S`."""

    def __init__(self) -> None:
        self._slices: deque[_TermSlice] = deque(maxlen=TERM_WINDOW_S // TERM_SLICE_S)

    def add(self, terms: Iterable[KeyTerm], elapsed_s: float) -> None:
        number = int(elapsed_s // TERM_SLICE_S)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_TermSlice(number))
        mixes = self._slices[-1].mixes
        for term in terms:
            name = term["normalized"][:EXCERPT_CODE_POINTS]
            if name in mixes or len(mixes) < MAX_TERMS_OF_SLICE:
                mixes[name] = mixes.get(name, Mix()).plus(term["sentiment"]["label"])

    def top(self, elapsed_s: float) -> tuple[Term, ...]:
        oldest = elapsed_s // TERM_SLICE_S - TERM_WINDOW_S // TERM_SLICE_S
        merged: dict[str, Mix] = {}
        for part in self._slices:
            for name, mix in part.mixes.items() if part.number > oldest else ():
                merged[name] = merged.get(name, Mix()) + mix
        by_count = sorted(merged.items(), key=lambda item: (-item[1].total, item[0]))
        return tuple(Term(name, mix) for name, mix in by_count[:TOP_TERMS])


def _count(counter: Counter[str], name: str) -> None:
    known = name in counter or len(counter) < MAX_NAMES
    counter[name if known else OTHER] += 1


def _latency(latencies_ms: Iterable[float]) -> Latency | None:
    ranked = sorted(latencies_ms)
    return Latency(_percentile(ranked, 50), _percentile(ranked, 99)) if ranked else None


def _percentile(ranked: list[float], percent: int) -> float:
    """The smallest value that at least `percent` % of them do not exceed (nearest rank)."""
    return ranked[-(-len(ranked) * percent // 100) - 1]
