"""The texts that tests send: the project's training data where it lies beside the checkout, else the bundled sample."""

import gzip
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "stream/textstream/samples/stream.jsonl"


def data_folder() -> Path:
    """`TEXTSTREAM_DATA`, or `shared/data` beside the checkout; it need not exist."""
    return Path(os.environ.get("TEXTSTREAM_DATA") or ROOT.parent / "shared" / "data")


def message_values(count: int) -> list[bytes]:
    """JSON messages with real texts, English and Chinese in turn; the sample is repeated as often as it takes."""
    files = [data_folder() / f"unlabelled.{language}.jsonl.gz" for language in ("en", "zh")]
    if all(file.is_file() for file in files):
        lines: Iterator[bytes] = (line for pair in zip(*map(_lines, files), strict=False) for line in pair)
        values = [json.dumps({"text": json.loads(line)["text"]}, ensure_ascii=False).encode() for line in _first(lines, count)]
    else:
        values = list(_first(itertools.cycle(SAMPLE.read_bytes().splitlines()), count))
    assert len(values) == count, f"only {len(values)} texts in {files}"
    return values


def _lines(file: Path) -> Iterator[bytes]:
    with gzip.open(file) as lines:
        yield from lines


def _first(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    return itertools.islice(lines, count)
