"""What a dead letter and a replay say of the record that they stand for. All that reads or writes their headers is here.

A **dead letter** is the original record with headers of ours (`Codec.dead_letter` writes them). A **replay** is the original
record once more, on a topic that only textstream reads, with three headers of ours:

    textstream.source      topic/partition/offset of the original: the event's id is made of it
    textstream.replays     how often this record was replayed, with this time
    textstream.timestamp   the original's, in milliseconds, since the replay topic may not take one so old

They are believed on replay topics alone: on an ordinary input a producer may write what it likes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from textstream.core.record import Header, Position, Record, is_ours
from textstream.errors import Poison

SOURCE, REPLAYS, TIMESTAMP = "textstream.source", "textstream.replays", "textstream.timestamp"
UNKNOWN = "unknown"
"""The reason of a record in a dead-letter topic that names none of the form of ours: somebody else wrote it there."""

_POSITION = re.compile(rb"([a-zA-Z0-9._-]{1,249})/([0-9]{1,10})/([0-9]{1,19})")
_REASON = re.compile(rb"[a-z0-9_]{1,64}")
_COUNT = re.compile(rb"[0-9]{1,9}")
_MILLISECONDS = re.compile(rb"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of a dead-letter topic, read. `source` is None where it does not say what it is the dead letter of."""

    record: Record
    reason: str
    stage: str
    message: str
    attempts: int
    replays: int
    source: Position | None
    cut: bool

    @property
    def original(self) -> Record:
        """The record that it stands for, but for what was cut off."""
        assert self.source is not None, "a dead letter without a source stands for nothing"
        timestamp_ms = _number(_MILLISECONDS, _only(self.record.headers, TIMESTAMP))
        return replace(
            self.record,
            position=self.source,
            headers=without_ours(self.record.headers, dead=True),
            timestamp_ms=self.record.timestamp_ms if timestamp_ms is None else timestamp_ms,
        )


def read_dead_letter(record: Record) -> DeadLetter:
    """What a dead letter's headers say."""
    headers = record.headers
    reason = _only(headers, "textstream.reason") or b""
    replays = _number(_COUNT, _only(headers, REPLAYS))
    return DeadLetter(
        record,
        reason=reason.decode() if _REASON.fullmatch(reason) else UNKNOWN,
        stage=_text(headers, "__connect.errors.stage"),
        message=_text(headers, "__connect.errors.exception.message"),
        attempts=_number(_COUNT, _only(headers, "textstream.attempts")) or 0,
        replays=replays or 0,
        source=None if replays is None else _position(_only(headers, SOURCE), epoch=0),
        cut=_only(headers, "textstream.truncated") is not None,
    )


def replay_headers(original: Record, replays: int) -> list[Header]:
    """The headers of a replay: the producer's, then ours."""
    topic, partition, offset, _ = original.position
    return [
        *original.headers,
        (SOURCE, f"{topic}/{partition}/{offset}".encode()),
        (REPLAYS, str(replays).encode()),
        (TIMESTAMP, str(original.timestamp_ms).encode()),
    ]


def replayed(record: Record, source_topic: str) -> Record:
    """The original that a record of `source_topic`'s replay topic stands for; its `position` stays where it was read.

    Where the headers do not tell it, the record is at fault, and its outcome is known by its own position.
    """
    if record.fault is not None:
        return record
    source = _position(_only(record.headers, SOURCE), record.position.epoch)
    replays = _number(_COUNT, _only(record.headers, REPLAYS))
    timestamp_ms = _number(_MILLISECONDS, _only(record.headers, TIMESTAMP))
    if source is None or replays is None or timestamp_ms is None or source.topic != source_topic:
        message = (
            f"a replay of {source_topic} needs the headers {SOURCE} (of that topic), {REPLAYS} and {TIMESTAMP}, each once and "
            "well-formed: only `textstream dlq replay` writes to this topic"
        )
        return replace(record, fault=Poison("bad_replay", "decode", message))
    return replace(record, origin=source, replays=replays, timestamp_ms=timestamp_ms)


def without_ours(headers: Sequence[Header], *, dead: bool) -> tuple[Header, ...]:
    """The producer's headers."""
    return tuple(header for header in headers if not is_ours(header[0], dead=dead))


def _only(headers: Sequence[Header], name: str) -> bytes | None:
    """The value of the only header of that name."""
    values = [value for key, value in headers if key == name]
    return values[0] if len(values) == 1 else None


def _text(headers: Sequence[Header], name: str) -> str:
    return (_only(headers, name) or b"").decode("utf-8", "replace")


def _number(form: re.Pattern[bytes], value: bytes | None) -> int | None:
    return int(value) if value is not None and form.fullmatch(value) else None


def _position(value: bytes | None, epoch: int) -> Position | None:
    found = _POSITION.fullmatch(value or b"")
    if found is None:
        return None
    partition, offset = int(found[2]), int(found[3])
    return Position(found[1].decode(), partition, offset, epoch) if partition < 2**31 and offset < 2**63 else None
