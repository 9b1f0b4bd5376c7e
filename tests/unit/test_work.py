"""The work of a message, counted: calls and memory blocks through decode → encode, and through delivery.

Counts do not depend on how busy the machine is, so they are held to ceilings a few percent above what they are. Whoever makes
a path cheaper lowers its ceiling; whoever must make it dearer raises it, and says why. Counted on Python 3.11: later ones call
less.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import pytest

from textstream import samples
from textstream.bench.noop import NoopScorer
from textstream.clock import SystemClock
from textstream.core.batch import Batch, Batcher, Budget
from textstream.core.codec import Codec
from textstream.core.offsets import Ledger, TopicPartition
from textstream.core.ports import CommitAnswers, Report
from textstream.core.process import Prepared, Scorer, enrich, prepare
from textstream.core.record import Outcome, Position, Record
from textstream.delivery import AtLeastOnce
from textstream.model.scorer import Scorer as Model
from textstream.observe.metrics import Metrics
from textstream.score import line_codec

MESSAGES = 256
PARTITION, EPOCH = ("in", 0), 1
CEILINGS = {  # a message, scored by the compiled part: calls into Python functions, calls into C, blocks held by its outcome
    "swift": (14.2, 25.0, 12.1),
    "noop": (9.7, 16.9, 8.9),  # its analysis is made of dictionaries, and encoded, anew for each message
    "delivery": (4.9, 12.9, 2.7),
}


def records() -> list[Record]:
    """The sample's messages, good and bad, as they are polled."""
    values = samples.values()
    return [
        Record(Position(*PARTITION, at, EPOCH), values[at % len(values)], timestamp_ms=1_764_000_000_000)
        for at in range(MESSAGES)
    ]


def codec(scorer: Scorer) -> Codec:
    """One without a broker's limits."""
    return line_codec(scorer, PARTITION[0], "json", "/text")


def counted(step: Callable[[], Any]) -> tuple[float, float, float]:
    """Calls of Python functions and of C's, and blocks that the result holds, a message; warmed up by a first time."""
    step()
    gc.collect()
    gc.disable()  # what lies in cycles is found at no fixed time
    try:
        before = sys.getallocatedblocks()
        held = step()
        blocks = sys.getallocatedblocks() - before
        del held
        calls = {"call": 0, "c_call": 0}

        def note(_: FrameType, event: str, __: Any) -> None:
            if event in calls:
                calls[event] += 1

        sys.setprofile(note)
        try:
            step()
        finally:
            sys.setprofile(None)
    finally:
        gc.enable()
    return calls["call"] / MESSAGES, calls["c_call"] / MESSAGES, blocks / MESSAGES


def scoring(scorer: Scorer) -> tuple[float, float, float]:
    """Decode, tokenise, infer, enrich, encode."""
    given, to = records(), codec(scorer)
    return counted(lambda: enrich(prepare(given, to, scorer), to, scorer, 1_764_000_000_000))


class ReadySink:
    """Takes all, and reports all as acknowledged."""

    def __init__(self) -> None:
        self.sent: list[tuple[Prepared, Outcome]] = []

    @property
    def unreported(self) -> int:
        """What the next `reports` gives."""
        return len(self.sent)

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """Always."""
        self.sent.append((item, outcome))
        return True

    def reports(self, timeout_s: float = 0) -> list[Report]:
        """All that was sent."""
        sent, self.sent = self.sent, []
        return [(item, outcome, None, 0.0) for item, outcome in sent]


class ReadySource:
    """Confirms every commit at once."""

    def __init__(self) -> None:
        self.asked: dict[TopicPartition, int] = {}

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Noted."""
        self.asked |= offsets

    def take_commit_answers(self) -> CommitAnswers:
        """All stand."""
        return CommitAnswers(dict(self.asked), [])


def delivering() -> tuple[float, float, float]:
    """From a prepared message to its committed offset, without scoring: ledger, budget, batcher, sink, ledger, commit."""
    scorer, metrics, clock = NoopScorer(), Metrics(), SystemClock()
    items = prepare(records(), codec(scorer), scorer)
    outcomes = enrich(items, codec(scorer), scorer, 1_764_000_000_000).outcomes

    def step() -> list[Batch]:
        ledger, source = Ledger(), ReadySource()
        budget = Budget(max_messages=10_000, max_bytes=1 << 27, max_tokens=1_000_000)
        batcher = Batcher(max_messages=MESSAGES, max_tokens=100_000, max_wait_s=0.0)
        delivery: Any = AtLeastOnce(ReadySink(), source, ledger, budget, metrics, clock, interval_s=0.0, limit_s=1.0)  # type: ignore[arg-type]
        ledger.assign({PARTITION: 0}, {PARTITION: None})
        assert ledger.epoch_of(PARTITION) == EPOCH
        ledger.deliver([(item.record.position, item.record.timestamp_ms) for item in items])
        budget.add(items)
        batcher.add(items, 0.0)
        batches = list(taken(batcher))
        delivery.publish(zip(items, outcomes, strict=True))
        delivery.settle(0)
        delivery.commit_when_due()
        delivery.take_standing()
        assert source.asked == {PARTITION: MESSAGES}
        assert budget.messages == 0
        return batches

    return counted(step)


def taken(batcher: Batcher) -> Iterator[Batch]:
    """All batches."""
    while (batch := batcher.take(1.0, flush=True)) is not None:
        yield batch


PATHS: Mapping[str, Callable[[], Sequence[float]]] = {
    "swift": lambda: scoring(Model.load("swift", device="cpu")),
    "noop": lambda: scoring(NoopScorer()),
    "delivery": delivering,
}


@pytest.mark.parametrize("path", PATHS)
def test_a_message_costs_no_more_work_than_it_did(path: str) -> None:
    """Calls and blocks stay below their ceilings, and the same work gives the same counts: twice of three times, for blocks of
    any thread are among them."""
    found, again, _ = zip(*map(sorted, zip(*(PATHS[path]() for _ in range(3)), strict=True)), strict=True)
    assert again == pytest.approx(found, rel=0.03), "the counts are not the same twice"
    for what, count, ceiling in zip(("Python calls", "C calls", "blocks"), found, CEILINGS[path], strict=True):
        assert 0 < count <= ceiling, f"{path}: {count:.2f} {what} a message, at most {ceiling}"
