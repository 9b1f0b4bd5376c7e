"""The input and output contracts, without a broker."""

import contextlib

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeScorer
from textstream.analysis import encoded
from textstream.bench.noop import analysis
from textstream.core.codec import Codec, Route, TopicLimits, wire_size
from textstream.core.record import Position, Record
from textstream.errors import Poison
from textstream.event import enriched_event, json_schema, rfc3339

NOW_MS = 1_764_000_000_000
TOPIC = "reviews"


def codec(input_format: str = "json", pointer: str = "/text", keep_input: bool = False, route: Route | None = None) -> Codec:
    """A codec with the defaults of the settings."""
    routes = {TOPIC: route or Route()}
    return Codec(input_format=input_format, pointer=pointer, keep_input=keep_input, model=FakeScorer.info, routes=routes)


def record(value: bytes | None = b"{}", **more: object) -> Record:
    """A record as the broker keeps it."""
    return Record(Position(TOPIC, 3, 18734, 1), value, **more)


@pytest.mark.parametrize(
    ("value", "pointer", "text"),
    [
        (b'{"text": "a"}', "/text", "a"),
        (b'{"a": {"b": ["x", "y"]}}', "/a/b/1", "y"),
        (b'{"a/b": {"~c": "z"}}', "/a~1b/~0c", "z"),
        (b'{"": "empty key"}', "/", "empty key"),
        (b'"whole"', "", "whole"),
        (b'{"-1": {"01": "not arrays"}}', "/-1/01", "not arrays"),
        (b'{"text": "\\u0000 \\ud83d\\ude00"}', "/text", "\0 😀"),
        (b'{"text": ""}', "/text", ""),
    ],
)
def test_the_pointer_finds_the_text(value: bytes, pointer: str, text: str) -> None:
    """A JSON pointer (RFC 6901) reaches into objects and arrays, with its escapes."""
    assert codec(pointer=pointer).decode(record(value)) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff", "not_utf8"),
        (b'{"text": "\xff"}', "not_utf8"),
        (b"", "not_json"),
        (b'{"text": "a"', "not_json"),
        (b'{"text": "\\ud800"}', "not_json"),
        (b"[" * 5_000, "not_json"),
        (b"{}", "no_text"),
        (b"[1]", "no_text"),
        (b"7", "no_text"),
        (b'{"text": null}', "text_not_string"),
        (b'{"text": 1.5}', "text_not_string"),
        (b'{"text": ["a"]}', "text_not_string"),
    ],
)
def test_each_bad_value_has_its_reason(value: bytes, reason: str) -> None:
    """What cannot be decoded is poison with a stable code and a message for the sender."""
    with pytest.raises(Poison) as raised:
        codec().decode(record(value))
    assert raised.value.reason == reason
    assert str(raised.value)


@given(st.binary(max_size=60))
def test_decoding_raises_poison_and_nothing_else(value: bytes) -> None:
    """Any bytes give text or poison, in both formats."""
    for one in (codec(), codec("text")):
        with contextlib.suppress(Poison):
            assert isinstance(one.decode(record(value)), str)


def test_plain_text_and_tombstones() -> None:
    """With `format = text` the value is the text; a null value is a tombstone, an empty one is empty text."""
    assert codec("text").decode(record("héllo 你好".encode())) == "héllo 你好"
    assert codec("text").decode(record(b"")) == ""
    assert codec("text").decode(record(None)) is None


def test_the_event_is_what_the_schema_says() -> None:
    """An encoded event validates against the published schema and carries the source."""
    outcome = codec().encode(record(timestamp_ms=NOW_MS - 33), "hi", encoded(analysis()), NOW_MS)
    event = orjson.loads(outcome.value)
    jsonschema.validate(event, json_schema())
    assert event["id"] == "reviews-3-18734"
    assert event["source"] == {
        "topic": "reviews", "partition": 3, "offset": 18734, "timestamp": "2025-11-24T15:59:59.967Z",
    }  # fmt: skip
    assert event["processed_at"] == "2025-11-24T16:00:00.000Z"
    assert outcome.label == "neutral"


@pytest.mark.parametrize("keep_input", [False, True])
@pytest.mark.parametrize("timestamp_ms", [-1, 0, NOW_MS - 33])
@pytest.mark.parametrize("text", ["hi", 'a "quote"\n\\\x00 你好 👍'])
@pytest.mark.parametrize("named", [False, True])
def test_an_event_joined_of_bytes_is_the_event(text: str, timestamp_ms: int, keep_input: bool, named: bool) -> None:
    """What is joined reads as what `enriched_event` puts together: any text, topic and time, cut short, of a cascade."""
    said = {**analysis(), "truncated": True, "scored_until": 1}
    if named:
        said["model"] = {**FakeScorer.info, "name": "other"}
    one = Codec(
        input_format="json", pointer="/t", keep_input=keep_input, model=FakeScorer.info, routes={'t"文': Route()}
    )  # fmt: skip
    given_record = Record(Position('t"文', 3, 2**62, 1), b'{"t": 1.50}', timestamp_ms=timestamp_ms)
    source = {"topic": 't"文', "partition": 3, "offset": 2**62, "timestamp": rfc3339(timestamp_ms)}
    expected = enriched_event(text, said, model=FakeScorer.info, source=source, processed_at=rfc3339(NOW_MS))
    value = one.encode(given_record, text, encoded(said), NOW_MS).value
    assert orjson.loads(value) == expected | ({"input": {"t": 1.5}} if keep_input else {})


def test_a_clock_beyond_what_rfc_3339_can_name_is_refused() -> None:
    """An event without the time of its making would break the schema."""
    with pytest.raises(AssertionError, match="beyond the year 9999"):
        codec().encode(record(), "a", encoded(analysis()), 2**48)


def test_kept_input_is_byte_for_byte() -> None:
    """`keep_input` nests the original bytes: digits and duplicate keys stay."""
    value = b'{"text": "a", "n": 1.00000000000000000001, "k": 1, "k": 2}'
    outcome = codec(keep_input=True).encode(record(value), "a", encoded(analysis()), NOW_MS)
    assert b'"input":' + value in outcome.value
    assert b'"input"' not in codec().encode(record(value), "a", encoded(analysis()), NOW_MS).value


def test_headers_pass_through_and_ours_are_replaced() -> None:
    """The producer's headers stay in order, duplicates and nulls too; those with our names are replaced, not appended to."""
    theirs = (("a", b"1"), ("a", None), ("é", b"\xff"))
    forged = (("textstream.id", b"forged"), ("traceparent", b"x"), ("textstream.reason", b"y"), ("tracestate", b"z"))
    outcome = codec().encode(record(headers=theirs + forged), "a", encoded(analysis()), NOW_MS)
    assert tuple(outcome.headers[:3]) == theirs
    ours = dict(outcome.headers[3:])
    assert ours == {
        "textstream.id": b"reviews-3-18734",
        "textstream.source": b"reviews/3/18734",
        "textstream.model": b"fake/1.0.0@sha256:" + b"0" * 64,
        "textstream.label": b"neutral",
        "textstream.schema": b"1",
        "textstream.timestamp": b"-1",
    }


@pytest.mark.parametrize("timestamp_ms", [0, -1, NOW_MS + 3_600_001, 2**62])
def test_a_timestamp_that_cannot_stand_is_replaced(timestamp_ms: int) -> None:
    """Absent, 0 and far in the future: the outcome gets the time of publishing and keeps the original in a header."""
    outcome = codec().encode(record(timestamp_ms=timestamp_ms), "a", encoded(analysis()), NOW_MS)
    assert outcome.timestamp_ms == NOW_MS
    assert dict(outcome.headers)["textstream.timestamp"] == str(timestamp_ms).encode()


def test_a_timestamp_that_the_broker_takes_stays() -> None:
    """The producer's timestamp passes through up to the topic's own limits, less a minute for the clocks' difference."""
    limits = TopicLimits(timestamp_before_max_ms=600_000, timestamp_after_max_ms=1_000)
    one = codec(route=Route(enriched=limits))
    for timestamp_ms, kept in (
        (NOW_MS - 540_000, True), (NOW_MS - 540_001, False), (NOW_MS + 500, True), (NOW_MS + 501, False), (1, False),
    ):  # fmt: skip
        outcome = one.encode(record(timestamp_ms=timestamp_ms), "a", encoded(analysis()), NOW_MS)
        assert (outcome.timestamp_ms == timestamp_ms) == kept
        assert ("textstream.timestamp" in dict(outcome.headers)) != kept


@pytest.mark.parametrize("index", ["-1", "+1", "01", "1_0", "2", "x", "99999999999999999999"])
def test_an_array_index_is_what_rfc_6901_allows(index: str) -> None:
    """A sign, a leading zero or a place beyond the end is no index."""
    with pytest.raises(Poison, match="nothing at"):
        codec(pointer=f"/{index}").decode(record(b'["a", "b"]'))


def test_a_tombstone_that_its_topic_refuses_is_poison() -> None:
    """A null value under a key as large as the topic takes cannot be forwarded with our headers."""
    with pytest.raises(Poison) as raised:
        codec().tombstone(record(None, key=b"k" * 1_048_300), NOW_MS)
    assert raised.value.reason == "too_large"


def test_only_names_that_are_ours_are_replaced() -> None:
    """A producer's header that merely begins like ours stays; Connect's error headers stay on an enriched event."""
    theirs = (("traceparent2", b"1"), ("textstreams", b"2"), ("__connect.errors.topic", b"3"))
    outcome = codec().encode(record(headers=theirs, timestamp_ms=NOW_MS), "a", encoded(analysis()), NOW_MS)
    assert tuple(outcome.headers[:3]) == theirs
    dead = codec().dead_letter(record(headers=theirs), Poison("not_json", "decode", "x"), NOW_MS)
    assert [value for name, value in dead.headers if name == "__connect.errors.topic"] == [b"reviews"]


def test_a_dead_letter_says_what_was_wrong() -> None:
    """A dead letter is the original record with Kafka Connect's error headers and ours."""
    original = record(b"\xff", key=b"\x00k", headers=(("a", b"1"),), timestamp_ms=NOW_MS - 5)
    poison = Poison("not_utf8", "decode", "the value is not UTF-8")
    outcome = codec().dead_letter(original, poison, NOW_MS)
    assert (outcome.value, outcome.record.key, outcome.timestamp_ms) == (b"\xff", b"\x00k", NOW_MS - 5)
    headers = dict(outcome.headers)
    assert headers["a"] == b"1"
    assert headers["__connect.errors.topic"] == b"reviews"
    assert headers["__connect.errors.partition"] == b"3"
    assert headers["__connect.errors.offset"] == b"18734"
    assert headers["__connect.errors.stage"] == b"decode"
    assert headers["__connect.errors.exception.class.name"] == b"textstream.errors.Poison"
    assert headers["__connect.errors.exception.message"] == b"the value is not UTF-8"
    assert headers["textstream.reason"] == b"not_utf8"
    assert headers["textstream.attempts"] == b"1"
    assert headers["textstream.replays"] == b"0"
    assert headers["textstream.label"] == b"none"


@pytest.mark.parametrize(
    ("value", "headers", "key", "cut"),
    [
        (b"v" * 9_000, (), b"k", b"value"),
        (b"v", (("h", b"h" * 9_000),), b"k", b"value,headers"),
        (b"v", (("h", b"h"),), b"k" * 9_000, b"value,headers,key"),
    ],
)
def test_a_dead_letter_is_cut_to_what_the_broker_takes(value: bytes, headers: tuple, key: bytes, cut: bytes) -> None:
    """Too large for its topic, it is cut as little as needed, says so, and keeps its source position."""
    limit = 4_000
    one = codec(route=Route(dead=TopicLimits(max_message_bytes=limit)))
    outcome = one.dead_letter(record(value, headers=headers, key=key), Poison("too_large", "encode", "x"), NOW_MS)
    assert wire_size(outcome.value, outcome.record.key, outcome.headers) <= limit
    found = dict(outcome.headers)
    assert found["textstream.truncated"] == cut
    assert found["textstream.source"] == b"reviews/3/18734"
    assert value.startswith(outcome.value)
    assert outcome.record.key == (None if b"key" in cut else key)


def test_times_beyond_rfc_3339_are_null() -> None:
    """A timestamp that has no RFC 3339 form is null, never a wrong date."""
    assert rfc3339(-1) is None
    assert rfc3339(2**62) is None
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"
