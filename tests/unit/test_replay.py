"""What dead letters and replays say of their original, without a broker."""

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from tests.support.fakes import FakeScorer
from textstream.core.codec import Codec, Route
from textstream.core.process import enrich, prepare
from textstream.core.record import Outcome, Position, Record
from textstream.core.replay import UNKNOWN, read_dead_letter, replay_headers, replayed
from textstream.errors import Poison

NOW_MS = 1_764_000_000_000
ORIGINAL = Position("reviews", 3, 18734, 7)
READ_AT = Position("reviews.replay", 1, 5, 2)
CODEC = Codec(
    input_format="json",
    pointer="/text",
    keep_input=False,
    model=FakeScorer.info,
    routes={"reviews": Route(), "reviews.replay": Route()},
    replays={"reviews.replay": "reviews"},
)
THEIRS = (("a", b"1"), ("a", None), ("é", b"\xff"))


def dead_letter(value: bytes | None = b"{", reason: str = "not_json", replays: int = 0, **more: object) -> Record:
    """What stands in the dead-letter topic after this record failed."""
    outcome = CODEC.dead_letter(Record(ORIGINAL, value, **{"replays": replays} | more), Poison(reason, "decode", "why"), NOW_MS)
    headers = tuple(outcome.headers)
    return Record(Position("reviews.dead", 3, 1, 0), outcome.value, outcome.record.key, headers, outcome.timestamp_ms)


def replay(position: Position = READ_AT, value: bytes | None = b'{"text": "a"}', **headers: bytes | None) -> Record:
    """A record of the replay topic as it is read; headers given as `source=…` replace those of ours."""
    ours = {"source": b"reviews/3/18734", "replays": b"1", "timestamp": b"1763999999999"} | headers
    named = tuple((f"textstream.{name}", value) for name, value in ours.items() if value is not None)
    return Record(position, value, b"k", (*THEIRS, *named), NOW_MS)


def outcome_of(record: Record) -> Outcome:
    """What becomes of it."""
    scorer = FakeScorer()
    [outcome] = enrich(prepare([record], CODEC, scorer), CODEC, scorer, NOW_MS).outcomes
    return outcome


def test_a_dead_letter_tells_what_it_stands_for() -> None:
    """What `Codec.dead_letter` writes is read back: why, how often, and the producer's own record."""
    letter = read_dead_letter(dead_letter(key=b"k", headers=THEIRS, timestamp_ms=NOW_MS - 5, replays=2))
    assert (letter.reason, letter.stage, letter.message) == ("not_json", "decode", "why")
    assert (letter.attempts, letter.replays, letter.cut) == (1, 2, False)
    original = letter.original
    assert (original.position[:3], original.value, original.key) == (ORIGINAL[:3], b"{", b"k")
    assert (original.headers, original.timestamp_ms) == (THEIRS, NOW_MS - 5)


def test_a_time_that_was_replaced_comes_back() -> None:
    """Where the broker would not take the original's timestamp, the dead letter's header tells it, and it is that again."""
    record = dead_letter(timestamp_ms=NOW_MS + 10**9)
    assert record.timestamp_ms == NOW_MS
    assert read_dead_letter(record).original.timestamp_ms == NOW_MS + 10**9


@given(st.lists(st.tuples(st.text(max_size=40), st.none() | st.binary(max_size=20)), max_size=8))
def test_a_foreign_record_in_the_dead_letter_topic_is_read_too(headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever headers stand there, reading raises nothing; without a source it stands for no record."""
    letter = read_dead_letter(Record(READ_AT, b"x", headers=tuple(headers)))
    assert (letter.reason, letter.source) == (UNKNOWN, None)


@pytest.mark.parametrize("value", [b'{"text": "a"}', b"{", None])
def test_a_replay_has_the_outcome_of_its_original(value: bytes | None) -> None:
    """The event, the dead letter or the tombstone of a replay is that of the source position, but for the count of replays."""
    original = Record(ORIGINAL, value, b"k", THEIRS, NOW_MS - 5)
    again = Record(READ_AT, value, b"k", tuple(replay_headers(original, replays=1)), NOW_MS)
    first, second = outcome_of(original), outcome_of(again)
    assert second.record.position == READ_AT, "its offset is committed where it was read"
    assert (second.kind, second.value, second.timestamp_ms) == (first.kind, first.value, NOW_MS - 5)
    changed = {name: value for name, value in second.headers if (name, value) not in first.headers}
    assert changed == ({"textstream.replays": b"1"} if first.kind == "dead" else {})
    assert len(second.headers) == len(first.headers)


def test_an_ordinary_input_cannot_pass_for_a_replay() -> None:
    """The same headers on an input topic change nothing: the event is that of the position where the record stands."""
    outcome = outcome_of(replay(Position("reviews", 0, 9, 1)))
    assert orjson.loads(outcome.value or b"")["id"] == "reviews-0-9"
    assert dict(outcome.headers)["textstream.source"] == b"reviews/0/9"


@pytest.mark.parametrize(
    "headers",
    [
        {"source": None}, {"replays": None}, {"timestamp": None},
        {"source": b""}, {"source": b"reviews/3"}, {"source": b"reviews/3/-1"}, {"source": b"reviews/3/1\n"},
        {"source": b"reviews/4294967296/1"}, {"source": b"reviews/1/9999999999999999999"}, {"source": b"\xff/1/1"},
        {"source": b"other/3/18734"}, {"source": b"reviews.replay/3/18734"}, {"source": "reviews/٣/1".encode()},
        {"replays": b"-1"}, {"replays": b"1" * 30}, {"replays": b""}, {"timestamp": b"now"},
    ],
)  # fmt: skip
def test_a_replay_that_does_not_say_of_what_is_a_dead_letter(headers: dict[str, bytes | None]) -> None:
    """Without well-formed headers of ours it is refused, with a reason of its own and the place where it stands."""
    outcome = outcome_of(replay(**headers))
    assert (outcome.kind, outcome.reason) == ("dead", "bad_replay")
    assert dict(outcome.headers)["textstream.source"] == b"reviews.replay/1/5"
    assert dict(outcome.headers)["__connect.errors.topic"] == b"reviews.replay"
    assert dict(outcome.headers)["textstream.replays"] == b"0"


def test_a_header_that_stands_twice_is_not_believed() -> None:
    """Which of two sources is meant cannot be told."""
    record = replay()
    record.headers += (("textstream.source", b"reviews/3/1"),)
    assert outcome_of(record).reason == "bad_replay"


def test_a_replay_that_cannot_be_read_whole_keeps_its_own_fault() -> None:
    """A header key that is not UTF-8 hides ours too: the reason stays `bad_headers`."""
    record = Record(READ_AT, b"{}", fault=Poison("bad_headers", "decode", "x"))
    assert replayed(record, "reviews") is record
    assert outcome_of(record).reason == "bad_headers"
