"""Which dead letters: the filters of `inspect` and `replay`, from the command line to a yes or no. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textstream.core.replay import DeadLetter
from textstream.errors import Misconfigured
from textstream.extent import milliseconds

_RANGE = re.compile(r"(?:(?:([a-zA-Z0-9._-]{1,249})/)?([0-9]{1,9})=)?([0-9]{0,18}):([0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets from `first` to before `last`, of all topics and partitions or of the one that is named."""

    topic: str | None
    partition: int | None
    first: int
    last: int | None

    def covers(self, topic: str, partition: int) -> bool:
        """Whether it says anything of this partition."""
        return self.topic in (None, topic) and self.partition in (None, partition)


@dataclass(frozen=True, slots=True)
class Choice:
    """All of these must hold; what is empty or None holds for every dead letter. Times are the dead letter's own."""

    reasons: frozenset[str] = frozenset()
    from_ms: int | None = None
    until_ms: int | None = None
    partitions: frozenset[int] = frozenset()
    offsets: Sequence[OffsetRange] = ()

    def takes(self, letter: DeadLetter) -> bool:
        """Whether the dead letter is among those that were asked for; its place was looked at before it was read."""
        timestamp_ms = letter.record.timestamp_ms
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.from_ms is None or timestamp_ms >= self.from_ms)
            and (self.until_ms is None or timestamp_ms < self.until_ms)
        )

    def range_of(self, topic: str, partition: int, begin: int, end: int) -> tuple[int, int]:
        """What to read of a partition that holds offsets from `begin` to before `end`; nothing where the two are equal."""
        if self.partitions and partition not in self.partitions:
            return begin, begin
        for chosen in self.offsets:
            if chosen.covers(topic, partition):
                begin = max(begin, chosen.first)
                end = end if chosen.last is None else min(end, chosen.last)
        return begin, max(begin, end)


def parse_choice(
    *, reasons: Iterable[str], from_time: str | None, until_time: str | None, partitions: Iterable[str], offsets: Iterable[str]
) -> Choice:
    """The filters as they stand on the command line. Raises `Misconfigured`."""
    return Choice(
        frozenset(part for value in reasons for part in _listed(value)),
        None if from_time is None else milliseconds("--from", from_time),
        None if until_time is None else milliseconds("--until", until_time),
        frozenset(_partition(part) for value in partitions for part in _listed(value)),
        [parse_range(value) for value in offsets],
    )


def parse_range(value: str) -> OffsetRange:
    """`FIRST:LAST`, `PARTITION=FIRST:LAST` or `TOPIC/PARTITION=FIRST:LAST`; LAST itself is not read, either may be left out."""
    found = _RANGE.fullmatch(value)
    if found is None:
        raise Misconfigured(f"--offset {value} is no range: write 100:200, 3=100:200 or reviews.dead/3=100:")
    topic, partition, first, last = found.groups()
    return OffsetRange(topic, int(partition) if partition else None, int(first or 0), int(last) if last else None)


def _partition(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        raise Misconfigured(f"--partition {value} is no number of a partition")
    return int(value)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
