"""Which gold spans the tokens can say at all: those that begin where a token begins and end where one ends.

No network finds the others exactly, however it is trained, so this bounds every score of key terms.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from textstream.model.text import HAN
from textstream.model.tokens import MERGED, Lexicon, Tokeniser, Tokens
from textstream_export.data import LANGUAGES, Row, read_rows
from textstream_export.report import table

CHUNK = 1000
READ = Tokeniser(Lexicon(tuple(sorted(MERGED)), 1, 1), 4096)
"""With a Chinese person as one token, as swift reads it: the coarsest tokens that there are."""
_one_word = re.compile(rf"[^\W_{HAN}]{{2}}").fullmatch
"""Whether two characters side by side are of one word, which Chinese ones never are."""


@dataclass(slots=True)
class Coverage:
    """Gold spans of one source, and those of them that no tokens say, each as `term | text`."""

    spans: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The part of the spans that tokens can say."""
        return 1 - len(self.missed) / max(1, self.spans)


def read_termed(folder: Path) -> Iterator[Row]:
    """Every row with gold terms or aspects, train and dev."""
    for task, lang, split in product(("terms", "aspects"), LANGUAGES, ("train", "dev")):
        yield from read_rows(folder / f"{task}.{lang}.{split}.jsonl.gz")


def coverage(rows: Iterable[Row]) -> dict[str, Coverage]:
    """Source → its gold spans: aspects in their places, of other terms every occurrence that is no part of a longer word."""
    found: dict[str, Coverage] = {}
    rest = iter(tqdm(rows, desc="rows", unit="row", mininterval=5))
    while chunk := list(islice(rest, CHUNK)):
        for row, tokens in zip(chunk, READ([row.text for row in chunk]), strict=True):
            for begin, end in gold_places(row):
                own = found.setdefault(row.source, Coverage())
                own.spans += 1
                if not can_say(tokens, begin, end):
                    own.missed.append(f"{row.text[begin:end]} | {row.text}")
    return dict(sorted(found.items()))


def gold_places(row: Row) -> set[tuple[int, int]]:
    """[begin, end) in code points of a row's gold terms."""
    named = {place for term in row.terms or () for place in occurrences(term, row.text)}
    return named | {(aspect.begin, aspect.end) for aspect in row.aspects or ()}


def occurrences(term: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a term stands in a text, whatever its case, and not as a part of a longer word."""
    wanted, folded = term.strip().lower(), text.lower()
    if len(folded) != len(text):  # a few letters are two when they are small
        wanted, folded = term.strip(), text
    begin = folded.find(wanted) if wanted else -1
    while begin >= 0:
        end = begin + len(wanted)
        if not (_one_word(folded[begin - 1 : begin + 1]) or _one_word(folded[end - 1 : end + 1])):
            yield begin, end
        begin = folded.find(wanted, begin + 1)


def can_say(tokens: Tokens, begin: int, end: int) -> bool:
    """Whether some tokens in a row are [begin, end) of the text, to the code point."""
    first, last = np.searchsorted(tokens.begins, begin), np.searchsorted(tokens.ends, end)
    whole = first < tokens.count and last < tokens.count
    return bool(whole and tokens.begins[first] == begin and tokens.ends[last] == end)


def as_markdown(found: dict[str, Coverage], examples: int) -> str:
    """A row for each source and one for all, then some of what is missed."""
    missed = [each for own in found.values() for each in own.missed]
    every = {**found, "all": Coverage(sum(own.spans for own in found.values()), missed)}
    lines = [(name, f"{own.spans:,}", f"{len(own.missed):,}", f"{own.share:.2%}") for name, own in every.items()]
    shown = [f"- {name}: {said}\n" for name, own in found.items() for said in own.missed[:examples]]
    return table(("source", "gold spans", "not at the borders of tokens", "representable"), lines) + "".join(["\n", *shown])
