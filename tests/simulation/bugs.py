# ruff: noqa: D103 (the names of the bugs say what they are)
"""Bugs planted into the real classes, one at a time: what the simulation is worth shows in whether it catches them.

Each is a mistake that somebody could make, or has made: one method that does slightly the wrong thing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from textstream.core.batch import Batcher, Budget
from textstream.core.offsets import Ledger, PartitionOffsets, TopicPartition
from textstream.core.ports import Aborted, Source
from textstream.core.process import Prepared
from textstream.core.record import Outcome, Position
from textstream.delivery import AtLeastOnce, Delivery, ExactlyOnce
from textstream.extent import Backfill
from textstream.worker import Worker

Wrong = Callable[..., Any]


@dataclass(frozen=True)
class Bug:
    """`wrong` stands in the place of a method; under `guarantee` it does harm that breaks `invariants`."""

    name: str
    guarantee: str
    owner: type
    method: str
    wrong: Wrong
    invariants: frozenset[str]
    eager: bool
    backfill: bool

    def planted(self) -> AbstractContextManager[object]:
        """The bug is there, until the end of the block."""
        return patch.object(self.owner, self.method, self.wrong)


BUGS: list[Bug] = []


def bug(
    guarantee: str, owner: type, method: str, *invariants: str, eager: bool = False, backfill: bool = False
) -> Callable[[Wrong], Wrong]:
    """Declare one, named by its function; `eager`: it does harm where clients are (`world.Setting`), `backfill`: to one."""

    def declare(wrong: Wrong) -> Wrong:
        BUGS.append(Bug(wrong.__name__, guarantee, owner, method, wrong, frozenset(invariants), eager, backfill))
        return wrong

    return declare


NEVER_PAST = ("no commit past an unacknowledged record", "no commit past a record without outcome")
ALO, EO = "at_least_once", "exactly_once"

deliver, settle_partition = PartitionOffsets.deliver, PartitionOffsets.settle
settle, rewind = Ledger.settle, Ledger.rewind
revoked, lost, release = Worker.revoked, Worker.lost, Worker._release
send, end = Delivery._send, ExactlyOnce._end
remove, next_items = Budget.remove, Batcher._next_items


@bug(ALO, PartitionOffsets, "deliver", *NEVER_PAST)
def committed_as_soon_as_it_is_read(self: PartitionOffsets, offset: int, sent_ms: int) -> None:
    deliver(self, offset, sent_ms)
    self.next_offset = offset + 1


@bug(ALO, AtLeastOnce, "_send", *NEVER_PAST)
def committed_as_soon_as_it_is_sent(self: AtLeastOnce, item: Prepared, outcome: Outcome) -> bool:
    sent = send(self, item, outcome)
    if sent:
        topic, partition, offset, _ = item.record.position
        self._ledger._partitions[topic, partition].next_offset = offset + 1
    return sent


@bug(ALO, PartitionOffsets, "settle", *NEVER_PAST)
def committed_up_to_the_last_acknowledged(self: PartitionOffsets, offset: int) -> None:
    settle_partition(self, offset)
    self.next_offset = max(self.next_offset, offset + 1)


@bug(ALO, PartitionOffsets, "settle", *NEVER_PAST, "no commit past the end")
def off_by_one_after_a_gap(self: PartitionOffsets, offset: int) -> None:
    before = self.next_offset
    settle_partition(self, offset)
    if before < offset < self.next_offset and not self._end >= self.next_offset:
        self.next_offset += 1


@bug(ALO, PartitionOffsets, "settle", "drain in time", "a revoked partition is committed first")
def offsets_counted_instead_of_taken(self: PartitionOffsets, offset: int) -> None:
    before = self.next_offset
    left = len(self)
    settle_partition(self, offset)
    self.next_offset = before + left - len(self)


@bug(ALO, PartitionOffsets, "_skip_to_end", *NEVER_PAST)
def the_end_counts_while_something_is_pending(self: PartitionOffsets) -> None:
    self.next_offset = max(self.next_offset, self._end)


@bug(ALO, PartitionOffsets, "reach_end", "drain in time")
def markers_at_the_end_are_forgotten(self: PartitionOffsets, end: int) -> None:
    pass


@bug(ALO, Ledger, "settle", *NEVER_PAST, "the worker's own checks")
def settled_in_the_wrong_partition(self: Ledger, positions: Iterable[Position]) -> int:
    first = min((number for _, number in self._partitions), default=0)
    return settle(self, [position._replace(partition=first) for position in positions])


@bug(ALO, Delivery, "publish", "a stale result is never produced")
def no_epoch_check_before_publishing(self: Delivery[Any], outcomes: Iterable[tuple[Prepared, Outcome]]) -> None:
    self._outbox.extend(outcomes)
    while self._outbox and self._send(*self._outbox[0]):
        self._outbox.popleft()


@bug(EO, Delivery, "publish", "a stale result is never produced")
def no_epoch_check_before_publishing_in_a_transaction(
    self: Delivery[Any], outcomes: Iterable[tuple[Prepared, Outcome]]
) -> None:
    no_epoch_check_before_publishing(self, outcomes)


@bug(ALO, Ledger, "are_current", "a stale result is never produced", "the worker's own checks")
def whatever_was_scored_is_published(self: Ledger, positions: Sequence[Position]) -> list[bool]:
    return [True for _ in positions]


@bug(ALO, Worker, "lost", "only what is ours is committed")
def committed_on_lost(self: Worker, partitions: Sequence[TopicPartition]) -> None:
    self._delivery.commit_now(partitions, self._clock.now())
    lost(self, partitions)


@bug(EO, ExactlyOnce, "lost", "exactly once", "outcomes stand with their offsets")
def no_abort_on_lost(self: ExactlyOnce) -> None:
    pass


@bug(ALO, Worker, "revoked", "a revoked partition is finished first", "a revoked partition is committed first")
def revoked_without_waiting(self: Worker, partitions: Sequence[TopicPartition]) -> None:
    release(self, "revoked", partitions)


@bug(
    EO, Worker, "revoked", "a revoked partition is finished first", "a revoked partition is committed first",
    "outcomes stand with their offsets", "exactly once",
)  # fmt: skip
def revoked_in_the_middle_of_a_transaction(self: Worker, partitions: Sequence[TopicPartition]) -> None:
    release(self, "revoked", partitions)


@bug(ALO, AtLeastOnce, "commit_now", "a revoked partition is committed first")
def a_commit_is_believed_before_it_is_answered(
    self: AtLeastOnce, partitions: Sequence[TopicPartition], deadline: float
) -> bool:
    self._request(self._ledger.unconfirmed(partitions))
    return True


@bug(ALO, Ledger, "refuse", "drain in time")
def a_refused_commit_is_forgotten(self: Ledger, partitions: Sequence[TopicPartition]) -> None:
    pass


@bug(EO, Ledger, "rewind", "after an abort all is read again", "a stale result is never produced", "nothing is lost")
def no_rewind_after_an_abort(self: Ledger) -> None:
    pass


@bug(EO, Ledger, "rewind", "a run begins at the committed offset")
def rewound_to_what_was_acknowledged(self: Ledger) -> None:
    acknowledged = {partition: owned.next_offset for partition, owned in self._partitions.items()}
    rewind(self)
    for partition, owned in self._partitions.items():
        owned.start = owned.next_offset = acknowledged[partition]


@bug(EO, ExactlyOnce, "_end", "outcomes stand with their offsets", "exactly once")
def sent_while_committing(self: ExactlyOnce, deadline: float) -> bool:
    if not self._open:
        return end(self, deadline)
    offsets, aborts = self._ledger.unconfirmed(self._ledger.assigned), self._aborts_in_a_row
    self.publish(())
    while self._sink.unreported and self._aborts_in_a_row == aborts:
        self.settle(0.01)
    return self._aborts_in_a_row == aborts and committed(self, offsets)


@bug(EO, ExactlyOnce, "_end", "a transaction is committed whole")
def committed_before_all_is_acknowledged(self: ExactlyOnce, deadline: float) -> bool:
    return committed(self, self._ledger.unconfirmed(self._ledger.assigned)) if self._open else end(self, deadline)


def committed(self: ExactlyOnce, offsets: dict[TopicPartition, int]) -> bool:
    """What the real `_end` ends with."""
    try:
        self._sink.commit(offsets, self._membership, 1.0)
    except Aborted as why:
        self._abort(str(why))
        return False
    self._open = False
    self._ledger.confirm(offsets)
    return True


@bug(EO, ExactlyOnce, "_begin", "drain in time")
def membership_taken_with_the_assignment_only(self: ExactlyOnce) -> None:
    if not self._open:
        self._sink.begin()
        self._open = True


@bug(EO, ExactlyOnce, "_end", "exactly once", "a committed offset never goes back", eager=True)
def membership_taken_at_the_time_of_the_commit(self: ExactlyOnce, deadline: float) -> bool:
    self._membership = self._source.membership()
    return end(self, deadline)


@bug(ALO, Budget, "remove", "drain in time", "stages hold what is in flight")
def the_budget_is_never_released(self: Budget, items: Sequence[Prepared]) -> None:
    pass


@bug(ALO, Budget, "remove", "memory is bounded", "the worker's own checks")
def the_budget_is_released_twice(self: Budget, items: Sequence[Prepared]) -> None:
    remove(self, items)
    self.messages = max(0, self.messages - 1)


@bug(ALO, Batcher, "_next_items", "order")
def the_last_come_are_scored_first(self: Batcher) -> tuple[list[Prepared], int]:
    items, tokens = next_items(self)
    return items[::-1], tokens


@bug(ALO, Batcher, "_next_items", "queues keep their bounds")
def batches_know_no_limit(self: Batcher) -> tuple[list[Prepared], int]:
    items = list(self._waiting)
    self._waiting.clear()
    return items, sum(item.tokens_count for item in items)


@bug(EO, Backfill, "look", "a backfill ends when all is done", backfill=True)
def a_backfill_ends_with_the_partitions_of_its_own(self: Backfill, source: Source, within_s: float) -> None:
    self.done = bool(self.finished)


@bug(EO, Backfill, "rewound", "drain in time", backfill=True)
def what_was_read_to_its_end_is_not_read_again(self: Backfill, starts: Mapping[TopicPartition, int]) -> list[TopicPartition]:
    return []
