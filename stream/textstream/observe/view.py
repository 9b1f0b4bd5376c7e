"""What a live view shows, as plain values: rates, latency, sentiment, languages, key terms, latest messages, dead letters.

`ViewModel` folds outcomes in with the time of their arrival: one by one in the demo, which reads all of them, or counted
together, with a sample of the events, in a worker. `at(now)` is the `View` of that moment, which the terminal and the worker's
page draw. Pure: no I/O and no clock; times are seconds since the epoch. However long the stream and whatever its messages,
memory is bounded by the limits below.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, Self, TypeVar

from textstream.event import EnrichedEvent, KeyTerm, Label, mentions

RATE_WINDOW_S = 5
"""Long enough to be steady at 40 messages a second, short enough to show a stall."""
HISTORY_S = 60
"""Whole seconds of history, for a sparkline."""
MOOD_S, MOODS = 5, 60
"""Seconds that one mix of sentiments over time stands for, and how many of them are kept: five minutes."""
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
    """From the source's timestamp to the arrival of the outcome, in milliseconds."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a reader of the dead-letter topic learns: the stable code, and why in one line."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcomes that arrived together. `dead` counts dead letters by reason; latencies may be those of some of them."""

    sentiment: Mix = Mix()
    unscored: int = 0
    tombstones: int = 0
    dead: Mapping[str, int] = field(default_factory=dict)
    latencies_ms: Sequence[float] = ()

    @property
    def outcomes(self) -> int:
        """All of them."""
        return self.sentiment.total + self.unscored + self.tombstones + sum(self.dead.values())


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
    moods: tuple[Mix, ...]
    """The sentiment of each `MOOD_S` seconds, oldest first, the present ones last; at most `MOODS`."""
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
        self._moods = _Slices(MOOD_S, MOODS, Mix())
        self._tombstones = self._unscored = 0
        self._languages: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._last_dead: DeadLetter | None = None
        self._terms = _TermWindow()
        self._latest: deque[EnrichedEvent] = deque(maxlen=LATEST_MESSAGES)
        self._latest_at = float("-inf")

    def add(self, tally: Tally, now: float) -> None:
        """These outcomes have arrived."""
        self._now = max(self._now, now)
        self._arrivals.add(self._elapsed_s, tally.outcomes)
        self._sentiment += tally.sentiment
        self._moods.add(self._elapsed_s, tally.sentiment)
        self._unscored += tally.unscored
        self._tombstones += tally.tombstones
        for reason, count in tally.dead.items():
            _count(self._reasons, reason, count)
        self._latencies_ms.extend(tally.latencies_ms)

    def sample(self, event: EnrichedEvent, now: float) -> None:
        """An event, of those that were counted, to learn languages and key terms from; now and then it is shown."""
        self._now = max(self._now, now)
        _count(self._languages, event["language"]["code"])
        self._terms.add(event["key_terms"], self._elapsed_s)
        if self._now - self._latest_at >= LATEST_EVERY_S:
            self._latest_at = self._now
            self._latest.appendleft(excerpt(event))

    def add_enriched(self, event: EnrichedEvent, now: float) -> None:
        """An enriched event has arrived."""
        sentiment, sent_s = event["sentiment"], _seconds(event["source"]["timestamp"])
        latencies_ms = () if sent_s is None else (max(0.0, now - sent_s) * 1000,)  # a producer's clock may be ahead of ours
        mix = Mix() if sentiment is None else Mix().plus(sentiment["label"])
        self.add(Tally(mix, unscored=int(sentiment is None), latencies_ms=latencies_ms), now)
        self.sample(event, now)

    def add_tombstone(self, now: float) -> None:
        """A null value has been forwarded."""
        self.add(Tally(tombstones=1), now)

    def add_dead(self, letter: DeadLetter, now: float) -> None:
        """A dead letter has arrived."""
        self.add(Tally(dead={letter.reason: 1}), now)
        self._last_dead = letter

    def at(self, now: float) -> View:
        """The view of this moment."""
        self._now = max(self._now, now)
        return View(
            elapsed_s=self._elapsed_s,
            enriched=self._sentiment.total + self._unscored,
            tombstones=self._tombstones,
            dead=self._reasons.total(),
            rate=self._arrivals.rate(self._elapsed_s),
            mean_rate=self._arrivals.mean_rate(),
            history=self._arrivals.history(self._elapsed_s),
            latency=_latency(self._latencies_ms),
            sentiment=self._sentiment,
            moods=tuple(self._moods.until(self._elapsed_s + MOOD_S)),
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


def excerpt(event: EnrichedEvent) -> EnrichedEvent:
    """The event with its text cut to `EXCERPT_CODE_POINTS`, and the mentions of key terms that still stand in it."""
    if len(event["text"]) <= EXCERPT_CODE_POINTS:
        return event
    cut = event.copy()
    cut["text"] = event["text"][:EXCERPT_CODE_POINTS]
    cut["key_terms"] = [term for term in event["key_terms"] if _mentions_within(term)]
    cut["key_terms"] = [_only_within(term) for term in cut["key_terms"]]
    return cut


def segments(event: EnrichedEvent) -> Iterator[tuple[str, Label | None]]:
    """The event's text in pieces: each mention of a key term with the sentiment towards it, and what stands between them."""
    text, done = event["text"], 0
    spans = sorted((begin, end, term["sentiment"]["label"]) for term in event["key_terms"] for begin, end in mentions(term))
    for begin, end, label in spans:
        if end <= max(begin, done):  # ours neither overlap nor end before they begin, but anybody may write an event
            continue
        if begin > done:
            yield text[done:begin], None
        yield text[max(begin, done) : end], label
        done = end
    if done < len(text):
        yield text[done:], None


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


class _Addable(Protocol):
    def __add__(self, other: Self, /) -> Self: ...


Sum = TypeVar("Sum", bound=_Addable)


class _Slices(Generic[Sum]):
    """Sums over each slice of time since the start, of the latest `most` slices."""

    def __init__(self, slice_s: int, most: int, nothing: Sum) -> None:
        self._slice_s = slice_s
        self._most = most
        self._nothing = nothing
        self._slices: deque[tuple[int, Sum]] = deque(maxlen=most + 1)  # (slice, sum), oldest first

    def add(self, elapsed_s: float, value: Sum) -> None:
        number = int(elapsed_s // self._slice_s)
        if self._slices and self._slices[-1][0] == number:
            value = self._slices.pop()[1] + value
        self._slices.append((number, value))

    def until(self, elapsed_s: float) -> Iterator[Sum]:
        """The sums of the slices that are over by then."""
        end = int(elapsed_s // self._slice_s)
        sums = dict(self._slices)
        return (sums.get(number, self._nothing) for number in range(max(0, end - self._most), end))


class _Arrivals:
    """Outcomes of each whole second since the start, for as long as `HISTORY_S`."""

    def __init__(self) -> None:
        self._seconds = _Slices(1, HISTORY_S, 0)
        self._first_s = self._last_s = 0.0
        self._total = 0

    def add(self, elapsed_s: float, count: int) -> None:
        self._seconds.add(elapsed_s, count)
        self._first_s = self._first_s if self._total else elapsed_s
        self._last_s = elapsed_s
        self._total += count

    def history(self, elapsed_s: float) -> tuple[int, ...]:
        return tuple(self._seconds.until(elapsed_s))

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


def _count(counter: Counter[str], name: str, count: int = 1) -> None:
    known = name in counter or len(counter) < MAX_NAMES
    counter[name if known else OTHER] += count


def _seconds(timestamp: str | None) -> float | None:
    return None if timestamp is None else datetime.fromisoformat(timestamp).timestamp()


def _latency(latencies_ms: Iterable[float]) -> Latency | None:
    ranked = sorted(latencies_ms)
    return Latency(_percentile(ranked, 50), _percentile(ranked, 99)) if ranked else None


def _percentile(ranked: list[float], percent: int) -> float:
    """The smallest value that at least `percent` % of them do not exceed (nearest rank)."""
    return ranked[-(-len(ranked) * percent // 100) - 1]
