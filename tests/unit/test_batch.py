"""Micro-batches and the in-flight budget."""

import hypothesis.strategies as st
from hypothesis import given

from tests.support.fakes import FakeTokens
from textstream.core.batch import GROWS_AFTER, Batch, Batcher, Budget
from textstream.core.process import Prepared
from textstream.core.record import Position, Record


def item(offset: int, tokens: int = 1, size: int = 10) -> Prepared:
    """A prepared record of that many tokens and bytes; 0 tokens stand for a tombstone."""
    return Prepared(Record(Position("t", 0, offset, 1), b"x" * size), "", FakeTokens("", tokens) if tokens else None)


@given(st.lists(st.integers(0, 50), max_size=80), st.integers(1, 20), st.integers(1, 60))
def test_batches_keep_order_and_limits(tokens: list[int], max_messages: int, max_tokens: int) -> None:
    """Every record comes out once, in order; a batch keeps both limits unless one record alone is above them."""
    batcher = Batcher(max_messages=max_messages, max_tokens=max_tokens, max_wait_s=1)
    for offset, count in enumerate(tokens):
        batcher.add([item(offset, count)], now=0)
    batches = []
    while (batch := batcher.take(0, flush=True)) is not None:
        batches.append(batch)
    assert [i.record.position.offset for b in batches for i in b.items] == list(range(len(tokens)))
    for batch in batches:
        assert batch.tokens == sum(i.tokens_count for i in batch.items)
        assert 1 <= len(batch.items) <= max_messages
        assert batch.tokens <= max_tokens or len([i for i in batch.items if i.tokens_count]) == 1 or len(batch.items) == 1
    assert len(batcher) == 0


def test_each_limit_closes_a_batch() -> None:
    """A batch closes by count, by tokens, by age or when told to, and says which."""
    batcher = Batcher(max_messages=3, max_tokens=10, max_wait_s=0.5)
    assert batcher.take(0, flush=True) is None
    batcher.add([item(0, 2)], now=1.0)
    assert batcher.take(1.49) is None
    assert batcher.take(1.5).closed_by == "age"
    for offset in range(3):
        batcher.add([item(offset)], now=2.0)
    assert batcher.take(2.0).closed_by == "messages"
    batcher.add([item(3, 9)], now=3.0)
    batcher.add([item(4, 1)], now=3.0)
    assert batcher.take(3.0).closed_by == "tokens"
    batcher.add([item(5)], now=4.0)
    assert batcher.take(4.0, flush=True).closed_by == "flush"


def test_an_idle_model_takes_what_there_is_once_it_has_rested() -> None:
    """Where the model has nothing to do, a message does not wait for others, once it has had as long a rest as it worked."""
    batcher = Batcher(max_messages=3, max_tokens=10, max_wait_s=0.5)
    batcher.add([item(0)], now=1.0)
    assert batcher.take(1.0, idle=False) is None
    assert batcher.take(1.0, idle=True).closed_by == "idle"
    batcher.worked(1.0, 1.2)
    batcher.add([item(1)], now=1.25)
    assert batcher.take(1.39, idle=True) is None
    assert batcher.take(1.4, idle=False) is None
    assert batcher.take(1.4, idle=True).closed_by == "idle"
    batcher.worked(1.4, 9.4)  # a slow model: what waits for its rest to end waits no longer than without it
    batcher.add([item(2)], now=9.4)
    assert batcher.take(9.9, idle=True).closed_by == "age"


def test_age_counts_from_the_oldest_left_behind() -> None:
    """After a batch closed by count, what is left waits no longer than the limit from then."""
    batcher = Batcher(max_messages=2, max_tokens=100, max_wait_s=1)
    for offset in range(3):
        batcher.add([item(offset)], now=0)
    assert len(batcher.take(0).items) == 2
    assert batcher.take(0.9) is None
    assert len(batcher.take(1).items) == 1


def test_the_budget_fills_and_empties_with_a_gap() -> None:
    """Any of the three limits fills it; room comes back only when all have fallen to three quarters."""
    for limits in ((4, 10_000, 10_000), (10_000, 40, 10_000), (10_000, 10_000, 4)):
        budget = Budget(max_messages=limits[0], max_bytes=limits[1], max_tokens=limits[2])
        items = [item(offset, tokens=1, size=10) for offset in range(4)]
        for one in items:
            assert not budget.full
            budget.add([one])
        assert budget.full
        assert budget.room == 0
        budget.remove([items[0]])
        assert not budget.full
        budget.add([items[0]])
        assert budget.full
        for one in items:
            budget.remove([one])
        assert (budget.messages, budget.bytes, budget.tokens, budget.full) == (0, 0, 0, False)


def test_the_budget_stays_full_above_three_quarters() -> None:
    """One acknowledgement does not let one record in."""
    budget = Budget(max_messages=100, max_bytes=10**9, max_tokens=10**9)
    items = [item(offset) for offset in range(100)]
    for one in items:
        budget.add([one])
    for one in items[:24]:
        budget.remove([one])
        assert budget.full
    budget.remove([items[24]])
    assert budget.room == 25


def test_the_token_limit_shrinks_where_memory_ran_out_and_grows_back_slowly() -> None:
    """After a batch that did not fit, batches hold half of its tokens; a second one of the old size changes nothing more; after
    many that fit, the limit is doubled, up to what was set."""
    batcher = Batcher(max_messages=100, max_tokens=1_000, max_wait_s=0)
    too_large = Batch([item(0, 800)], 800, "tokens")
    for _ in range(2):
        batcher.shrink(too_large)
        assert batcher.max_tokens == 400
    for offset in range(10):
        batcher.add([item(offset, 100)], now=0)
    assert [batcher.take(0).tokens for _ in range(3)] == [400, 400, 200]
    limits = []
    for _ in range(3):
        for _ in range(GROWS_AFTER):
            limits.append(batcher.max_tokens)
            batcher.fitted()
    assert limits == [400] * GROWS_AFTER + [800] * GROWS_AFTER + [1_000] * GROWS_AFTER
    batcher.shrink(Batch([item(0, 1)], 1, "age"))
    assert batcher.max_tokens == 1
