"""Which offsets may be committed."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from textstream.core.offsets import Ledger, PartitionOffsets
from textstream.core.record import Position
from textstream.errors import Fatal


def assign(ledger: Ledger, offsets: dict[tuple[str, int], int]) -> None:
    """These partitions are read from what the group holds."""
    ledger.assign(offsets, offsets)


offsets_with_gaps = st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True).map(sorted)


@given(offsets_with_gaps, st.randoms(use_true_random=False))
def test_never_past_an_unsettled_record(offsets: list[int], random) -> None:
    """Whatever the gaps and the order of acknowledgements, what may be committed is one past the settled prefix."""
    partition = PartitionOffsets(epoch=1, start=0)
    for offset in offsets:
        partition.deliver(offset)
    settled: set[int] = set()
    for offset in random.sample(offsets, len(offsets)):
        partition.settle(offset)
        settled.add(offset)
        prefix = [o for i, o in enumerate(offsets) if settled.issuperset(offsets[: i + 1])]
        assert partition.next_offset == (prefix[-1] + 1 if prefix else 0)
        assert len(partition) == len(offsets) - len(prefix)
    assert partition.next_offset == offsets[-1] + 1


def test_a_record_is_settled_once() -> None:
    """Settling twice, or what was never delivered, is our bug and stops loudly."""
    partition = PartitionOffsets(epoch=1, start=0)
    partition.deliver(3)
    partition.deliver(5)
    partition.settle(5)
    with pytest.raises(AssertionError, match="twice"):
        partition.settle(5)
    with pytest.raises(AssertionError, match="not pending"):
        partition.settle(6)
    with pytest.raises(Fatal, match="recreated"):
        partition.deliver(5)


def test_what_an_older_assignment_left_is_ignored() -> None:
    """A result of an earlier epoch moves no offset of the present one."""
    ledger = Ledger()
    assign(ledger, {("t", 0): 0})
    old = Position("t", 0, 7, ledger.epoch_of(("t", 0)))
    ledger.deliver([(old, 0)])
    ledger.release([("t", 0)])
    assert not ledger.is_current(old)
    ledger.settle([old])
    assign(ledger, {("t", 0): 7})
    assert not ledger.is_current(old)
    ledger.settle([old])
    assert ledger.next_offset(("t", 0)) == 7
    assert ledger.take_commits() == {}


def test_an_offset_is_asked_for_once_unless_its_commit_failed() -> None:
    """A commit is requested when the offset moved, and again after it was refused."""
    ledger = Ledger()
    assign(ledger, {("t", 0): 0, ("t", 1): 0})
    position = Position("t", 1, 41, ledger.epoch_of(("t", 1)))
    ledger.deliver([(position, 0)])
    assert ledger.pending() == ledger.pending([("t", 1)]) == 1
    assert ledger.take_commits() == {}
    ledger.settle([position])
    assert ledger.take_commits() == {("t", 1): 42}
    assert ledger.take_commits() == {}
    ledger.refuse([("t", 1)])
    assert ledger.take_commits() == {("t", 1): 42}


def test_a_commit_counts_once_it_is_confirmed() -> None:
    """What was asked for is unconfirmed until the group holds it, and only of the partitions that are asked about."""
    ledger = Ledger()
    assign(ledger, {("t", 0): 7, ("t", 1): 7})
    for partition in (0, 1):
        position = Position("t", partition, 7, 1)
        ledger.deliver([(position, 0)])
        ledger.settle([position])
    ledger.take_commits()
    assert ledger.unconfirmed([("t", 1), ("t", 2)]) == {("t", 1): 8}
    ledger.confirm({("t", 0): 8, ("t", 1): 7, ("t", 2): 8})
    assert ledger.unconfirmed([("t", 0), ("t", 1)]) == {("t", 1): 8}
    ledger.release([("t", 1)])
    assert ledger.unconfirmed([("t", 0), ("t", 1)]) == {}


@given(st.none() | st.just(0), st.lists(st.sampled_from(["settle", "ask", "accept", "refuse", "hear"]), max_size=40))
def test_nothing_is_unconfirmed_only_when_the_group_holds_it(committed: int | None, steps: list[str]) -> None:
    """However commits are asked for, accepted, refused and answered: when nothing is unconfirmed, the group holds all that may
    be committed; and once all answers are heard, what is asked for next is exactly what is unconfirmed."""
    partition, ledger = ("t", 0), Ledger()
    ledger.assign({partition: 0}, {partition: committed})
    group = committed  # what the coordinator holds
    on_the_way: list[int] = []
    answers: list[tuple[int, bool]] = []  # the offset, whether it was accepted

    def hear() -> None:
        for offset, accepted in answers:
            if accepted:
                ledger.confirm({partition: offset})
            else:
                ledger.refuse([partition])
        answers.clear()

    for offset, step in enumerate(steps):
        if step == "settle":
            ledger.deliver([(Position(*partition, offset, 1), 0)])
            ledger.settle([Position(*partition, offset, 1)])
        elif step == "ask":
            on_the_way += ledger.take_commits().values()
        elif step == "hear":
            hear()
        elif on_the_way:
            asked = on_the_way.pop(0)
            answers.append((asked, step == "accept"))
            group = asked if step == "accept" else group
        if not ledger.unconfirmed([partition]):
            assert group == ledger.next_offset(partition)
    answers += [(offset, False) for offset in on_the_way]  # the group has moved on to a new generation
    hear()
    assert ledger.unconfirmed([partition]) == ledger.take_commits()


def test_lag_is_known_from_the_start() -> None:
    """A partition has a next offset before anything of it is settled: what the group holds, which is not committed again, or
    where reading begins, which is."""
    ledger = Ledger()
    ledger.assign({("t", 0): 12, ("t", 1): 5}, {("t", 0): 12, ("t", 1): None})
    assert (ledger.next_offset(("t", 0)), ledger.next_offset(("t", 1))) == (12, 5)
    assert ledger.next_offset(("t", 2)) is None
    assert ledger.take_commits() == {("t", 1): 5}


def test_at_the_end_of_a_partition_the_markers_behind_the_last_record_count() -> None:
    """Reaching the end moves what may be committed there, but only once everything before it is settled."""
    partition = PartitionOffsets(epoch=1, start=3, committed=3)
    partition.deliver(5)
    partition.reach_end(8)
    assert partition.next_offset == 3
    partition.settle(5)
    assert partition.next_offset == 8
    partition.deliver(8)
    assert partition.next_offset == 8
    partition.settle(8)
    assert partition.next_offset == 9
    partition.reach_end(11)
    assert partition.next_offset == 11


def test_records_that_are_gone_are_passed_over_once() -> None:
    """Reading goes on behind them, also where the broker tells of them twice; what came before is settled as ever."""
    ledger = Ledger()
    assign(ledger, {("t", 0): 3})
    ledger.deliver([(Position("t", 0, 3, 1), 0)])
    ledger.jump(("t", 0), 20)
    assert ledger.read_from(("t", 0)) == 20
    ledger.settle([Position("t", 0, 3, 1)])
    assert ledger.next_offset(("t", 0)) == 4
    ledger.deliver([(Position("t", 0, 20, 1), 0)])
    assert ledger.read_from(("t", 0)) == 21


def test_an_idle_partition_is_ours_too() -> None:
    """A partition with nothing pending is not taken for one that is not assigned."""
    ledger = Ledger()
    assign(ledger, {("t", 0): 0})
    assert ledger.epoch_of(("t", 0)) == 1
    assert ledger.epoch_of(("t", 1)) is None
    ledger.reach_end(Position("t", 0, 4, 1))
    assert ledger.take_commits() == {("t", 0): 4}


def test_a_rewind_begins_where_the_group_stands() -> None:
    """After an abort all that was delivered is stale and read again from what is confirmed, or from the start where nothing is;
    until the reader is told, what it hands out belongs to nobody."""
    ledger = Ledger()
    ledger.assign({("t", 0): 3, ("t", 1): 5}, {("t", 0): 3, ("t", 1): None})
    for offset in (3, 4):
        ledger.deliver([(Position("t", 0, offset, 1), 0)])
        ledger.settle([Position("t", 0, offset, 1)])
    ledger.deliver([(Position("t", 1, 6, 1), 0)])
    ledger.confirm({("t", 0): 4})
    ledger.rewind()
    assert not ledger.is_current(Position("t", 1, 6, 1))
    assert (ledger.epoch_of(("t", 0)), ledger.epoch_of(("t", 1))) == (None, None)
    assert ledger.unconfirmed(ledger.assigned) == {("t", 1): 5}
    assert ledger.take_rewinds() == {("t", 0): 4, ("t", 1): 5}
    assert ledger.take_rewinds() == {}
    assert (ledger.epoch_of(("t", 0)), ledger.read_from(("t", 0)), ledger.pending()) == (2, 4, 0)
    ledger.rewind()
    ledger.release([("t", 1)])
    assert ledger.take_rewinds() == {("t", 0): 4}
