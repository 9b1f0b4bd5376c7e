"""`textstream score`: lines in, enriched events out, no Kafka; the same path as the worker's, in one thread.

One line in is one line out, in order: an event, or an error object where the line cannot be scored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import orjson

from textstream.core.codec import Codec, Route, TopicLimits
from textstream.core.process import Scorer, finish, prepare
from textstream.core.record import Outcome, Position, Record
from textstream.errors import Poison

READ_BYTES = 65_536
"""Read at once: some hundred short lines, one good batch."""
MAX_LINE_BYTES = 64 * 2**20
"""A longer line is not held in memory; it gives an error object."""

Format = Literal["json", "text"]
UNLIMITED = Route(TopicLimits(2**62), TopicLimits(2**62))


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; `fault` where it was too long to keep."""

    value: bytes
    fault: Poison | None = None


def lines(stream: BinaryIO) -> Iterator[list[Line]]:
    """What can be read at once, as complete lines: so a slow pipe is answered line by line, a file in batches."""
    held = b""
    too_long = False
    while chunk := _read(stream):
        *complete, held = (held + chunk).split(b"\n")
        if complete and too_long:
            del complete[0]  # the end of the line that was too long
            too_long = False
            yield [Line(b"", _too_long())]
        if len(held) > MAX_LINE_BYTES:
            held, too_long = b"", True
        yield [Line(value.removesuffix(b"\r")) for value in complete]
    if too_long:
        yield [Line(b"", _too_long())]
    elif held:
        yield [Line(held.removesuffix(b"\r"))]


def score_lines(batches: Iterable[list[Line]], scorer: Scorer, codec: Codec, topic: str, now_ms: int) -> Iterator[Outcome]:
    """One outcome for each line; offsets count lines from 0."""
    offset = 0
    for batch in batches:
        records = [
            Record(Position(topic, 0, offset + index, 0), line.value, fault=line.fault) for index, line in enumerate(batch)
        ]
        offset += len(batch)
        yield from finish(prepare(records, codec, scorer), codec, scorer, now_ms)


def line_codec(scorer: Scorer, topic: str, line_format: Format, pointer: str) -> Codec:
    """A codec for lines: no broker limits them."""
    return Codec(input_format=line_format, pointer=pointer, keep_input=False, model=scorer.info, routes={topic: UNLIMITED})


def guess_format(first: bytes) -> Format:
    """JSON lines start with a brace; anything else is plain text."""
    return "json" if first.lstrip().startswith(b"{") else "text"


def printed(outcome: Outcome) -> bytes:
    """The outcome as one line of JSON: the event, or what was wrong with the line."""
    if outcome.kind == "enriched" and outcome.value is not None:
        return outcome.value
    message = dict(outcome.headers).get("__connect.errors.exception.message") or b""
    position = outcome.record.position
    error = {"reason": outcome.reason, "message": message.decode(), "topic": position.topic, "line": position.offset + 1}
    return orjson.dumps({"error": error})


def _read(stream: BinaryIO) -> bytes:
    read_available = getattr(stream, "read1", stream.read)
    chunk: bytes = read_available(READ_BYTES)
    return chunk


def _too_long() -> Poison:
    return Poison("too_large", "read", f"the line is longer than {MAX_LINE_BYTES} bytes: split it")
