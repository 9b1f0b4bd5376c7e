"""Which offsets may be committed. Everything textstream knows of offsets is in this file.

The rules:

1. An offset may be committed only when every record *delivered* before it on its partition is settled: its outcome is
   acknowledged by the broker. Delivered, not arithmetic: compaction and transaction markers leave gaps.
   Where the partition's end was reached, what may be committed moves there: behind the last record there may be markers.
2. What was delivered under an older assignment (`Position.epoch`) is never counted.
3. A committed offset is the next one to read, so it is one more than the last settled.
4. A commit goes from *requested* to *confirmed*: the group is known to hold it. One that is on its way may still be refused,
   when the group has moved on to a new generation, so before a partition is let go only what is confirmed counts.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from textstream.core.record import Position
from textstream.errors import Fatal

TopicPartition = tuple[str, int]


class PartitionOffsets:
    """The records of one assigned partition that are not settled yet, in the order in which they were delivered."""

    def __init__(self, epoch: int, committed: int | None = None) -> None:
        self.epoch = epoch
        self.next_offset = committed  # what may be committed; None until that is known or something is settled
        self.requested: int | None = None  # the last commit asked for, unless one was refused since
        self.confirmed = committed  # what the group is known to hold
        self._last_delivered = -1
        self._end = -1  # where the partition ended when its end was last reached
        self._pending: deque[int] = deque()
        self._settled: set[int] = set()  # settled, but something before it is not

    def __len__(self) -> int:
        return len(self._pending)

    def deliver(self, offset: int) -> None:
        """A record was handed to us."""
        if offset <= self._last_delivered:  # not ours to assert: a topic can be truncated or made anew under us
            raise Fatal(f"offset {offset} came after {self._last_delivered}: was the topic recreated? a restart reads on")
        self._last_delivered = offset
        self._pending.append(offset)

    def settle(self, offset: int) -> None:
        """The record's outcome is acknowledged; reports may come in any order."""
        pending, settled = self._pending, self._settled
        assert pending and pending[0] <= offset <= self._last_delivered, f"offset {offset} settled, but not pending"
        assert offset not in settled, f"offset {offset} settled twice"
        settled.add(offset)
        while pending and pending[0] in settled:
            first = pending.popleft()
            settled.remove(first)
            self.next_offset = first + 1
        self._skip_to_end()

    def reach_end(self, end: int) -> None:
        """Everything before `end` has been delivered; what was not are transaction markers and aborted records."""
        self._end = end
        self._skip_to_end()

    def _skip_to_end(self) -> None:
        if not self._pending:
            self.next_offset = max(self.next_offset or 0, self._end)


class Ledger:
    """The offsets of every assigned partition."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, PartitionOffsets] = {}
        self._epoch = 0

    def assign(self, committed: Mapping[TopicPartition, int | None]) -> None:
        """These partitions are ours from now on, in a new epoch; their committed offsets, None where unknown."""
        self._epoch += 1
        for partition, offset in committed.items():
            self._partitions[partition] = PartitionOffsets(self._epoch, offset)

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions are ours no more; what is in flight from them is stale."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    @property
    def assigned(self) -> list[TopicPartition]:
        """The partitions that are ours."""
        return list(self._partitions)

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The epoch in which a partition became ours, or None where it is not."""
        owned = self._partitions.get(partition)
        return owned.epoch if owned is not None else None

    def is_current(self, position: Position) -> bool:
        """Whether the record was read in the present assignment of its partition."""
        owned = self._partitions.get((position.topic, position.partition))
        return owned is not None and owned.epoch == position.epoch

    def deliver(self, position: Position) -> None:
        """A record was handed to us."""
        assert self.is_current(position), f"{position} delivered, but its partition is not assigned"
        self._partitions[position.topic, position.partition].deliver(position.offset)

    def settle(self, position: Position) -> None:
        """A record's outcome is acknowledged. A stale one changes nothing."""
        if self.is_current(position):
            self._partitions[position.topic, position.partition].settle(position.offset)

    def reach_end(self, end: Position) -> None:
        """The end of a partition was reached, at this position. A stale one changes nothing."""
        if self.is_current(end):
            self._partitions[end.topic, end.partition].reach_end(end.offset)

    def pending(self, partitions: Iterable[TopicPartition] | None = None) -> int:
        """How many delivered records of these partitions (default: all) are not settled."""
        chosen = self._partitions if partitions is None else partitions
        return sum(len(self._partitions[p]) for p in chosen if p in self._partitions)

    def next_offset(self, partition: TopicPartition) -> int | None:
        """What may be committed on this partition now; None while that is unknown."""
        owned = self._partitions.get(partition)
        return owned.next_offset if owned is not None else None

    def take_commits(self) -> dict[TopicPartition, int]:
        """The offsets that are neither asked for nor confirmed; with this call they are asked for."""
        moved: dict[TopicPartition, int] = {}
        for partition, owned in self._partitions.items():
            if owned.next_offset is not None and owned.next_offset not in (owned.requested, owned.confirmed):
                moved[partition] = owned.requested = owned.next_offset
        return moved

    def unconfirmed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """What may be committed of these partitions and is not known to be, whether it was asked for or not."""
        unconfirmed: dict[TopicPartition, int] = {}
        for partition in partitions:
            owned = self._partitions.get(partition)
            if owned is not None and owned.next_offset is not None and owned.next_offset != owned.confirmed:
                unconfirmed[partition] = owned.next_offset
        return unconfirmed

    def confirm(self, committed: Mapping[TopicPartition, int]) -> None:
        """The group holds these offsets. Those of partitions that are not ours any more change nothing."""
        for partition, offset in committed.items():
            if partition in self._partitions:
                self._partitions[partition].confirmed = offset

    def refuse(self, partitions: Iterable[TopicPartition]) -> None:
        """A commit was refused: what is not confirmed is asked for again next time."""
        for partition in partitions:
            if partition in self._partitions:
                self._partitions[partition].requested = None
