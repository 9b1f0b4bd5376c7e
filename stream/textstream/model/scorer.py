"""Scorer: a verified bundle that turns texts into analyses. The model's whole path on one screen is `Scorer.analyse`."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textstream import native
from textstream.analysis import EncodedAnalysis, encoded
from textstream.drift import Reference
from textstream.errors import Misconfigured
from textstream.event import (
    KINDS,
    LABELS,
    Analysis,
    EnrichedEvent,
    KeyTerm,
    Language,
    ModelInfo,
    Sentiment,
    Source,
    enriched_event,
    rfc3339,
)
from textstream.model import bundle as files
from textstream.model.calibrate import DIGITS, probabilities, rounded, salience, sentiments
from textstream.model.golden import verify
from textstream.model.packing import Scored, score
from textstream.model.pieces import LanguageTokeniser, WordPieces
from textstream.model.session import Device, Session
from textstream.model.spans import NAMED, candidates, plain, readable, span_means, splits_grapheme, trimmed, united, within
from textstream.model.text import fold, kinds
from textstream.model.tokens import Lexicon, Tokeniser, Tokens, marks
from textstream.quality import Computed

BATCH = 512
"""Texts a call of `analyse` when `score` cuts a stream of its own."""

MAX_TERMS = 10
"""Default of `max_terms`, and what golden outputs are made with."""

_TAGS = 3 * len(KINDS)
_ASPECT = KINDS.index("aspect")

MAX_REMEMBERED = 64
"""Code points of the longest term whose folded form is remembered: bounds what the table below can hold."""
_remembered = lru_cache(maxsize=100_000)(fold)


def normalized(said: str) -> str:
    """The folded form of a term."""
    return _remembered(said) if len(said) <= MAX_REMEMBERED else fold(said)


class Scorer:
    """Sentiment, key terms and language of texts. `tokenise` and `analyse` may run in different threads."""

    def __init__(
        self, bundle: files.Bundle, sessions: Sequence[Session], max_terms: int, min_salience: float, max_tokens: int
    ) -> None:
        self.info: ModelInfo = bundle.info
        self.manifest = bundle.manifest
        self.max_terms = max_terms
        self.min_salience = min_salience
        self.max_tokens = max_tokens
        self.device = sessions[0].device
        self._sessions = tuple(sessions)
        self._tokeniser = _tokeniser(bundle, max_tokens)
        languages, calibration = bundle.manifest.languages, bundle.manifest.calibration
        self._number = {code: i for i, code in enumerate(languages)}
        self._sentiment = [calibration.sentiment[code] for code in languages]
        self._towards = [calibration.towards[code] for code in languages]
        self._terms = [calibration.terms[code][kind] for code in languages for kind in KINDS]

    @classmethod
    def load(
        cls,
        bundle: str | Path = "swift",
        *,
        device: Device = "auto",
        threads: int = 1,
        max_terms: int = MAX_TERMS,
        min_salience: float | None = None,
        max_tokens: int | None = None,
    ) -> "Scorer":
        """Load and verify a bundle: a packaged name or a folder. `min_salience` and `max_tokens` default to the bundle's.

        Raises Misconfigured for a damaged bundle, a device that is not there, or a limit out of range.
        """
        found = files.read(bundle)
        manifest = found.manifest
        least = manifest.calibration.min_salience if min_salience is None else min_salience
        limit = manifest.max_tokens if max_tokens is None else max_tokens
        if max_terms < 0 or not 0 <= least <= 1 or limit < 1 or threads < 0:
            raise Misconfigured("max_terms and threads must be 0 or more, min_salience 0 to 1, max_tokens 1 or more")
        sessions = open_sessions(found.folder, manifest.networks, device, threads)
        scorer = cls(found, sessions, MAX_TERMS, manifest.calibration.min_salience, manifest.max_tokens)
        verify(scorer, found.folder)
        scorer.max_terms, scorer.min_salience = max_terms, least
        if limit != scorer.max_tokens:
            scorer.max_tokens, scorer._tokeniser = limit, _tokeniser(found, limit)
        return scorer

    @property
    def reference(self) -> Reference | None:
        """What the texts were like that the bundle was measured on, where it says so."""
        return self.manifest.reference

    @property
    def computed(self) -> Computed:
        """What passes have computed so far, those of the golden check among them."""
        each = [session.computed for session in self._sessions]
        return Computed(sum(one.tokens for one in each), sum(one.padding for one in each))

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Each text made ready for `analyse`; `count` is the number of tokens that will be scored."""
        return self._tokeniser(texts)

    def analyse(self, batch: Sequence[Tokens]) -> list[EncodedAnalysis]:
        """The analysis of each text, in the order given."""
        found: list[EncodedAnalysis | None] = [None] * len(batch)
        for spoken, number, scored in self._scored(batch):
            texts = [batch[i] for i in spoken]
            moods = rounded(probabilities(scored.sentiment, number, self._sentiment))
            said = written(texts, moods, *self._key_terms(texts, number, scored), self.max_terms)
            for i, one in zip(spoken, said, strict=True):
                found[i] = one
        return [
            one or encoded(_unscored(tokens, tokens.language["code"] in self._number))
            for one, tokens in zip(found, batch, strict=True)
        ]

    def score(self, texts: Iterable[str]) -> list[EnrichedEvent]:
        """Texts in, enriched events out, in order, without Kafka: the source is `local`, the offset counts texts."""
        if isinstance(texts, str):
            raise TypeError("score takes many texts, not one: pass [text]")
        events: list[EnrichedEvent] = []
        rest = iter(texts)
        while chunk := list(islice(rest, BATCH)):
            analyses = [said.decoded() for said in self.analyse(self.tokenise(chunk))]
            now = rfc3339(int(time.time() * 1000))
            assert now is not None, "the clock shows a year beyond 9999"
            for text, analysis in zip(chunk, analyses, strict=True):
                source = Source(topic="local", partition=0, offset=len(events), timestamp=None)
                events.append(enriched_event(text, analysis, model=self.info, source=source, processed_at=now))
        return events

    def towards(self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]) -> list[list[Sentiment | None]]:
        """The sentiment towards spans that are given, [begin, end) in code points, as if each had been found as an aspect.

        None where there is nothing to say: a language that is not supported, or a span that no scored token stands in.
        """
        said: list[list[Sentiment | None]] = [[None] * len(own) for own in spans]
        batch = self.tokenise(texts)
        for spoken, number, scored in self._scored(batch):
            where = [(i, k, at, *_covering(batch[i], *span)) for at, i in enumerate(spoken) for k, span in enumerate(spans[i])]
            where = [place for place in where if place[3] < place[4]]
            text, first, last = (np.array([place[column] for place in where], np.int64) for column in (2, 3, 4))
            whole = scored.starts[text] + first, scored.starts[text] + last
            bare = within(*whole, marks([batch[i] for i in spoken]))
            begin, end = (np.where(bare[0] < bare[1], *pair) for pair in zip(bare, whole, strict=True))
            logits = span_means(scored.tokens[:, _TAGS:], begin, end)
            moods = sentiments(rounded(probabilities(logits, number[text], self._towards)))
            for (i, k, *_), mood in zip(where, moods, strict=True):
                said[i][k] = mood
        return said

    def _scored(self, batch: Sequence[Tokens]) -> Iterator[tuple[list[int], NDArray[np.int64], Scored]]:
        """For each network the texts in its languages, by their place in `batch`, the numbers of those, and what it said."""
        for network, session in zip(self.manifest.networks, self._sessions, strict=True):
            spoken = [i for i, tokens in enumerate(batch) if tokens.language["code"] in network.languages and tokens.count]
            if spoken:
                number = np.array([self._number[batch[i].language["code"]] for i in spoken])
                yield spoken, number, score([batch[i] for i in spoken], session.infer)

    def _key_terms(
        self, texts: Sequence[Tokens], number: NDArray[np.int64], scored: Scored
    ) -> tuple["Spans", NDArray[np.int64]]:
        """What may be key terms: spans of all channels that are salient enough; and of those that are aspects the rounded
        probabilities of the sentiment towards them, (aspects, 3)."""
        first = np.zeros(len(scored.tokens), np.bool_)
        first[scored.starts] = True
        found = trimmed(candidates(scored.tokens[:, :_TAGS].reshape(-1, len(KINDS), 3), first), marks(texts))
        text = (np.cumsum(first) - 1)[found.begin]
        salient = salience(found.evidence, number[text] * len(KINDS) + found.channel, self._terms)
        chance = np.asarray(np.round(salient.astype(np.float64), DIGITS), np.float64)
        heard = np.nonzero(chance >= min(self.min_salience, NAMED))[0]  # one too weak to be said may still name a kind
        which, channel, sure = united(found.channel[heard], found.begin[heard], found.end[heard], chance[heard])
        kept = heard[which]
        order = np.flatnonzero(sure >= self.min_salience)  # as they stand in the texts, and so do equals of a text below
        order = order[np.argsort(2 * text[kept[order]] - sure[order], kind="stable")]
        kept, channel, sure = kept[order], channel[order], sure[order]
        where, first_token, end_token = text[kept], found.begin[kept], found.end[kept]
        own = np.flatnonzero(channel == _ASPECT)  # the others take the sentiment of their message
        logits = span_means(scored.tokens[:, _TAGS:], first_token[own], end_token[own])
        towards = rounded(probabilities(logits, number[where[own]], self._towards))
        begins = np.concatenate([tokens.begins for tokens in texts])[first_token]
        ends = np.concatenate([tokens.ends for tokens in texts])[end_token - 1]
        return Spans(where, first_token, end_token, begins, ends, channel, sure), towards


def open_sessions(
    folder: Path, networks: Sequence[files.NetworkFiles], device: Device = "auto", threads: int = 1
) -> list[Session]:
    """A session for each network, all on the same device."""
    return [
        Session({kernel: folder / name for kernel, name in network.graphs.items()}, device, threads) for network in networks
    ]


def _tokeniser(bundle: files.Bundle, max_tokens: int) -> Callable[[Sequence[str]], list[Tokens]]:
    """Words of one lexicon for all languages, or the word pieces of each language's own network."""
    pieces: dict[str, WordPieces] = {}
    for network, vocabulary in zip(bundle.manifest.networks, bundle.vocabularies, strict=True):
        if isinstance(vocabulary, Lexicon):
            return Tokeniser(vocabulary, max_tokens)
        pieces |= dict.fromkeys(network.languages, vocabulary)
    return LanguageTokeniser(pieces, max_tokens)


def _covering(tokens: Tokens, begin: int, end: int) -> tuple[int, int]:
    """First token and end, exclusive, of the tokens that stand in the code points [begin, end); equal where none does."""
    first = int(np.searchsorted(tokens.ends, begin, side="right"))
    return first, max(first, int(np.searchsorted(tokens.begins, end, side="left")))


def _unscored(tokens: Tokens, supported: bool) -> Analysis:
    """Of a text that no model reads, or of which nothing is said yet; whether the bundle has its language."""
    language: Language = {**tokens.language, "supported": supported}
    analysis: Analysis = {"language": language, "sentiment": None, "key_terms": [], "truncated": tokens.truncated}
    if tokens.truncated:
        analysis["scored_until"] = tokens.scored_until
    return analysis


class Spans(NamedTuple):
    """Spans that may be terms, text by text, of each the most salient first; one entry a span."""

    text: NDArray[np.int64]
    first: NDArray[np.int64]
    """First token in the batch's run of all tokens."""
    last: NDArray[np.int64]
    """Exclusive, like `ends`."""
    begins: NDArray[np.int32]
    """First code point in its text."""
    ends: NDArray[np.int32]
    channel: NDArray[np.int64]
    salience: NDArray[np.float64]


def written(
    texts: Sequence[Tokens], moods: NDArray[np.int64], spans: Spans, towards: NDArray[np.int64], most: int
) -> list[EncodedAnalysis]:
    """The analyses of texts in the bundle's languages. `moods` are the rounded probabilities of each one's sentiment
    (texts, 3), `towards` those of each span that is an aspect."""
    if native.compiled is None:
        return _written_in_python(texts, moods, spans, towards, most)
    languages = [tokens.language for tokens in texts]
    until = np.array([tokens.scored_until if tokens.truncated else -1 for tokens in texts], np.int64)
    found: list[EncodedAnalysis] = native.compiled.analyses(
        [tokens.text for tokens in texts], languages, until, moods, *spans, towards, _ASPECT, most,
        int(spans.last.max(initial=0)), LABELS, KINDS, kinds(), splits_grapheme, normalized, EncodedAnalysis,
    )  # fmt: skip
    return found


def _written_in_python(
    texts: Sequence[Tokens], moods: NDArray[np.int64], spans: Spans, towards: NDArray[np.int64], most: int
) -> list[EncodedAnalysis]:
    """As `written`."""
    said = sentiments(moods)
    found = _terms([tokens.text for tokens in texts], spans, said, sentiments(towards), most)
    return [
        encoded({**_unscored(tokens, True), "sentiment": mood, "key_terms": terms})
        for tokens, mood, terms in zip(texts, said, found, strict=True)
    ]


def _terms(
    texts: Sequence[str], spans: Spans, moods: Sequence[Sentiment], towards: Sequence[Sentiment], most: int
) -> list[list[KeyTerm]]:
    """For each text at most so many terms: spans that overlap no better one and are a term to a reader.

    `moods` has the sentiment of each text, `towards` that of each span that is an aspect.
    """
    found: list[list[KeyTerm]] = [[] for _ in texts]
    taken = bytearray(max(spans.last.tolist(), default=0))  # a byte for each token
    own_moods, unbroken = iter(towards), [plain(text) is not None for text in texts]
    for at, first, last, begin, end, channel, value in zip(*(column.tolist() for column in spans), strict=True):
        mood = next(own_moods) if channel == _ASPECT else moods[at]
        said = texts[at][begin:end]
        if any(taken[first:last]) or not readable(said):
            continue
        if not unbroken[at] and (splits_grapheme(texts[at], begin) or splits_grapheme(texts[at], end)):
            continue
        norm, terms = normalized(said), found[at]
        for term in terms:
            if term["normalized"] == norm:
                term["mentions"] = sorted([*term.get("mentions", [(term["begin"], term["end"])]), (begin, end)])
                break
        else:
            if len(terms) == most:
                continue
            terms.append(
                {
                    "text": said,
                    "normalized": norm,
                    "kind": KINDS[channel],
                    "salience": value,
                    "begin": begin,
                    "end": end,
                    "sentiment": mood,
                }
            )
        taken[first:last] = b"\1" * (last - first)
    return found
