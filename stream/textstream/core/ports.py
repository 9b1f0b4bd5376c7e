"""What the worker asks of the world: brokers, a member of the group, a writer, a model that scores, time.

The real ones stand in `kafka/`, `scoring` and `clock`; simulated ones in the tests. What they cannot do, they raise
as one of `textstream.errors`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from textstream.core.batch import Batch
from textstream.core.codec import Codec, Route
from textstream.core.offsets import TopicPartition
from textstream.core.process import Enriched, Prepared
from textstream.core.record import Outcome, Position, Record
from textstream.errors import TextstreamError

Membership = object
"""Which member of which generation of the group we are; goes with a transaction's offsets."""


class Clock(Protocol):
    """All that the worker knows of time."""

    def now(self) -> float:
        """Seconds that only ever grow."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


@dataclass(frozen=True, slots=True)
class Topics:
    """One input topic, the two that its outcomes go to, and the one that its dead letters are replayed on."""

    input: str
    enriched: str
    dead: str
    replay: str

    @property
    def all(self) -> tuple[str, str, str, str]:
        """The four names."""
        return self.input, self.enriched, self.dead, self.replay


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The topics of all inputs as the brokers know them: how many partitions, what they take.

    `replays` maps each replay topic that exists to its input; `routes` holds what is read, both kinds. `identities` tells an
    input from another that is made under its name later; where the brokers do not say, it has none.
    """

    topics: tuple[Topics, ...]
    partitions: Mapping[str, int]
    routes: Mapping[str, Route]
    replays: Mapping[str, str]
    identities: Mapping[str, str] = field(default_factory=dict)


class Polled(NamedTuple):
    """What one poll gave: records, the ends of partitions that were reached behind them, and partitions whose next offset the
    broker does not have."""

    records: list[Record]
    ends: list[Position]
    out_of_range: list[TopicPartition]


class CommitAnswers(NamedTuple):
    """What the group's coordinator said to commits: the next offsets that stand, the partitions whose commit was refused."""

    confirmed: dict[TopicPartition, int]
    refused: list[TopicPartition]


class Assignment(Protocol):
    """What the worker does when partitions come and go, on the polling thread, inside `Source.poll`."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """These are ours now; returns the offset that each is read from."""
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Finish, commit, let go."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Somebody else owns these already: never commit."""
        ...

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The assignment's epoch of a partition, None where nothing is to be read from it."""
        ...


class Source(Protocol):
    """A member of the consumer group."""

    def membership(self) -> Membership:
        """Which member of which generation of the group we are."""
        ...

    def poll(self, max_records: int, timeout_s: float, *, gather: bool = False) -> Polled:
        """What has been fetched, at most `max_records`; where that is nothing, what comes within `timeout_s`.

        That is the first record to come and those with it, or with `gather` all of that time. Rebalances happen in here.
        """
        ...

    def subscribe(self, topics: Sequence[str]) -> None:
        """Read these from now on, and no others."""
        ...

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch no more of these; what was prefetched is thrown away."""
        ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch them again."""
        ...

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these on from there; what was prefetched is thrown away."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Ask for a commit of these next offsets; a later `take_commit_answers` tells what became of it."""
        ...

    def take_commit_answers(self) -> CommitAnswers:
        """The answers to commits that came in, inside `poll`, since the last call."""
        ...

    def committed(self, partitions: Iterable[TopicPartition], within_s: float) -> dict[TopicPartition, int | None]:
        """The next offsets that the group holds for these, None where it has none; nothing when it does not tell in time."""
        ...

    def bounds(self, partition: TopicPartition, within_s: float) -> tuple[int, int]:
        """The first offset that the broker still has, and the one that the next record will get. Raises `Transient`."""
        ...

    def offset_at(self, partition: TopicPartition, timestamp_ms: int, within_s: float) -> int:
        """The first offset at or after a time; where there is none the next record's. Raises `Transient`."""
        ...

    def end_offset(self, partition: TopicPartition) -> int | None:
        """The partition's end as of the last fetch, or None while nothing was fetched."""
        ...

    def close(self) -> None:
        """Leave the group; rebalances happen in here too."""
        ...


Report = tuple[Prepared, Outcome, TextstreamError | None, float]
"""What became of one outcome, so many seconds after it was handed to the client. Not named: a million of them a minute."""


class Sink(Protocol):
    """Publishes outcomes of a pipeline, in the order given for each partition."""

    @property
    def unreported(self) -> int:
        """How many were sent and not reported yet."""
        ...

    def route(self, pipeline: Pipeline) -> None:
        """Where outcomes go from now on."""
        ...

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """Hand an outcome to the client; False when its queue is full: serve `reports` and try again."""
        ...

    def reports(self, timeout_s: float = 0) -> list[Report]:
        """The acknowledgements since the last call; waits up to `timeout_s` for the first. Raises `Fatal`."""
        ...

    def close(self) -> None:
        """Drop what is still queued: it is not committed, so it will be read and scored again."""
        ...


class Aborted(Exception):
    """The transaction cannot be committed, the next one can: abort it, go back to what was committed, and read on."""


class TransactionalSink(Sink, Protocol):
    """Publishes in transactions: outcomes and offsets stand together, or neither does."""

    def begin(self) -> None:
        """All that is sent from now on belongs to one transaction."""
        ...

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """As `Sink.send`. Raises `Aborted` where the transaction has failed meanwhile, before any report of it came."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, int], membership: Membership, within_s: float) -> None:
        """End it: what was sent stands, and the group holds these next offsets. Call it when nothing is `unreported`.

        Raises `Aborted` when it has to be aborted, `Transient` when nobody answered in time, `Fatal` when we were replaced.
        """
        ...

    def abort(self, within_s: float) -> None:
        """End it: nothing that was sent stands. What was not reported will be, as refused. Raises as `commit` does.

        Raises `Misconfigured` where it failed for a right that is missing: the next one would too.
        """
        ...


@dataclass(slots=True, frozen=True)
class Scored:
    """What came of a batch. Times are the clock's seconds.

    `fitted` is false where memory ran out on it as a whole, and it was scored in parts.
    """

    batch: Batch
    enriched: Enriched
    submitted_at: float
    started_at: float
    finished_at: float
    fitted: bool = True


class Scoring(Protocol):
    """Runs `core.process.enrich` beside the polling thread: batches go in, outcomes come back in the same order."""

    @property
    def busy(self) -> bool:
        """Whether batches are out."""
        ...

    @property
    def full(self) -> bool:
        """Whether no further batch may be submitted."""
        ...

    @property
    def waiting_since(self) -> float | None:
        """When the oldest batch that is still out was submitted, by the clock."""
        ...

    def submit(self, batch: Batch) -> None:
        """Hand over a batch; only when not `full`."""
        ...

    def results(self, timeout_s: float) -> list[Scored]:
        """What has been scored; waits up to `timeout_s` for the first. Raises what stopped the scoring."""
        ...

    def close(self) -> None:
        """Score no more."""
        ...


class World(Protocol):
    """Everything outside of the worker, to be opened once it may."""

    def inspect(self, within_s: float) -> Pipeline:
        """The topics as the brokers know them. Raises `Transient`, or `Misconfigured` where one is missing."""
        ...

    def scoring(self, codec: Codec) -> Scoring:
        """The model, at work."""
        ...

    def source(self, assignment: Assignment, topics: Sequence[str]) -> Source:
        """A member of the group that reads these: partitions come and go from now on."""
        ...

    def sink(self, pipeline: Pipeline) -> Sink:
        """The writer of outcomes, for at least once."""
        ...

    def transactional_sink(self, pipeline: Pipeline) -> TransactionalSink:
        """The writer of outcomes and offsets, for exactly once. Raises as `TransactionalSink.commit`."""
        ...
