"""What a teacher says of texts, and how it is stored: rows.jsonl.gz and logits.npz, a pair for each 20,000 rows.

A teacher's logits are stored as they are, without temperature or calibration, on our own tokens: whatever a student's units
are, each of its tokens finds what the teacher said there.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
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

SHARD_ROWS = 20_000
CHUNK = 256
"""Texts a call of the teacher, of like length."""

Tokenise = Callable[[Sequence[str]], list[Tokens]]


@dataclass(frozen=True, slots=True, eq=False)
class Soft:
    """What a teacher says of one text."""

    sentiment: NDArray[np.float16]  # (3,) logits
    tokens: NDArray[np.float16]  # (tokens, OUTPUTS) logits of the first tokens, as many as the teacher read


def label(rows: Sequence[Row], tokenise: Tokenise, infer: Infer) -> list[Soft | None]:
    """The teacher's logits for each row; None for a text without tokens."""
    tokens = tokenise([row.text for row in rows])
    order = sorted((i for i, t in enumerate(tokens) if t.count), key=lambda i: len(tokens[i].features))
    out: list[Soft | None] = [None] * len(rows)
    for start in range(0, len(order), CHUNK):
        group = order[start : start + CHUNK]
        scored = score([tokens[i] for i in group], infer)
        for at, i in enumerate(group):
            said = scored.tokens[scored.starts[at] : scored.starts[at] + tokens[i].count]
            out[i] = Soft(scored.sentiment[at].astype(np.float16), said.astype(np.float16))
    return out


def label_all(rows: Sequence[Row], tokenise: Tokenise, infer: Infer, folder: Path) -> None:
    """Label and store shard after shard; those that stand already are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(rows), SHARD_ROWS)
    for number, start in enumerate(tqdm(starts, desc="teacher", unit="shard")):
        path = folder / f"{number:03d}.npz"
        if not path.exists():
            write_shard(path, rows[start : start + SHARD_ROWS], tokenise, infer)


def write_shard(path: Path, rows: Sequence[Row], tokenise: Tokenise, infer: Infer) -> None:
    """One shard, renamed into place when it is whole."""
    pairs = [(row, soft) for row, soft in zip(rows, label(rows, tokenise, infer), strict=True) if soft is not None]
    with gzip.open(path.with_suffix(".jsonl.gz"), "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(_raw(row), ensure_ascii=False) + "\n" for row, _ in pairs)
    part = path.with_name(path.stem + ".part.npz")
    np.savez(
        part,
        sentiment=np.stack([soft.sentiment for _, soft in pairs]),
        tokens=np.concatenate([soft.tokens for _, soft in pairs]),
        counts=np.array([len(soft.tokens) for _, soft in pairs], np.int32),
    )
    part.rename(path)


def read_shards(folder: Path) -> Iterator[tuple[Row, Soft]]:
    """Every labelled row below `folder`, in order of the files' names. Raises Misconfigured for a damaged shard."""
    for path in sorted(folder.rglob("*.npz")):
        rows = list(parsed(path.with_suffix(".jsonl.gz"), plain_row))
        try:
            with np.load(path) as stored:
                sentiment, tokens, counts = stored["sentiment"], stored["tokens"], stored["counts"]
            said = np.split(tokens, np.cumsum(counts)[:-1])
            pairs = [(row, Soft(mood, own)) for row, mood, own in zip(rows, sentiment, said, strict=True)]
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise Misconfigured(
                f"{path} is no shard of its rows ({error}): remove it and run textstream-export distil"
            ) from None
        yield from pairs


def _raw(row: Row) -> dict[str, Any]:
    raw = {name: value for name, value in asdict(row).items() if value is not None}
    if row.aspects is not None:
        raw["aspects"] = [{**asdict(a), "term": row.text[a.begin : a.end]} for a in row.aspects]
    return raw
