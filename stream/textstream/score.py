"""`textstream score`: lines in, enriched events out, no Kafka; the same path as the worker's, in one thread.

One line in is one line out, in order: an event, or an error object where the line cannot be scored.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import orjson

from textstream.core.codec import Codec, Route, TopicLimits
from textstream.core.process import Scorer, enrich, prepare
from textstream.core.record import Outcome, Position, Record
from textstream.errors import Poison

READ_BYTES = 65_536
"""Read at once: some hundred short lines, one good batch."""
MAX_LINES = 1_000
"""Lines of one batch at most: a chunk of blank ones would be 65,536."""
MAX_LINE_BYTES = 64 * 2**20
"""A longer line is not held in memory; it gives an error object."""

Format = Literal["json", "text"]
UNLIMITED = Route(TopicLimits(2**62), TopicLimits(2**62))


class Readable(Protocol):
    """A binary stream: standard input's buffer, or a file."""

    def read1(self, size: int = ..., /) -> bytes:
        """What is there now, at most `size` bytes; waits for the first."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; `fault` where it was too long to keep."""

    value: bytes
    fault: Poison | None = None


def lines(stream: Readable) -> Iterator[list[Line]]:
    """What can be read at once, as complete lines: so a slow pipe is answered line by line, a file in batches."""
    held: list[bytes] = []  # pieces of a line whose end has not been read
    held_bytes = 0
    at_start = True
    while chunk := stream.read1(READ_BYTES):
        chunk, at_start = chunk.removeprefix(codecs.BOM_UTF8) if at_start else chunk, False
        *complete, rest = chunk.split(b"\n")
        if complete:
            first = _line([*held, complete[0]], held_bytes + len(complete[0]))
            found = [first, *(_line([value], len(value)) for value in complete[1:])]
            yield from (found[start : start + MAX_LINES] for start in range(0, len(found), MAX_LINES))
            held, held_bytes = [], 0
        held_bytes += len(rest)
        if held_bytes <= MAX_LINE_BYTES:
            held.append(rest)
        else:
            held.clear()
    if held_bytes:
        yield [_line(held, held_bytes)]


def _line(pieces: list[bytes], size: int) -> Line:
    if size > MAX_LINE_BYTES:
        return Line(b"", Poison("too_large", "read", f"the line is longer than {MAX_LINE_BYTES} bytes: split it"))
    return Line(b"".join(pieces).removesuffix(b"\r"))


def score_lines(
    batches: Iterable[list[Line]], scorer: Scorer, codec: Codec, topic: str, wall_ms: Callable[[], int]
) -> Iterator[list[Outcome]]:
    """One outcome for each line, batch by batch; offsets count lines from 0."""
    offset = 0
    for batch in batches:
        records = [
            Record(Position(topic, 0, offset + index, 0), line.value, fault=line.fault) for index, line in enumerate(batch)
        ]
        offset += len(batch)
        yield enrich(prepare(records, codec, scorer), codec, scorer, wall_ms()).outcomes


def line_codec(scorer: Scorer, topic: str, line_format: Format, pointer: str) -> Codec:
    """A codec for lines: no broker limits them."""
    return Codec(input_format=line_format, pointer=pointer, keep_input=False, model=scorer.info, routes={topic: UNLIMITED})


def guess_format(values: Iterable[bytes]) -> Format:
    """JSON lines start with a brace; anything else is plain text. The first line that is not blank decides."""
    first = next((value for value in values if value.strip()), b"")
    return "json" if first.lstrip().startswith(b"{") else "text"


def printed(outcome: Outcome) -> bytes:
    """The outcome as one line of JSON: the event, or what was wrong with the line."""
    if outcome.kind == "enriched" and outcome.value is not None:
        return outcome.value
    message = dict(outcome.headers).get("__connect.errors.exception.message") or b""
    position = outcome.record.position
    error = {"reason": outcome.reason, "message": message.decode(), "topic": position.topic, "line": position.offset + 1}
    return orjson.dumps({"error": error})
