"""`textstream dlq inspect`: how many dead letters there are for each reason, and what stands in them."""

from collections import Counter
from collections.abc import Iterator

import orjson

from textstream.core.replay import DeadLetter, without_ours
from textstream.event import rfc3339

MAX_SHOWN_CHARACTERS = 300
"""Most of a value, key or header that is shown: a few lines of a terminal."""
MAX_REASONS = 1_000
"""Most reasons that are counted apart: ours are a dozen, but anybody may write to the topic."""
OTHER = "(other)"


class Counts:
    """How many dead letters for each topic, reason and, where wanted, partition."""

    def __init__(self, *, by_partition: bool) -> None:
        self._by_partition = by_partition
        self._counts: Counter[tuple[str, int | None, str]] = Counter()

    def add(self, letter: DeadLetter) -> None:
        """Count one."""
        position = letter.record.position
        where = position.topic, position.partition if self._by_partition else None
        known = (*where, letter.reason) in self._counts or len(self._counts) < MAX_REASONS
        self._counts[*where, letter.reason if known else OTHER] += 1

    @property
    def total(self) -> int:
        """All of them."""
        return self._counts.total()

    def rows(self) -> list[tuple[str, int | None, str, int]]:
        """Topic, partition, reason and count: by topic and partition, the most frequent reason first."""
        by_place = sorted(self._counts.items(), key=lambda item: (item[0][0], item[0][1] or 0, -item[1], item[0][2]))
        return [(*what, count) for what, count in by_place]

    def as_json(self) -> Iterator[bytes]:
        """One line for each count."""
        for topic, partition, reason, count in self.rows():
            where = {"topic": topic} | ({} if partition is None else {"partition": partition})
            yield orjson.dumps({"type": "count"} | where | {"reason": reason, "count": count})


def as_text(letter: DeadLetter) -> str:
    """A dead letter for a reader at a terminal, which nothing in it can steer."""
    record, position = letter.record, letter.record.position
    source = letter.source
    lines = [
        f"{position.topic}/{position.partition}/{position.offset}  {letter.reason}  "
        f"{rfc3339(record.timestamp_ms) or 'no time'}",
        f"  message   {_escaped(_cut(letter.message))}",
        f"  source    {f'{source.topic}/{source.partition}/{source.offset}' if source else 'unknown'}",
        f"  attempts  {letter.attempts}, in {_escaped(letter.stage) or 'no stage'}; replays {letter.replays}",
        f"  key       {_shown(record.key)}",
        *(f"  header    {_escaped(_cut(name))} = {_shown(value)}" for name, value in without_ours(record.headers, dead=True)),
        f"  value     {_shown(record.value)}{', cut by the worker' if letter.cut else ''}",
    ]
    return "\n".join(lines)


def as_json(letter: DeadLetter) -> bytes:
    """A dead letter as one JSON object, with all its headers."""
    record, source = letter.record, letter.source
    topic, partition, offset, _ = record.position
    return orjson.dumps(
        {
            "type": "dead_letter",
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "timestamp": rfc3339(record.timestamp_ms),
            "source": source and {"topic": source.topic, "partition": source.partition, "offset": source.offset},
            "reason": letter.reason,
            "stage": letter.stage,
            "message": letter.message,
            "attempts": letter.attempts,
            "replays": letter.replays,
            "cut": letter.cut,
            "headers": [[_valid(name), _text(value)] for name, value in record.headers],
            "key": _text(record.key),
            "value": _text(record.value),
            "value_bytes": None if record.value is None else len(record.value),
        }
    )


def _shown(value: bytes | None) -> str:
    """Bytes as quoted text, cut, with what is cut off counted."""
    if value is None:
        return "null"
    text = _text(value) or ""
    more = f" … {len(value)} bytes" if len(text) == MAX_SHOWN_CHARACTERS else ""
    return f'"{_escaped(text)}"{more}'


def _text(value: bytes | None) -> str | None:
    """The beginning of some bytes; those that are not UTF-8 as \\xNN."""
    # A character has at most 4 bytes, and one that is cut in the middle lies beyond what is shown.
    return None if value is None else _cut(value[: 4 * MAX_SHOWN_CHARACTERS + 4].decode("utf-8", "backslashreplace"))


def _cut(text: str) -> str:
    return text[:MAX_SHOWN_CHARACTERS]


def _valid(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _escaped(text: str) -> str:
    """Control characters, line ends and marks of direction as escapes: they would steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
