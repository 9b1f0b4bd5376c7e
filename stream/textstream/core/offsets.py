"""Which offsets may be committed. Everything textstream knows of offsets is in this file.

The rules:

1. An offset may be committed only when every record *delivered* before it on its partition is settled: its outcome is
   acknowledged by the broker. Delivered, not arithmetic: compaction and transaction markers leave gaps.
   Where the partition's end was reached, what may be committed moves there: behind the last record there may be markers.
2. What was delivered under an older assignment (`Position.epoch`) is never counted.
3. A committed offset is the next one to read, so it is one more than the last settled.
4. A commit goes from *requested* to *confirmed*: the group is known to hold it. One that is on its way may still be refused,
   when the group has moved on to a new generation, so before a partition is let go only what is confirmed counts.
5. What is settled and not confirmed is *uncommitted*. Offsets do not tell how many that are, there are gaps between them: a
   commit that stands covers as many records as had left the pending ones when it was asked for.
6. After a *rewind* everything that was delivered is of an older epoch, and is read again from what is confirmed. Until the
   reader has been told to (`take_rewinds`), what it still hands out is nobody's: `epoch_of` gives None.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from textstream.core.record import Position
from textstream.errors import Fatal

TopicPartition = tuple[str, int]


class PartitionOffsets:
    """The records of one assigned partition that are not settled yet, in the order in which they were delivered."""

    def __init__(self, epoch: int, start: int, committed: int | None = None) -> None:
        self.epoch = epoch
        self.start = start  # where reading began
        self.next_offset = start  # what may be committed
        self.requested: int | None = None  # the last commit asked for, unless one was refused since
        self.confirmed = committed  # what the group is known to hold
        self._last_delivered = -1
        self._end = -1  # where the partition ended when its end was last reached
        self._pending: deque[int] = deque()
        self._sent_ms: deque[int] = deque()  # when each of the pending ones was
        self._settled: set[int] = set()  # settled, but something before it is not
        self._freed = 0  # left the pending ones
        self._asked: deque[tuple[int, int]] = deque()  # commits on their way, one an interval at most: offset, freed by then
        self._committed = 0  # of those freed, how many the group is known to hold
        self._behind: tuple[int, int] | None = None  # the offset at which nothing was read yet, and when that was first seen

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def read_from(self) -> int:
        """The offset after the last delivered one."""
        return max(self.start, self._last_delivered + 1)

    @property
    def uncommitted(self) -> int:
        """How many records are settled, and not known to be committed."""
        return self._freed - self._committed + len(self._settled)

    def deliver(self, offset: int, sent_ms: int = 0) -> None:
        """A record was handed to us, sent at that time; of no account where nobody asks how long it waits."""
        if offset <= self._last_delivered:  # not ours to assert: a topic can be truncated or made anew under us
            raise Fatal(f"offset {offset} came after {self._last_delivered}: was the topic recreated? a restart reads on")
        self._last_delivered = offset
        self._pending.append(offset)
        self._sent_ms.append(sent_ms)

    def settle(self, offset: int) -> None:
        """The record's outcome is acknowledged; reports may come in any order."""
        pending, settled = self._pending, self._settled
        assert pending and pending[0] <= offset <= self._last_delivered, f"offset {offset} settled, but not pending"
        assert offset not in settled, f"offset {offset} settled twice"
        if offset != pending[0]:
            settled.add(offset)
            return
        while True:  # once, nearly always: reports come in order
            self.next_offset = pending.popleft() + 1
            self._sent_ms.popleft()
            self._freed += 1
            if not pending:
                self._skip_to_end()
                return
            if pending[0] not in settled:
                return
            settled.remove(pending[0])

    def reach_end(self, end: int) -> None:
        """Everything before `end` has been delivered; what was not are transaction markers and aborted records."""
        self._end = end
        self._skip_to_end()

    def ask(self) -> int:
        """What may be committed is asked for now."""
        self.requested = self.next_offset
        self._asked.append((self.next_offset, self._freed))
        return self.next_offset

    def confirm(self, offset: int) -> None:
        """The group holds this offset."""
        self.confirmed = offset
        while self._asked and self._asked[0][0] <= offset:
            _, self._committed = self._asked.popleft()
        if offset >= self.next_offset:
            self._committed = self._freed

    def refuse(self) -> None:
        """What was asked for does not stand."""
        self.requested = None
        self._asked.clear()

    def waits_since_ms(self, end: int | None, now_ms: int) -> int | None:
        """Since when the first record waits that may not be committed: as it was sent, or, where it is not read yet, as the
        partition was first seen to hold it. `now_ms` where there is none, None where the `end` is not known either."""
        if self._sent_ms:
            return self._sent_ms[0]
        if end is None:
            return None
        if end <= self.next_offset:
            return now_ms
        if self._behind is None or self._behind[0] != self.next_offset:
            self._behind = self.next_offset, now_ms
        return self._behind[1]

    def _skip_to_end(self) -> None:
        if not self._pending:
            self.next_offset = max(self.next_offset, self._end)


class Ledger:
    """The offsets of every assigned partition."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, PartitionOffsets] = {}
        self._rewinding: set[TopicPartition] = set()
        self._epoch = 0

    def assign(self, starts: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int | None]) -> None:
        """These partitions are ours from now on, in a new epoch: where each is read from, and what the group holds."""
        self._epoch += 1
        for partition, start in starts.items():
            self._partitions[partition] = PartitionOffsets(self._epoch, start, committed.get(partition))

    def release(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions are ours no more; what is in flight from them is stale."""
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._rewinding.discard(partition)

    def rewind(self) -> None:
        """All that was delivered of every partition is stale, and is to be read again from what the group holds."""
        self._epoch += 1
        for partition, owned in self._partitions.items():
            again = owned.start if owned.confirmed is None else owned.confirmed
            self._partitions[partition] = PartitionOffsets(self._epoch, again, owned.confirmed)
        self._rewinding = set(self._partitions)

    def take_rewinds(self) -> dict[TopicPartition, int]:
        """Where the reader has to go back to; with this call it is told."""
        rewinds = {partition: self._partitions[partition].start for partition in self._rewinding}
        self._rewinding.clear()
        return rewinds

    @property
    def assigned(self) -> list[TopicPartition]:
        """The partitions that are ours."""
        return list(self._partitions)

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The epoch that what is read from a partition belongs to; None where it is not ours, or is to be rewound first."""
        owned = self._partitions.get(partition)
        return owned.epoch if owned is not None and partition not in self._rewinding else None

    def is_current(self, position: Position) -> bool:
        """Whether the record was read in the present assignment of its partition."""
        return self.are_current([position])[0]

    def are_current(self, positions: Iterable[Position]) -> list[bool]:
        """`is_current` of each."""
        partitions = self._partitions
        return [(owned := partitions.get(one[:2])) is not None and owned.epoch == one[3] for one in positions]

    def deliver(self, records: Iterable[tuple[Position, int]]) -> None:
        """Records were handed to us, each sent at its time."""
        for (topic, partition, offset, epoch), sent_ms in records:
            owned = self._partitions.get((topic, partition))
            assert owned is not None and owned.epoch == epoch, f"{offset} of {topic}-{partition}, which is not assigned"
            owned.deliver(offset, sent_ms)

    def settle(self, positions: Iterable[Position]) -> int:
        """The outcomes of these records are acknowledged. Stale ones change nothing; how many were not."""
        settled = 0
        for topic, partition, offset, epoch in positions:
            owned = self._partitions.get((topic, partition))
            if owned is not None and owned.epoch == epoch:
                owned.settle(offset)
                settled += 1
        return settled

    def reach_end(self, end: Position) -> None:
        """The end of a partition was reached, at this position. A stale one changes nothing."""
        if self.is_current(end):
            self._partitions[end.topic, end.partition].reach_end(end.offset)

    def jump(self, partition: TopicPartition, offset: int) -> None:
        """What lies before this offset and was not delivered is gone: reading goes on there."""
        owned = self._partitions[partition]
        owned.start = max(owned.start, offset)

    def read_from(self, partition: TopicPartition) -> int:
        """Where reading goes on in a partition of ours: after the last delivered record."""
        return self._partitions[partition].read_from

    def pending(self, partitions: Iterable[TopicPartition] | None = None) -> int:
        """How many delivered records of these partitions (default: all) are not settled."""
        chosen = self._partitions if partitions is None else partitions
        return sum(len(self._partitions[p]) for p in chosen if p in self._partitions)

    def next_offset(self, partition: TopicPartition) -> int | None:
        """What may be committed on this partition now; None where it is not ours."""
        owned = self._partitions.get(partition)
        return owned.next_offset if owned is not None else None

    def waits_since_ms(self, partition: TopicPartition, end: int | None, now_ms: int) -> int | None:
        """As `PartitionOffsets.waits_since_ms`, of a partition of ours that ends at `end`."""
        return self._partitions[partition].waits_since_ms(end, now_ms)

    @property
    def uncommitted(self) -> int:
        """How many records are settled, and not known to be committed."""
        return sum(owned.uncommitted for owned in self._partitions.values())

    def take_commits(self) -> dict[TopicPartition, int]:
        """The offsets that are neither asked for nor confirmed; with this call they are asked for."""
        moved: dict[TopicPartition, int] = {}
        for partition, owned in self._partitions.items():
            if owned.next_offset not in (owned.requested, owned.confirmed):
                moved[partition] = owned.ask()
        return moved

    def unconfirmed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """What may be committed of these partitions and is not known to be, whether it was asked for or not."""
        unconfirmed: dict[TopicPartition, int] = {}
        for partition in partitions:
            owned = self._partitions.get(partition)
            if owned is not None and owned.next_offset != owned.confirmed:
                unconfirmed[partition] = owned.next_offset
        return unconfirmed

    def confirm(self, committed: Mapping[TopicPartition, int]) -> None:
        """The group holds these offsets. Those of partitions that are not ours any more change nothing."""
        for partition, offset in committed.items():
            if partition in self._partitions:
                self._partitions[partition].confirm(offset)

    def refuse(self, partitions: Iterable[TopicPartition]) -> None:
        """A commit was refused: what is not confirmed is asked for again next time."""
        for partition in partitions:
            if partition in self._partitions:
                self._partitions[partition].refuse()
