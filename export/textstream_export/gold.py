"""What is right: the gold of rows as labels, strings and places, in the form that the measures take."""

from collections.abc import Sequence

import numpy as np

from textstream.event import LABELS, Kind
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export.data import Aspect, Row
from textstream_export.encode import find_terms
from textstream_export.measures import Labels, Span, present
from textstream_export.sources import CHANNELS

NEUTRAL = LABELS.index("neutral")
TOKENISE = Tokeniser(Lexicon((), 1, 1), 4096)
"""Cuts texts into their finest tokens, where only their places matter: every Chinese character is one."""


def message_labels(rows: Sequence[Row]) -> Labels:
    """(rows,) the gold label of each."""
    return np.array([LABELS.index(row.label) for row in rows if row.label], np.int64)


def given_terms(rows: Sequence[Row]) -> list[tuple[str, Aspect]]:
    """Every gold aspect with the text it stands in."""
    return [(row.text, aspect) for row in rows for aspect in row.aspects or ()]


def term_labels(rows: Sequence[Row]) -> Labels:
    """(terms,) the gold sentiment of each of `given_terms`."""
    return np.array([LABELS.index(aspect.sentiment) for _, aspect in given_terms(rows)], np.int64)


def kind_of(row: Row) -> Kind:
    """The kind of key term that a row's gold is of."""
    return CHANNELS.get(row.source, "phrase" if row.aspects is None else "aspect")


def gold_terms(row: Row) -> tuple[str, ...]:
    """The gold terms as they were given; some may not stand in the text."""
    return row.terms if row.terms is not None else tuple(row.text[a.begin : a.end] for a in row.aspects or ())


def gold_sets(rows: Sequence[Row]) -> list[set[str]]:
    """The keys of each row's gold terms that stand in its text."""
    return [present(gold_terms(row), row.text) for row in rows]


def gold_spans(rows: Sequence[Row]) -> list[list[Span]]:
    """The gold of each row in its places: as given for aspects, every whole-word occurrence of a term that has no place."""
    out: list[list[Span]] = []
    for row, tokens in zip(rows, TOKENISE([row.text for row in rows]), strict=True):
        places = [(a.begin, a.end) for a in row.aspects or ()]
        if row.aspects is None:
            places = [(int(tokens.begins[a]), int(tokens.ends[b - 1])) for a, b in find_terms(tokens, gold_terms(row))]
        out.append([(begin, end, kind_of(row)) for begin, end in places])
    return out
