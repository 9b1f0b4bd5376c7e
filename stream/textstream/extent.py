"""What part of the topics a worker reads: where a partition begins that the group does not know, and whether it ends."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from textstream.core.offsets import TopicPartition
from textstream.core.ports import Polled, Source
from textstream.core.record import Position
from textstream.errors import Misconfigured

ASK_S = 5.0
"""Longest wait for one answer of the broker about offsets."""


class Extent(Protocol):
    """Asked on the polling thread."""

    @property
    def finished(self) -> set[TopicPartition]:
        """Partitions of ours of which nothing more is to be read."""
        ...

    @property
    def done(self) -> bool:
        """Whether nothing more is to be read at all."""
        ...

    def first_offset(self, partition: TopicPartition, source: Source) -> int:
        """Where a partition that the group does not know begins. Raises `Transient`."""
        ...

    def opened(self, source: Source) -> None:
        """Reading is about to begin. Raises `Transient`."""
        ...

    def subscribed(self, topics: Collection[str]) -> None:
        """No others are read from now on."""
        ...

    def assigned(self, starts: Mapping[TopicPartition, int], source: Source) -> None:
        """These are read from there. Raises `Transient`."""
        ...

    def rewound(self, starts: Mapping[TopicPartition, int]) -> list[TopicPartition]:
        """These are read again from there; returns those that had been read to their end, and are not any more."""
        ...

    def shortened(self, partition: TopicPartition, end: int) -> None:
        """It was cut, or made anew, and ends there."""
        ...

    def released(self, partitions: Iterable[TopicPartition]) -> None:
        """These are ours no more."""
        ...

    def look(self, source: Source, within_s: float) -> None:
        """See whether all is done; asked now and then, when nothing more is to be read of ours."""
        ...

    def cut(self, polled: Polled) -> Polled:
        """What of it is to be enriched."""
        ...


class Endless:
    """All that comes, from `input.start` on. A partition that came while we ran is read from its first record."""

    done = False

    def __init__(self, start: Literal["earliest", "latest"], known_partitions: Mapping[str, int]) -> None:
        self.finished: set[TopicPartition] = set()
        self._start = start
        self._known_partitions = known_partitions

    def first_offset(self, partition: TopicPartition, source: Source) -> int:
        """Its first, or the next to come."""
        low, high = source.bounds(partition, ASK_S)
        topic, number = partition
        return low if self._start == "earliest" or number >= self._known_partitions.get(topic, 0) else high

    def opened(self, source: Source) -> None:
        """There is no end to look for."""

    def subscribed(self, topics: Collection[str]) -> None:
        """Nothing is known of them."""

    def assigned(self, starts: Mapping[TopicPartition, int], source: Source) -> None:
        """They have no end."""

    def rewound(self, starts: Mapping[TopicPartition, int]) -> list[TopicPartition]:
        """None had come to an end."""
        return []

    def shortened(self, partition: TopicPartition, end: int) -> None:
        """It had no end before either."""

    def released(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing is known of them."""

    def look(self, source: Source, within_s: float) -> None:
        """It never is."""

    def cut(self, polled: Polled) -> Polled:
        """All of it."""
        return polled


@dataclass(frozen=True, slots=True)
class Between:
    """Records with timestamps from `begin_ms` (None: from the earliest) to before `until_ms` (None: to what is the end now)."""

    begin_ms: int | None
    until_ms: int | None

    def group(self, group_id: str, model: str) -> str:
        """The group of a backfill: the same for the same records and model: one that was stopped goes on where it was."""
        name = f"{self.begin_ms} {self.until_ms} {model}"
        return f"{group_id}-backfill-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class Backfill:
    """Records between two times, and then no more.

    By offsets: from the first record at or after the one time to before the first at or after the other. Where no times grow
    backwards, that is the same.

    It is done when the group holds the end of every partition, not only of ours: whoever has the others may crash, and then
    they have to find somebody who reads them on. What an aborted transaction took back is not held either.
    """

    def __init__(self, between: Between, partitions: Mapping[str, int]) -> None:
        self.finished: set[TopicPartition] = set()
        self.done = False
        self._between = between
        self._partitions = partitions
        self._ends: dict[TopicPartition, int] = {}

    def opened(self, source: Source) -> None:
        """Find out where all partitions end."""
        for topic, count in self._partitions.items():
            for number in range(count):
                self._ends[topic, number] = self._end_of((topic, number), source)

    def subscribed(self, topics: Collection[str]) -> None:
        """What went is waited for no longer."""
        self._ends = {partition: end for partition, end in self._ends.items() if partition[0] in topics}

    def first_offset(self, partition: TopicPartition, source: Source) -> int:
        """The first in time."""
        if self._between.begin_ms is None:
            return source.bounds(partition, ASK_S)[0]
        return source.offset_at(partition, self._between.begin_ms, ASK_S)

    def assigned(self, starts: Mapping[TopicPartition, int], source: Source) -> None:
        """Where nothing lies before the end, or no longer, nothing is to be read."""
        for partition, start in starts.items():
            if partition not in self._ends:  # it came while we ran
                self._ends[partition] = self._end_of(partition, source)
            if start >= self._ends[partition]:
                self.finished.add(partition)

    def rewound(self, starts: Mapping[TopicPartition, int]) -> list[TopicPartition]:
        """Those that lie before their end again."""
        again = [
            partition for partition, start in starts.items() if start < self._ends[partition] and partition in self.finished
        ]
        self.finished.difference_update(again)
        return again

    def shortened(self, partition: TopicPartition, end: int) -> None:
        """No record will come that lay beyond."""
        self._ends[partition] = min(self._ends[partition], end)

    def released(self, partitions: Iterable[TopicPartition]) -> None:
        """Another reads them on."""
        self.finished.difference_update(partitions)

    def look(self, source: Source, within_s: float) -> None:
        """Ask the group how far it is."""
        held = source.committed(self._ends, within_s)
        self.done = all((held.get(partition) or 0) >= end for partition, end in self._ends.items())

    def _end_of(self, partition: TopicPartition, source: Source) -> int:
        if self._between.until_ms is None:
            return source.bounds(partition, ASK_S)[1]
        return source.offset_at(partition, self._between.until_ms, ASK_S)

    def cut(self, polled: Polled) -> Polled:
        """What lies before the end; one record or end behind it tells that the end was reached."""
        kept, ends = [], []
        for record in polled.records:
            if record.position.offset < self._ends[record.position.topic, record.position.partition]:
                kept.append(record)
            else:
                ends.append(record.position)
        ends += polled.ends
        return polled._replace(records=kept, ends=[self._clipped(end) for end in ends])

    def _clipped(self, end: Position) -> Position:
        partition = end.topic, end.partition
        if end.offset < self._ends[partition]:
            return end
        self.finished.add(partition)
        return end._replace(offset=self._ends[partition])


def between(begin: str | None, until: str | None) -> Between:
    """What `--from` and `--until` name. Raises `Misconfigured`."""
    found = Between(
        None if begin in (None, "earliest") else milliseconds("--from", begin),
        None if until in (None, "end") else milliseconds("--until", until),
    )
    if found.begin_ms is not None and found.until_ms is not None and found.begin_ms >= found.until_ms:
        raise Misconfigured(f"--from {begin} is not before --until {until}: exchange them")
    return found


def milliseconds(option: str, time: str) -> int:
    """An ISO 8601 time, in UTC unless it says otherwise, as milliseconds since 1970. Raises `Misconfigured`."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        raise Misconfigured(f"{option} {time} is no time: write it as 2026-11-23T13:05:00, in UTC, or with +01:00") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
