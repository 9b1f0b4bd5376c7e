"""Reads a user's own labels, JSON lines or CSV, and says by line what is wrong with them.

    {"text": "the update broke my build", "label": "negative"}
    {"text": "the docs are great, the CLI is slow", "aspects": [{"begin": 4, "end": 8, "sentiment": "positive"}]}
    {"text": "cannot log in since the last update", "label": "negative", "terms": ["last update"]}

A row says at least one of the three: the `label` of the message; its `terms`, phrases that stand in the text; its `aspects`,
places [begin, end) in code points with the sentiment towards each. In CSV these are columns, `terms` and `aspects` as JSON.
What a row leaves out is not taught; other fields are ignored.
"""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream.model.tokens import Lexicon, Tokeniser, Tokens
from textstream_export.data import Aspect, Row, text_hash
from textstream_export.encode import find_terms, token_span
from textstream_export.soft import Tokenise
from textstream_export.sources import OWN, OWN_ASPECTS, OWN_TERMS

MAX_BYTES = 256 * 2**20
"""Of a file: a million messages. The file is read whole."""
HELD_OUT_PER_CENT = 30
"""Share of a user's rows that calibrates. Of 410 labels, 40 % gave 0.588 accuracy on others, 20 % 0.567; of 1,021 0.592 and
0.597: few labels say more of the calibration than of the weights."""
MIN_OF_A_CLASS = 5
"""Labelled messages of each class, in a language, that train or calibrate: without any, neutral texts were called positive
at .89."""
TASKS = {OWN: "label", OWN_TERMS: "terms", OWN_ASPECTS: "aspects"}
"""The field that holds the labels of each source."""
FORMS = '"terms": ["phrase of the text", …] and "aspects": [{"begin": 0, "end": 5, "sentiment": "positive"}, …]'
NOWHERE = "und"
READ = "labels of your own are read from JSON lines (.jsonl) or CSV (.csv)"
CUT = Tokeniser(Lexicon((), 1, 1), MAX_BYTES)
"""Cuts texts into words, however long they are."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character beyond U+FFFF: JSON can say it, no message can hold it."""

Raw = dict[str, Any]


def read(path: Path) -> list[Row]:
    """The rows of a user's file, one for each task that a text is labelled for; their language is not told yet.

    Raises Misconfigured with the line and what to change there.
    """
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise Misconfigured(f"{path} cannot be read: {READ}, by the end of its name")
    rows = _each_once(path, ((line, part) for line, raw in parse(path, _content(path)) for part in _rows(path, line, raw)))
    if not rows:
        raise Misconfigured(f"{path} is empty: write a labelled text on each line")
    return rows


def is_own(path: Path) -> bool:
    """Whether a path is meant as a file of a user's own labels, whatever its name; ours are folders, or files of gzip."""
    return (path.is_file() or path.suffix != "") and path.suffix != ".gz" and not path.is_dir()


def read_to_calibrate(path: Path, tokenise: Tokenise, languages: Sequence[str]) -> list[Row]:
    """As `read`, of the texts in `languages`, each with its language as `tokenise` tells it.

    Raises Misconfigured also where the messages of a language are too few of a class to say how likely it is.
    """
    rows = in_languages(path, tokenise, languages)
    _of_each_class(path, rows, 100, "calibrate")
    return rows


def read_to_train(path: Path, tokenise: Tokenise, languages: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """As `read_to_calibrate`, in two parts: (to train on, held out to calibrate).

    Raises Misconfigured where either is too small, so that nothing is trained that cannot be calibrated.
    """
    rows = in_languages(path, tokenise, languages)
    taught, kept = [row for row in rows if not held_out(row)], [row for row in rows if held_out(row)]
    if not (taught and kept):
        what = "none of them is" if taught else "all of them are"
        raise Misconfigured(f"{path}: too few labels, {what} held out to calibrate: label more texts")
    _of_each_class(path, kept, HELD_OUT_PER_CENT, f"calibrate ({HELD_OUT_PER_CENT} %)")
    _of_each_class(path, taught, 100 - HELD_OUT_PER_CENT, f"train ({100 - HELD_OUT_PER_CENT} %)")
    return taught, kept


def in_languages(path: Path, tokenise: Tokenise, languages: Sequence[str]) -> list[Row]:
    """The rows of a file that are in one of `languages`, each with its language; how many are not goes to standard error.

    Raises Misconfigured where there are none.
    """
    rows = read(path)
    said = [tokens.language["code"] for tokens in tokenise([row.text for row in rows])]
    spoken = [replace(row, lang=code) for row, code in zip(rows, said, strict=True) if code in languages]
    names = " or ".join(map(_language, languages))
    if not spoken:
        raise Misconfigured(f"{path}: no text is in {names}, which is what this model scores")
    if left := len(rows) - len(spoken):
        first = next(row.text for row, code in zip(rows, said, strict=True) if code not in languages)
        what = f"{left} of {len(rows)} labels are of texts not in {names}, such as {first[:40]!r}"
        print(f"{path}: {what}; they are left out", file=sys.stderr)
    return spoken


def _of_each_class(path: Path, rows: Sequence[Row], per_cent: int, purpose: str) -> None:
    """Raises Misconfigured where messages of a language are labelled, but of a class fewer than MIN_OF_A_CLASS.

    `rows` are so many per cent of the user's, and what they do is the purpose.
    """
    labelled = [row for row in rows if row.label]
    counts = Counter((row.lang, row.label) for row in labelled)
    for lang, first in {row.lang: row for row in reversed(labelled)}.items():
        lacking = {label: lack for label in LABELS if (lack := MIN_OF_A_CLASS - counts[lang, label]) > 0}
        if lacking:
            name = _language(lang)
            found = ", ".join(f"{counts[lang, label]} {label}" for label in LABELS)
            more = ", ".join(f"{ceil(lack * 100 / per_cent)} more {label}" for label, lack in lacking.items())
            raise Misconfigured(
                f"{path}: the {name} messages that {purpose} are {found}, and with fewer than {MIN_OF_A_CLASS} of a class a "
                f"model unlearns to say it: label about {more} in {name}, or leave out the labels of the {name} messages, "
                f"such as {first.text[:40]!r}"
            )


def _language(code: str) -> str:
    return {"en": "English", "zh": "Chinese"}.get(code, code)


def held_out(row: Row) -> bool:
    """Whether a user's row is kept from training to calibrate; every copy of a text falls on the same side."""
    return int(text_hash(row.text), 16) % 100 < HELD_OUT_PER_CENT


def _content(path: Path) -> str:
    """The file as text. Raises Misconfigured where it cannot be read, is too large or not UTF-8."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise Misconfigured(
                f"{path} has {size / 2**20:.0f} MiB, at most {MAX_BYTES // 2**20} are read: name a file with fewer rows"
            )
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}; {READ}") from None
    try:
        return content.decode("utf-8-sig")  # spreadsheets put a mark before the first letter
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(path, line, f"byte {content[error.start]:#04x} is not UTF-8: save the file as UTF-8") from None


def _json_lines(path: Path, content: str) -> Iterator[tuple[int, Raw]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            raw = _json(line)
        except (ValueError, RecursionError) as error:
            raise _wrong(path, number, f"not JSON ({error}): write one object on each line") from None
        if not isinstance(raw, dict):
            raise _wrong(path, number, 'not an object: write {"text": …, "label": …}')
        yield number, {name: value for name, value in raw.items() if value is not None}


def _json(text: str) -> Any:
    """Raises ValueError also where an object names a field twice, of which the first would be lost."""
    return json.loads(text, object_pairs_hook=_object)


def _object(fields: list[tuple[str, Any]]) -> Raw:
    found = dict(fields)
    if len(found) < len(fields):
        raise ValueError(f"a field stands twice in {_names(name for name, _ in fields)}")
    return found


def _comma_separated(path: Path, content: str) -> Iterator[tuple[int, Raw]]:
    csv.field_size_limit(MAX_BYTES)
    reader = csv.reader(StringIO(content, newline=""), strict=True)
    header: list[str] = []
    start = 1
    try:
        for fields in reader:
            number, start = start, reader.line_num + 1
            if not any(fields):
                continue
            if not header:
                header = _header(path, number, fields)
                continue
            if len(fields) != len(header):
                many = f"{len(fields)} fields, the header has {len(header)}"
                raise _wrong(path, number, f'{many}: put "…" around a text with commas in it')
            yield number, _fields(path, number, {n: v for n, v in zip(header, fields, strict=True) if v.strip()})
    except csv.Error as error:
        raise _wrong(path, start, f'not CSV ({error}): put "…" around a text, and write a quote in it twice') from None


def _header(path: Path, line: int, fields: list[str]) -> list[str]:
    names = [name.strip() for name in fields]
    told = [name for name in names if name in ("text", *TASKS.values())]
    if "text" not in told or told == ["text"]:
        raise _wrong(path, line, f"the columns are {', '.join(names)}: the first line names them, text,label at least")
    if len(set(told)) < len(told):
        raise _wrong(path, line, f"the columns are {', '.join(names)}: name each once")
    return names


def _fields(path: Path, line: int, raw: Raw) -> Raw:
    """The fields of a line of CSV, those that are lists read as JSON."""
    try:
        lists = {name: _json(raw[name]) for name in ("terms", "aspects") if name in raw}
    except (ValueError, RecursionError) as error:
        raise _wrong(path, line, f"`terms` and `aspects` of a CSV file are JSON lists ({error})") from None
    return raw | lists


_PARSERS: dict[str, Callable[[Path, str], Iterator[tuple[int, Raw]]]] = {".jsonl": _json_lines, ".csv": _comma_separated}


def _rows(path: Path, line: int, raw: Raw) -> Iterator[Row]:
    """A row for each task that a text is labelled for: a source has one channel, and what was not labelled is not taught.

    Raises Misconfigured with the line.
    """
    text, label = raw.get("text"), raw.get("label")
    if "text" in raw and not (isinstance(text, str) and text.strip()):
        raise _wrong(path, line, "`text` is empty, or no string: give the labelled text there, or take the line out")
    if not isinstance(text, str):
        raise _wrong(path, line, f"no `text`, it has {_names(raw)}: give the labelled text there")
    if half := _HALF.search(text):
        raise _wrong(path, line, f"`text` has half a character, {half[0]!r}, at {half.start()}: write both halves, or neither")
    if not raw.keys() & set(TASKS.values()):
        raise _wrong(path, line, f"no label, it has {_names(raw)}: give `label`, `terms` or `aspects`")
    if label is not None and label not in LABELS:
        raise _wrong(path, line, f"unknown label {label!r}: write one of {', '.join(LABELS)}")
    try:
        if label is not None:
            yield Row(text, NOWHERE, OWN, label=label)
        if "terms" in raw:
            yield Row(text, NOWHERE, OWN_TERMS, terms=_terms(text, raw["terms"]))
        if "aspects" in raw:
            yield Row(text, NOWHERE, OWN_ASPECTS, aspects=_aspects(text, raw["aspects"]))
    except (ValueError, KeyError, TypeError) as error:
        what = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise _wrong(path, line, f"{what}; write {FORMS}") from None


def _terms(text: str, raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not raw or not all(isinstance(term, str) for term in raw):
        raise TypeError("`terms` is not a list of phrases")
    (tokens,) = CUT([text])
    for term in raw:
        if not find_terms(tokens, [term]):
            raise ValueError(f"term {term!r} does not stand in the text, in whole words")
    return tuple(sorted(set(raw)))  # in one order, so that copies are told as such


def _aspects(text: str, raw: Any) -> tuple[Aspect, ...]:
    if not isinstance(raw, list):
        raise TypeError("`aspects` is not a list")
    (tokens,) = CUT([text])
    aspects = tuple(sorted((_aspect(tokens, each) for each in raw), key=lambda aspect: aspect.begin))
    for one, next_ in pairwise(aspects):
        if next_.begin < one.end:
            raise ValueError(f"aspects {text[one.begin : one.end]!r} and {text[next_.begin : next_.end]!r} overlap")
    return aspects


def _aspect(tokens: Tokens, raw: Any) -> Aspect:
    """An aspect of whole words: what part of a word is, no model can learn or say."""
    if not isinstance(raw, dict):
        raise TypeError(f"aspect {raw!r} is not an object")
    text, begin, end, sentiment = tokens.text, raw["begin"], raw["end"], raw["sentiment"]
    if type(begin) is not int or type(end) is not int:  # to isinstance, true is an int too
        raise TypeError(f"`begin` and `end` of an aspect are whole numbers, not {begin!r} and {end!r}")
    if not 0 <= begin < end <= len(text):
        raise ValueError(f"aspect [{begin}, {end}) is outside the text, which has {len(text)} characters")
    said = text[begin:end]
    if raw.get("term", said) != said:
        raise ValueError(f"aspect {raw['term']!r} is not what stands at [{begin}, {end}): {said!r}")
    if sentiment not in LABELS:
        raise ValueError(f"unknown sentiment {sentiment!r} of the aspect {said!r}, one of {', '.join(LABELS)}")
    if not said.strip():
        raise ValueError(f"aspect [{begin}, {end}) is white space")
    first, stop = token_span(tokens, begin, end)
    whole = int(tokens.begins[first]), int(tokens.ends[stop - 1])
    if whole != (begin, end):
        words = f"{text[slice(*whole)]!r} at [{whole[0]}, {whole[1]})"
        raise ValueError(f"aspect {said!r} at [{begin}, {end}) does not begin and end with a word, as {words} does")
    return Aspect(begin, end, sentiment)


def _each_once(path: Path, numbered: Iterable[tuple[int, Row]]) -> list[Row]:
    """The rows, copies left out. Raises Misconfigured where a text stands twice and its labels differ."""
    first: dict[tuple[str, str], tuple[int, Row]] = {}
    for line, row in numbered:
        known, other = first.setdefault((row.source, row.text.strip()), (line, row))
        if (row.label, row.terms, row.aspects) != (other.label, other.terms, other.aspects):
            what = f"the text of line {known} again, with another `{TASKS[row.source]}`"
            raise _wrong(path, line, f"{what}: keep the one that is right")
    return [row for _, row in first.values()]


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in fields) or "nothing"


def _wrong(path: Path, line: int, what: str) -> Misconfigured:
    return Misconfigured(f"{path}:{line}: {what}")
