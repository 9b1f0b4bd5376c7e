"""Reads the labelled rows: `{sentiment,terms,aspects}.{en,zh}.{train,dev}.jsonl.gz`, with what must be true of each.

No row that scores a model is ever trained on. Those are the dev rows and, of sources that have no dev file but stand in the
published table, the `tested` part of train: a train row whose text is one of theirs, but for case, width and spacing, is
dropped on reading. Calibration and thresholds use `held_out` rows of what is left. Both parts go by a hash of the text.
"""

import gzip
import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, TypeVar

from textstream.errors import Misconfigured
from textstream.event import LABELS, Label
from textstream.model.text import QUOTES
from textstream_export.sources import EMOTICON_LABELLED

T = TypeVar("T")
Split = Literal["train", "dev"]
LANGUAGES = ("en", "zh")
TASKS = ("sentiment", "terms", "aspects")

HELD_OUT_PER_CENT = 3
"""Share of train that calibrates and sets thresholds: 3 % is about 1,400 tweets and 700 microblogs."""

TESTED_PER_CENT = {"tweets_kw": 20, "tnews_kw": 5}
"""Share of a source's train rows that only scores it: 20 % of 1,097 tweets is about 220, 5 % of 13,897 titles about 700."""

_BRACKETS = re.compile(r"\[[^\]\s]{1,12}\]")
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Aspect:
    """A gold term in its place: `text[begin:end]` in code points, and the sentiment towards it."""

    begin: int
    end: int
    sentiment: Label


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text; the fields of other tasks are None."""

    text: str
    lang: str
    source: str
    label: Label | None = None
    terms: tuple[str, ...] | None = None
    aspects: tuple[Aspect, ...] | None = None


def text_hash(text: str) -> str:
    """The same for texts that differ only in case, width, spacing or punctuation."""
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    plain = _NOT_WORD.sub("", folded) or folded
    return blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def held_out(text: str) -> bool:
    """Whether a train row is kept from training, for calibration and thresholds."""
    return int(text_hash(text), 16) % 100 < HELD_OUT_PER_CENT


def in_share(text: str, share: float) -> bool:
    """Whether a text is one of a part of all texts, by other digits of its hash than those that hold texts out."""
    return int(text_hash(text), 16) // 100 % 10_000 < share * 10_000


def is_tested(row: Row) -> bool:
    """Whether a train row of a source without a dev file is kept for its scores, from training and calibration alike."""
    return int(text_hash(row.text), 16) % 100 >= 100 - TESTED_PER_CENT.get(row.source, 0)


def read_split(folder: Path, split: Split) -> list[Row]:
    """Every labelled row of a split. Raises Misconfigured on a missing folder or file, an empty file or a bad row."""
    if not folder.is_dir():
        raise Misconfigured(f"no data folder at {folder}: name the folder that holds sentiment.en.train.jsonl.gz with --data")
    names = [f"{task}.{lang}.{split}.jsonl.gz" for task in TASKS for lang in LANGUAGES]
    return [row for name in names for row in read_rows(folder / name)]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one file, named `task.lang.split.jsonl.gz`."""
    return parsed(path, _row)


def parsed(path: Path, parse: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """What `parse` makes of each line of a file. Raises Misconfigured, with the line where one is wrong."""
    if not path.is_file():
        raise Misconfigured(f"missing data file {path}")
    number = 0
    for number, line in enumerate(_lines(path), start=1):
        try:
            yield parse(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise Misconfigured(f"{path}:{number}: {type(error).__name__}: {error}") from None
    if not number:
        raise Misconfigured(f"{path} is empty: a data file needs at least one row")


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:  # no gzip, cut short, damaged, or of other text
        raise Misconfigured(
            f"{path} cannot be read as UTF-8 text in gzip ({error}): compress it anew, or copy it again"
        ) from None


def read_test(folder: Path) -> list[Row]:
    """The rows that score a model, and do nothing else: every dev row and the tested train rows."""
    train = (row for lang in LANGUAGES for row in read_rows(folder / f"terms.{lang}.train.jsonl.gz"))
    return [*read_split(folder, "dev"), *(row for row in train if is_tested(row))]


def unseen_hashes(folder: Path) -> frozenset[str]:
    """`text_hash` of every row that scores a model: what no text that trains, labelled or not, may have."""
    return frozenset(text_hash(row.text) for row in read_test(folder))


def read_train(folder: Path) -> list[Row]:
    """The train rows, without any whose text stands in `read_test` too."""
    tests = unseen_hashes(folder)
    return [row for row in read_split(folder, "train") if text_hash(row.text) not in tests]


def read_unlabelled(folder: Path, language: str) -> Iterator[Row]:
    """The messages without labels, without any whose text stands in `read_test`, each text once."""
    seen = set(unseen_hashes(folder))
    for row in parsed(folder / f"unlabelled.{language}.jsonl.gz", plain_row):
        if (mark := text_hash(row.text)) not in seen:
            seen.add(mark)
            yield row


def split_held_out(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """(to train on, held out): every copy of a text falls on the same side. The rows are those of `read_train`."""
    sides: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        assert not is_tested(row), f"a row that scores {row.source} would train: read the rows with read_train"
        sides[held_out(row.text)].append(row)
    return sides


def _row(raw: dict[str, Any]) -> Row:
    """A row as it stands in the data: it has a label of some kind, and its text is cleaned where the label is in it."""
    row = plain_row(raw)
    if row.label is None and row.terms is None and row.aspects is None:
        raise ValueError("a row needs `label`, `terms` or `aspects`")
    if row.source in EMOTICON_LABELLED:
        return replace(row, text=_BRACKETS.sub("", row.text).strip() or row.text)
    return row


def plain_row(raw: dict[str, Any]) -> Row:
    """A row, labelled or not. Raises ValueError, KeyError or TypeError on what is none."""
    text = raw["text"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("`text` must be a string that is not blank")
    label = raw.get("label")
    if label is not None and label not in LABELS:
        raise ValueError(f"unknown label {label!r}, expected one of {', '.join(LABELS)}")
    terms = tuple(map(_unquoted, raw["terms"])) if "terms" in raw else None
    aspects = tuple(_aspect(text, a) for a in raw["aspects"]) if "aspects" in raw else None
    return Row(text, raw["lang"], raw["source"], label, terms, aspects)


def _unquoted(term: str) -> str:
    """A term without quotes around it, unless one stands within: cluener marks titles, tnews_kw does not, no event does."""
    bare = term.strip(QUOTES)
    return bare if bare and not set(bare) & set(QUOTES) else term


def _aspect(text: str, raw: dict[str, Any]) -> Aspect:
    begin, end = raw["begin"], raw["end"]
    if not 0 <= begin < end <= len(text) or text[begin:end] != raw["term"]:
        raise ValueError(f"aspect {raw['term']!r} does not stand at [{begin}, {end}) of the text")
    if raw["sentiment"] not in LABELS:
        raise ValueError(f"unknown sentiment {raw['sentiment']!r} of aspect {raw['term']!r}")
    return Aspect(begin, end, raw["sentiment"])
