"""Micro-batches and the in-flight budget: how much is taken on, and when it is handed to the model.

A batch holds records of all partitions in the order in which they were polled, those that need no scoring (tombstones,
dead letters) among them: so outcomes come back in that order, and order per partition needs no other bookkeeping.
Sorting by length, so that little is padding, is the scorer's business and never leaves it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from textstream.core.process import Prepared

Closed = Literal["messages", "tokens", "age", "idle", "flush"]
"""Which limit closed a batch; `idle` when the model has rested long enough, `flush` when everything must go now."""


GROWS_AFTER = 1_000
"""Batches that fit in a row before a token limit that was halved is doubled again: trying costs a thousandth at most, and
what ate the memory (another process on the GPU, one huge message) may be gone."""


@dataclass(slots=True, frozen=True)
class Batch:
    """Records to be scored together, `tokens` in all."""

    items: list[Prepared]
    tokens: int
    closed_by: Closed


class Batcher:
    """Gathers prepared records and closes a batch by count, tokens or age, whichever comes first. Times are seconds.

    A model that is idle does not wait for one to fill, once it has rested as long as it worked: so where there is little to do
    messages do not wait, and batches that are not full take half of the model's time at most.
    """

    def __init__(self, *, max_messages: int, max_tokens: int, max_wait_s: float) -> None:
        self._max_messages = max_messages
        self.max_tokens = self._most_tokens = max_tokens
        self._max_wait_s = max_wait_s
        self._fitted = 0  # batches in a row, since the limit was last changed
        self._rested_at = 0.0
        self._waiting: deque[Prepared] = deque()
        self._waiting_tokens = 0
        self._oldest: float | None = None  # when the oldest waiting record came

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, items: Sequence[Prepared], now: float) -> None:
        """Records join the queue; the in-flight `Budget` bounds how long that grows."""
        if self._oldest is None and items:
            self._oldest = now
        self._waiting.extend(items)
        self._waiting_tokens += sum([item.tokens_count for item in items])

    def shrink(self, batch: Batch) -> None:
        """Memory ran out on a batch: from now on at most half of its tokens at once."""
        self.max_tokens = max(1, min(self.max_tokens, batch.tokens // 2))
        self._fitted = 0

    def worked(self, began_at: float, ended_at: float) -> None:
        """The model scored a batch in this time."""
        self._rested_at = ended_at + (ended_at - began_at)

    def fitted(self) -> None:
        """A batch was scored within the memory there is; after many of them a limit that was halved is doubled."""
        self._fitted += 1
        if self._fitted >= GROWS_AFTER:
            self.max_tokens = min(2 * self.max_tokens, self._most_tokens)
            self._fitted = 0

    def due_in(self, now: float, *, idle: bool) -> float:
        """Seconds until what waits is due by age, or to an idle model; below 0 where it is."""
        if self._oldest is None:
            return inf
        aged = self._oldest + self._max_wait_s
        return (min(aged, self._rested_at) if idle else aged) - now

    def take(self, now: float, *, idle: bool = False, flush: bool = False) -> Batch | None:
        """The next batch if one is due, else None; `idle`: the model has none; with `flush`, whatever waits."""
        closed_by = self._due(now, idle, flush)
        if closed_by is None:
            return None
        items, tokens = self._next_items()
        self._waiting_tokens -= tokens
        self._oldest = now if self._waiting else None
        return Batch(items, tokens, closed_by)

    def _due(self, now: float, idle: bool, flush: bool) -> Closed | None:
        if self._oldest is None:
            return None
        if len(self._waiting) >= self._max_messages:
            return "messages"
        if self._waiting_tokens >= self.max_tokens:
            return "tokens"
        if self.due_in(now, idle=False) <= 0:
            return "age"
        if self.due_in(now, idle=idle) <= 0:
            return "idle"
        return "flush" if flush else None

    def _next_items(self) -> tuple[list[Prepared], int]:
        """As many as fit, at least one, and their tokens: a record above the token limit goes alone."""
        items: list[Prepared] = []
        tokens = 0
        while self._waiting and len(items) < self._max_messages:
            more = self._waiting[0].tokens_count
            if items and tokens + more > self.max_tokens:
                break
            items.append(self._waiting.popleft())
            tokens += more
        return items, tokens


class Budget:
    """What may be in flight between poll and acknowledgement.

    It is full when a limit is reached, and stays so until all three have fallen to `RESUME` of theirs: without that
    gap, each acknowledgement would let in one record and polling would run at its least efficient.
    """

    RESUME = 0.75

    def __init__(self, *, max_messages: int, max_bytes: int, max_tokens: int) -> None:
        self.messages = self.bytes = self.tokens = 0
        self._max_messages, self._max_bytes, self._max_tokens = max_messages, max_bytes, max_tokens
        self._full = False

    def add(self, items: Sequence[Prepared]) -> None:
        """Records were taken on."""
        self.messages += len(items)
        self.bytes += sum([item.size for item in items])
        self.tokens += sum([item.tokens_count for item in items])
        self._full = self._full or (
            self.messages >= self._max_messages or self.bytes >= self._max_bytes or self.tokens >= self._max_tokens
        )

    def remove(self, items: Sequence[Prepared]) -> None:
        """The outcomes of records were acknowledged, or the records were dropped as stale."""
        self.messages -= len(items)
        self.bytes -= sum([item.size for item in items])
        self.tokens -= sum([item.tokens_count for item in items])
        assert self.messages >= 0 and self.bytes >= 0 and self.tokens >= 0, "more left the budget than entered"
        self._full = self._full and (
            self.messages > self._max_messages * self.RESUME
            or self.bytes > self._max_bytes * self.RESUME
            or self.tokens > self._max_tokens * self.RESUME
        )

    @property
    def full(self) -> bool:
        """Whether nothing more may be taken on."""
        return self._full

    @property
    def room(self) -> int:
        """How many more messages may be polled; bytes and tokens are known only after polling."""
        return 0 if self._full else self._max_messages - self.messages
