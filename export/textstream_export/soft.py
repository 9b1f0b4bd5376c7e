"""What a teacher says of texts, and how it is stored: rows.jsonl.gz and logits.npz, a pair for each 20,000 rows.

A teacher's logits are stored as they are, without temperature or calibration, on our own tokens: whatever a student's units
are, each of its tokens finds what the teacher said there.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.errors import Misconfigured
from textstream.model.packing import Infer, score
from textstream.model.tokens import Tokens
from textstream_export.data import Row, parsed, plain_row
from textstream_export.place import writing
from textstream_export.workers import shared_out

SHARD_ROWS = 20_000
CHUNK = 20_000
"""Texts a call of the teachers, sorted by length: a GPU wants large passes of little padding."""

Tokenise = Callable[[Sequence[str]], list[Tokens]]
Texts = Callable[[int], Sequence[Row]]
"""The rows of a shard by its number."""


@dataclass(frozen=True, slots=True, eq=False)
class Soft:
    """What a teacher says of one text."""

    sentiment: NDArray[np.float16]  # (3,) logits
    tokens: NDArray[np.float16]  # (tokens, OUTPUTS) logits of the first tokens, as many as the teacher read


def label(tokens: Sequence[Tokens], teachers: Sequence[Infer]) -> list[Soft]:
    """The logits of each text, which has a token at least; of several teachers their mean."""
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i].features))
    out: dict[int, Soft] = {}
    for start in range(0, len(order), CHUNK):
        group = order[start : start + CHUNK]
        scored = [score([tokens[i] for i in group], infer) for infer in teachers]
        moods = np.mean([each.sentiment for each in scored], axis=0).astype(np.float16)
        units = np.mean([each.tokens for each in scored], axis=0).astype(np.float16)
        for at, i in enumerate(group):
            begin = scored[0].starts[at]
            out[i] = Soft(moods[at], units[begin : begin + tokens[i].count])
    return [out[i] for i in range(len(tokens))]


def label_all(
    shards: int, texts: Texts, tokenise: Tokenise, teachers: Callable[[], Sequence[Infer]], folder: Path, workers: int = 1
) -> None:
    """Label and store shard after shard; those that stand already are not made again.

    Texts are made, cut and written by the workers, `teachers` are brought in once those run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(shards) if not _path(folder, number).exists()]
    if not missing:
        return
    with shared_out(partial(_cut, texts, tokenise, folder), missing, workers) as cut:
        said = teachers()
        for number, tokens in zip(missing, tqdm(cut, desc="teacher", total=len(missing), unit="shard"), strict=True):
            _write(_path(folder, number), label(tokens, said))


def _cut(texts: Texts, tokenise: Tokenise, folder: Path, number: int) -> list[Tokens]:
    """The texts of a shard as tokens, without those that have none; the rows are written beside."""
    rows = texts(number)
    pairs = [(row, tokens) for row, tokens in zip(rows, tokenise([row.text for row in rows]), strict=True) if tokens.count]
    path = _path(folder, number).with_suffix(".jsonl.gz")
    with writing(path), gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as lines:
        lines.writelines(json.dumps(_raw(row), ensure_ascii=False) + "\n" for row, _ in pairs)
    return [replace(tokens, text="") for _, tokens in pairs]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:03d}.npz"


def _write(path: Path, said: Sequence[Soft]) -> None:
    """What was said of a shard's rows, renamed into place when it is whole."""
    part = path.with_name(path.name + ".part")  # no name of a shard: one that was cut off must not be read as such
    with writing(path):
        with part.open("wb") as file:
            np.savez(
                file,
                sentiment=np.stack([soft.sentiment for soft in said]),
                tokens=np.concatenate([soft.tokens for soft in said]),
                counts=np.array([len(soft.tokens) for soft in said], np.int32),
            )
        part.rename(path)


def shards_in(folder: Path, languages: Sequence[str]) -> list[Path]:
    """Every shard of the languages below `folder`, in order of the files' names. Raises Misconfigured where one has none."""
    found = sorted(path for path in folder.rglob("*.npz") if path.parent.name in languages)
    if silent := [language for language in languages if language not in {path.parent.name for path in found}]:
        raise Misconfigured(
            f"no teacher has labelled {', '.join(silent)} in {folder}: "
            "run textstream-export distil --out with a teacher of it, or name another folder with --soft"
        )
    return found


def texts_of(path: Path) -> set[int]:
    """A hash of each text of a shard, the same in processes that were forked."""
    return {hash(row.text) for row in parsed(path.with_suffix(".jsonl.gz"), plain_row)}


def read_shard(path: Path) -> Iterator[tuple[Row, Soft]]:
    """The labelled rows of a shard. Raises Misconfigured for a damaged one."""
    rows = list(parsed(path.with_suffix(".jsonl.gz"), plain_row))
    try:
        with np.load(path) as stored:
            sentiment, tokens, counts = stored["sentiment"], stored["tokens"], stored["counts"]
        said = np.split(tokens, np.cumsum(counts)[:-1])
        pairs = [(row, Soft(mood, own)) for row, mood, own in zip(rows, sentiment, said, strict=True)]
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise Misconfigured(f"{path} is no shard of its rows ({error}): remove it and run textstream-export distil") from None
    yield from pairs


def _raw(row: Row) -> dict[str, Any]:
    raw = {name: value for name, value in asdict(row).items() if value is not None}
    if row.aspects is not None:
        raw["aspects"] = [{**asdict(a), "term": row.text[a.begin : a.end]} for a in row.aspects]
    return raw
