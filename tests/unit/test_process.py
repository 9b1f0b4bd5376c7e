"""The path of a message: one outcome for each record, in its place."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from tests.support.fakes import FakeScorer, FakeTokens
from tests.support.ways import both_ways
from textstream.analysis import EncodedAnalysis, encoded
from textstream.bench.noop import analysis
from textstream.core.codec import Codec, Route, TopicLimits
from textstream.core.process import PROBE, Scorer, enrich, prepare
from textstream.core.record import Outcome, Position, Record
from textstream.errors import Fatal, Misconfigured, OutOfMemory
from textstream.model.remembering import Remembering

NOW_MS = 1_764_000_000_000
pytestmark = both_ways


def codec(**overrides: object) -> Codec:
    """A codec for JSON input on topic `t`."""
    settings = {"input_format": "json", "pointer": "/text", "keep_input": False, "model": FakeScorer.info}
    return Codec(**settings | {"routes": {"t": Route()}} | overrides)


def records(*values: bytes | None) -> list[Record]:
    """Records of one partition, in order."""
    return [Record(Position("t", 0, offset, 1), value) for offset, value in enumerate(values)]


def run(values: list[bytes | None], scorer: Scorer, **overrides: object) -> list[Outcome]:
    """The whole path."""
    one = codec(**overrides)
    return enrich(prepare(records(*values), one, scorer), one, scorer, NOW_MS).outcomes


def text(words: str) -> bytes:
    """A JSON value with this text."""
    return orjson.dumps({"text": words})


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40), st.text(max_size=20).map(text)), max_size=30))
def test_every_record_has_one_outcome_in_its_place(values: list[bytes | None]) -> None:
    """Whatever bytes come in, each record has exactly one outcome, in order, with its own id."""
    outcomes = run(values, FakeScorer())
    assert [o.record.position.offset for o in outcomes] == list(range(len(values)))
    assert [dict(o.headers)["textstream.id"] for o in outcomes] == [f"t-0-{n}".encode() for n in range(len(values))]
    for value, outcome in zip(values, outcomes, strict=True):
        assert (outcome.kind == "tombstone") == (value is None)
        assert (outcome.reason == "") == (outcome.kind != "dead")


def test_one_record_that_cannot_be_scored_among_32() -> None:
    """The bad record becomes a dead letter in its place; the 31 beside it are enriched."""
    values: list[bytes | None] = [text(f"good {n}") for n in range(32)]
    values[13] = text("bad")
    scorer = FakeScorer(fails_on=["bad"])
    outcomes = run(values, scorer)
    assert [o.kind for o in outcomes] == ["dead" if n == 13 else "enriched" for n in range(32)]
    headers = dict(outcomes[13].headers)
    assert headers["textstream.reason"] == b"scoring_failed"
    assert headers["textstream.attempts"] == b"6"  # with 32, 16, 8, 4, 2 and alone
    assert headers["__connect.errors.stage"] == b"infer"
    assert outcomes[13].value == values[13]


@pytest.mark.parametrize("words", [["a"], ["a", "b"]])
def test_a_broken_model_stops_the_worker(words: list[str]) -> None:
    """When no message can be scored, nor a text known to be good, nothing is dead-lettered for it."""
    with pytest.raises(Fatal, match="fails on a text that is known to be good"):
        run([text(word) for word in words], FakeScorer(fails_on=["a", "b", PROBE]))


def test_a_broken_model_stops_the_worker_beside_texts_that_need_no_model() -> None:
    """What is remembered of a text says nothing of the model: the others are not dead-lettered for it."""
    scorer = FakeScorer()
    remembering = Remembering(scorer, 10, frozenset({PROBE}))
    run([text("known"), text("known"), text("known")], remembering)
    scorer.fails_on |= {"new", PROBE}
    with pytest.raises(Fatal, match="fails on a text that is known to be good"):
        run([text("known"), text("new")], remembering)
    scorer.fails_on.remove(PROBE)
    assert [outcome.kind for outcome in run([text("known"), text("new")], remembering)] == ["enriched", "dead"]


@pytest.mark.parametrize("words", [["a"], ["a", "b"]])
def test_bad_texts_alone_in_their_batch_are_dead_letters(words: list[str]) -> None:
    """On a quiet topic the bad texts may be all there is: while the model scores a good text, they are at fault."""
    outcomes = run([text(word) for word in words], FakeScorer(fails_on=["a", "b"]))
    assert {(outcome.kind, outcome.reason) for outcome in outcomes} == {("dead", "scoring_failed")}


def test_an_error_that_names_who_must_act_is_not_the_records_fault() -> None:
    """A TextstreamError out of the model goes through as it is."""

    class Broken(FakeScorer):
        def analyse(self, batch: object) -> list:
            raise Misconfigured("the device is gone")

    with pytest.raises(Misconfigured, match="device is gone"):
        run([text("a")], Broken())


def test_a_batch_without_text_does_not_reach_the_model() -> None:
    """Tombstones and poison alone cost no model pass."""
    scorer = FakeScorer()
    assert [o.kind for o in run([None, b"\xff"], scorer)] == ["tombstone", "dead"]
    assert scorer.passes == []


def test_a_model_that_loses_a_message_is_our_bug() -> None:
    """An analysis too few is never paired with the wrong text."""

    class Short(FakeScorer):
        def analyse(self, batch: object) -> list:
            return [encoded(analysis())]

    with pytest.raises(AssertionError, match="2 texts went into infer, 1 came out"):
        run([text("a"), text("b")], Short())


def test_an_event_that_its_topic_refuses_becomes_a_dead_letter() -> None:
    """An event above the output topic's limit is a dead letter; the record beside it is enriched."""
    routes = {"t": Route(enriched=TopicLimits(max_message_bytes=2_000), dead=TopicLimits())}
    outcomes = run([text("x" * 3_000), text("short")], FakeScorer(), routes=routes)
    assert [(o.kind, o.reason) for o in outcomes] == [("dead", "too_large"), ("enriched", "")]


class Watched(Record):
    """A record that can be looked for without being held."""

    __slots__ = ("__weakref__",)


def test_bad_records_are_gone_when_their_outcomes_are() -> None:
    """Poison holds no frame that holds the record: without the cycle collector, nothing of a bad record is left."""
    one, scorer = codec(), FakeScorer(fails_on=["bad"])
    polled: list[Record] = [Watched(r.position, r.value) for r in records(b"\xff", b"{", text("bad"), text("good"))]
    alive = [weakref.ref(record) for record in polled]
    gc.disable()
    try:
        outcomes = enrich(prepare(polled, one, scorer), one, scorer, NOW_MS).outcomes
        polled.clear()
        assert [outcome.kind for outcome in outcomes] == ["dead", "dead", "dead", "enriched"]
        assert all(ref() for ref in alive)
        outcomes.clear()
        assert not any(ref() for ref in alive)
    finally:
        gc.enable()


@dataclass
class Activations:
    """What a model pass holds while it runs."""


class SmallMemory(FakeScorer):
    """Has memory for so many words at once; with `exhausted`, for none at all once it ran out."""

    def __init__(self, words: int, *, exhausted: bool = False) -> None:
        super().__init__()
        self.words = words
        self.exhausted = exhausted
        self.passes_alive: list[weakref.ref[Activations]] = []

    def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
        """Raises as a model does; what a failed pass held must be gone by the next."""
        assert not any(ref() for ref in self.passes_alive), "the memory of a failed pass is still held"
        if sum(tokens.count for tokens in batch) > self.words:
            activations = Activations()
            self.passes_alive.append(weakref.ref(activations))
            self.words = 0 if self.exhausted else self.words
            raise OutOfMemory("Failed to allocate memory for requested buffer of size 4000000000")
        return super().analyse(batch)


def test_a_batch_too_large_for_memory_is_scored_in_parts() -> None:
    """Where memory runs out no record is blamed: the batch is scored in halves, and halves of those, until they fit; a failed
    pass's memory is free before the next."""
    scorer = SmallMemory(5)
    assert {o.kind for o in run([text("word") for _ in range(32)], scorer)} == {"enriched"}
    assert scorer.passes == [4] * 8


def test_a_record_that_alone_needs_too_much_memory_is_a_dead_letter() -> None:
    """While a short text can be scored, the record that cannot is at fault; those beside it are enriched."""
    outcomes = run([text("a"), text("very " * 100), text("b")], SmallMemory(20))
    assert [(o.kind, o.reason) for o in outcomes] == [("enriched", ""), ("dead", "out_of_memory"), ("enriched", "")]
    assert b"Failed to allocate" in (dict(outcomes[1].headers)["__connect.errors.exception.message"] or b"")


def test_no_record_is_blamed_where_not_one_short_text_fits() -> None:
    """A process without memory stops, to be restarted, also where a part of the batch was scored before it ran out."""
    with pytest.raises(Fatal, match="no memory left for one short text"):
        run([text("a"), text("very " * 100)], SmallMemory(1, exhausted=True))


def test_pythons_own_memory_error_is_no_records_fault_either() -> None:
    """numpy and Python run out of memory with a MemoryError."""

    class Numpy(FakeScorer):
        def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
            if len(batch) > 1:
                raise MemoryError
            return super().analyse(batch)

    assert {o.kind for o in run([text("a"), text("b")], Numpy())} == {"enriched"}
