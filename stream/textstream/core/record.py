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
    `origin` is set on a replay, which was read elsewhere, and `replays` counts those of this record so far.
    """

    position: Position
    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    timestamp_ms: int = -1
    fault: Poison | None = None
    origin: Position | None = None
    replays: int = 0

    @property
    def source(self) -> Position:
        """Where the producer's record stands: its outcome is known by it, and goes where that topic's outcomes go."""
        return self.origin or self.position


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


def is_ours(header: str, *, dead: bool) -> bool:
    """Whether a header of this name is ours to write on an outcome: the producer's is replaced, never appended to."""
    return (
        header.startswith("textstream.")
        or header in ("traceparent", "tracestate")
        or (dead and header.startswith("__connect.errors."))
    )
