"""What travels: a record as it was read, and its outcome as it will be published."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from textstream.errors import Poison
from textstream.event import event_id

Header = tuple[str, bytes | None]
OutcomeKind = Literal["enriched", "tombstone", "dead"]


class Position(NamedTuple):
    """Where a record stands, and in which assignment it was read.

    `epoch` counts the assignments of this worker: what was read in an older one is never produced or committed.
    """

    topic: str
    partition: int
    offset: int
    epoch: int

    @property
    def id(self) -> str:
        """The event's `id`: a pure function of the source position."""
        return event_id(self.topic, self.partition, self.offset)


@dataclass(slots=True)  # not frozen: a million of them a minute, and frozen ones cost four times as much to make
class Record:
    """One record as polled.

    `timestamp_ms` is the producer's, in milliseconds since the epoch; -1 when the record has none.
    `fault` is what kept the client from reading the record whole: it becomes a dead letter when its turn comes.
    """

    position: Position
    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    timestamp_ms: int = -1
    fault: Poison | None = None


@dataclass(slots=True)
class Outcome:
    """What becomes of one record, ready to publish: `kind` says to which topic.

    `label` is the sentiment's label, or `none` where nothing was scored; `reason` is a dead letter's code.
    `timestamp_ms` is the time the record will carry.
    """

    record: Record
    kind: OutcomeKind
    value: bytes | None
    headers: list[Header]
    timestamp_ms: int
    label: str = "none"
    reason: str = ""
