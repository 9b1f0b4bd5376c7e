"""Each way in which a record can be bad, its defined outcome, and the good records beside it in the same batch.

All cases stand in one topic, each in a Kafka batch of its own between two good records; one worker serves them once.
"""

import json
import time
from dataclasses import dataclass

import pytest

from tests.contract.conftest import NewStream
from tests.support.kafka import Record
from tests.support.raw_produce import NO_TIMESTAMP, RawRecord, produce_batch
from tests.support.stream import Outcomes, Stream

BEFORE, AFTER = "The room was lovely but the staff were rude", "这家餐厅的服务很好，菜也很好吃"
SENT_AT = int(time.time() * 1000) - 60_000
FAR_FUTURE = SENT_AT + 10 * 365 * 24 * 3600 * 1000
MAX_INPUT_BYTES = 16 << 20
MAX_OUTPUT_BYTES = 1_048_588  # Apache Kafka's default
LARGEST = json.dumps({"text": "spam " * (2 << 20)}).encode()  # 10 MiB of text
ANY_KEY = bytes(range(256))

DEAD = {
    "not_utf8": b'{"text": "caf\xe9"}',
    "not_json": b'{"text": "the end is miss',
    "no_text": b'{"body": "the text stands elsewhere"}',
    "no_text in a list": b"[1, 2]",
    "no_text in a number": b"17",
    "text_not_string number": b'{"text": 42}',
    "text_not_string null": b'{"text": null}',
    "text_not_string object": b'{"text": {"en": "nested"}}',
    "not_json lone high surrogate": rb'{"text": "broken emoji \ud83d here"}',
    "not_json lone low surrogate": rb'{"text": "broken emoji \ude00 here"}',
    "not_json empty value": b"",
    "not_json too deep": b'{"text": ' + b"[" * 100_000,
}
"""Named by reason; the value alone makes it bad."""

HEADERS = ((b"a", b"1"), (b"a", b"2"), (b"", b""), (b"none", None), (b"bytes", b"\x00\xff"), ("名".encode(), b"x"))
OURS = (
    (b"keep", b"1"),
    (b"textstream.id", b"forged"),
    (b"textstream.reason", b"forged"),
    (b"textstream.invented", b"forged"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"tracestate", b"vendor=forged"),
)

CASES = {name: RawRecord(value, b"key", ((b"h", b"1"),), SENT_AT) for name, value in DEAD.items()} | {
    "empty text": RawRecord(b'{"text": ""}', b"key", (), SENT_AT),
    "blank text": RawRecord(b'{"text": " \\n\\t "}', b"key", (), SENT_AT),
    "nul bytes": RawRecord(rb'{"text": "great\u0000phone\u0000"}', b"key", (), SENT_AT),
    "null value": RawRecord(None, b"key", HEADERS, SENT_AT),
    "10 MiB": RawRecord(LARGEST, b"key", ((b"h", b"1"),), SENT_AT),
    "any key": RawRecord(b'{"text": "good"}', ANY_KEY, (), SENT_AT),
    "empty key": RawRecord(b'{"text": "good"}', b"", (), SENT_AT),
    "no key": RawRecord(b'{"text": "good"}', None, (), SENT_AT),
    "headers": RawRecord(b'{"text": "good"}', b"key", HEADERS, SENT_AT),
    "our headers": RawRecord(b'{"text": "good"}', b"key", OURS, SENT_AT),
    "our headers on a dead letter": RawRecord(b"{", b"key", OURS, SENT_AT),
    "bad headers": RawRecord(b'{"text": "good"}', ANY_KEY, ((b"ok", b"1"), (b"\xff\xfe", b"2")), SENT_AT),
    "bad headers and value": RawRecord(b"\xff", ANY_KEY, ((b"\xff", None),), SENT_AT),
    "time 0": RawRecord(b'{"text": "good"}', b"key", (), 0),
    "time absent": RawRecord(b'{"text": "good"}', b"key", (), NO_TIMESTAMP),
    "time far ahead": RawRecord(b'{"text": "good"}', b"key", (), FAR_FUTURE),
    "time far ahead of a dead letter": RawRecord(b"{", b"key", (), FAR_FUTURE),
}


@dataclass(frozen=True)
class Served:
    """The stream after the worker: where each case stood, and what came of it."""

    stream: Stream
    offsets: dict[str, int]
    outcomes: Outcomes

    def event(self, case: str) -> dict[str, object]:
        """The event of a case."""
        return self.outcomes.event(self.offsets[case])

    def record(self, case: str) -> Record:
        """The record that holds the event of a case."""
        return self.outcomes.enriched[0, self.offsets[case]]

    def dead_letter(self, case: str) -> Record:
        """The dead letter of a case."""
        return self.outcomes.dead_letter(self.offsets[case])


@pytest.fixture(scope="module")
def served(new_stream: NewStream) -> Served:
    """Every case produced to one topic and served by one worker."""
    stream = new_stream(max_message_bytes=str(MAX_INPUT_BYTES), message_timestamp_after_max_ms=str(2**63 - 1))
    offsets = {}
    for name, record in CASES.items():
        beside = [RawRecord(json.dumps({"text": t}).encode(), b"key", (), record.timestamp) for t in (BEFORE, AFTER)]
        batch = [beside[0], record, beside[1]]
        offsets[name] = produce_batch(stream.kafka.bootstrap_servers, stream.input, 0, batch) + 1
    return Served(stream, offsets, stream.run())


@pytest.mark.parametrize("case", CASES)
def test_the_good_records_beside_it_are_enriched(served: Served, case: str) -> None:
    """Whatever stands between them in one batch, the record before and the one after get their events."""
    before, after = (served.outcomes.event(served.offsets[case] + step) for step in (-1, 1))
    assert (before["text"], before["language"]["code"], before["sentiment"] is None) == (BEFORE, "en", False)
    assert (after["text"], after["language"]["code"], after["sentiment"] is None) == (AFTER, "zh", False)


def test_every_record_has_exactly_one_outcome(served: Served) -> None:
    """The independent reader finds nothing lost, doubled, disordered or altered, and all of it committed."""
    found = served.stream.audit()
    assert found.clean, found.examples
    assert found.inputs == 3 * len(CASES)


@pytest.mark.parametrize("case", DEAD)
def test_a_bad_value_becomes_a_dead_letter(served: Served, case: str) -> None:
    """The original stands in the dead-letter topic, untouched, with the reason and the place it came from."""
    letter, sent = served.dead_letter(case), CASES[case]
    assert (letter.key, letter.value, letter.timestamp) == (sent.key, sent.value, SENT_AT)
    assert letter.header("h") == b"1"
    assert letter.header("textstream.reason") == case.split(" ")[0].encode()
    assert not letter.has_header("textstream.truncated")
    assert_dead_letter_headers(letter, served.stream.input, served.offsets[case])


def assert_dead_letter_headers(letter: Record, topic: str, offset: int) -> None:
    """Every header that a dead letter promises, each once and in UTF-8."""
    assert letter.header("__connect.errors.topic") == topic.encode()
    assert letter.header("__connect.errors.partition") == b"0"
    assert letter.header("__connect.errors.offset") == str(offset).encode()
    for name in ("stage", "exception.class.name", "exception.message"):
        assert (letter.header(f"__connect.errors.{name}") or b"").decode()
    assert letter.header("textstream.attempts") == b"1"
    assert letter.header("textstream.replays") == b"0"
    assert letter.header("textstream.id") == f"{topic}-0-{offset}".encode()
    assert letter.header("textstream.label") is not None
    for name in ("source", "model"):
        assert letter.header(f"textstream.{name}")


@pytest.mark.parametrize("case", ["empty text", "blank text"])
def test_empty_text_is_an_event_with_nothing_in_it(served: Served, case: str) -> None:
    """Text without a letter is enriched: language und, no sentiment, no terms."""
    event = served.event(case)
    assert event["language"]["code"] == "und"  # type: ignore[index]
    assert (event["sentiment"], event["key_terms"], event["text"]) == (None, [], json.loads(CASES[case].value or b"")["text"])


def test_nul_bytes_are_text(served: Served) -> None:
    """NUL characters stand in the event as they stood in the input, and offsets count them."""
    event = served.event("nul bytes")
    assert event["text"] == "great\0phone\0"


def test_ten_megabytes_of_text_become_a_cut_dead_letter(served: Served) -> None:
    """An event that no topic takes is a dead letter, itself cut to what its topic takes, with the source position."""
    letter = served.dead_letter("10 MiB")
    assert letter.header("textstream.reason") == b"too_large"
    assert letter.header("textstream.truncated")
    assert letter.header("h") == b"1"
    assert letter.key == b"key"
    assert letter.value
    assert LARGEST.startswith(letter.value)
    assert MAX_OUTPUT_BYTES // 2 < len(letter.value) < MAX_OUTPUT_BYTES
    assert_dead_letter_headers(letter, served.stream.input, served.offsets["10 MiB"])


def test_a_null_value_is_forwarded(served: Served) -> None:
    """A tombstone arrives in the enriched topic as a tombstone, with its key, its headers and its time."""
    record = served.record("null value")
    assert (record.key, record.value, record.timestamp) == (b"key", None, SENT_AT)
    assert _foreign(record) == [(name.decode(), value) for name, value in HEADERS]
    assert record.header("textstream.label") is not None


@pytest.mark.parametrize("case", ["any key", "empty key", "no key"])
def test_any_key_passes_untouched(served: Served, case: str) -> None:
    """Keys are bytes: all 256 of them, none of them, or no key at all."""
    assert served.record(case).key == CASES[case].key


def test_headers_pass_untouched(served: Served) -> None:
    """The producer's headers keep their order, duplicates, empty names, null and binary values."""
    assert _foreign(served.record("headers")) == [(name.decode(), value) for name, value in HEADERS]


@pytest.mark.parametrize("case", ["our headers", "our headers on a dead letter"])
def test_headers_in_our_name_are_replaced(served: Served, case: str) -> None:
    """A producer cannot forge textstream's headers, and no trace context of an earlier hop is left beside ours."""
    position = (0, served.offsets[case])
    record = served.outcomes.enriched.get(position) or served.outcomes.dead[position]
    assert _foreign(record) == [("keep", b"1")]
    assert record.header("textstream.id") == f"{served.stream.input}-0-{served.offsets[case]}".encode()
    assert not record.has_header("textstream.invented")
    assert not [value for _, value in record.headers if value is not None and b"forged" in value]
    assert sum(name == "traceparent" for name, _ in record.headers) <= 1


@pytest.mark.parametrize("case", ["bad headers", "bad headers and value"])
def test_a_header_whose_name_is_not_utf8(served: Served, case: str) -> None:
    """The client cannot read such headers and crashes on a second try: the record is a dead letter with key and value."""
    letter = served.dead_letter(case)
    assert (letter.key, letter.value, letter.timestamp) == (ANY_KEY, CASES[case].value, SENT_AT)
    assert letter.header("textstream.reason") == b"bad_headers"
    assert_dead_letter_headers(letter, served.stream.input, served.offsets[case])


def test_the_time_passes(served: Served) -> None:
    """The producer's time is the output's time, and stands in the event."""
    record, event = served.record("headers"), served.event("headers")
    assert record.timestamp == SENT_AT
    assert not record.has_header("textstream.timestamp")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(SENT_AT // 1000)) + f".{SENT_AT % 1000:03d}Z"
    assert event["source"]["timestamp"] == stamp  # type: ignore[index]


@pytest.mark.parametrize(
    ("case", "original"),
    [("time 0", b"0"), ("time absent", b"-1"), ("time far ahead", b"%d" % FAR_FUTURE)],
    ids=["time 0", "time absent", "time far ahead"],
)
def test_a_time_that_cannot_stand(served: Served, case: str, original: bytes) -> None:
    """Time 0, no time and a time that the output's broker refuses become the time of publishing; the original is kept."""
    record = served.record(case)
    assert record.timestamp is not None
    assert SENT_AT < record.timestamp <= time.time() * 1000
    assert record.header("textstream.timestamp") == original
    if case == "time absent":
        assert served.event(case)["source"]["timestamp"] is None  # type: ignore[index]


def test_a_dead_letter_from_the_future(served: Served) -> None:
    """The same holds for a dead letter: its topic would refuse the time as well."""
    letter = served.dead_letter("time far ahead of a dead letter")
    assert letter.timestamp is not None
    assert letter.timestamp <= time.time() * 1000
    assert letter.header("textstream.timestamp") == b"%d" % FAR_FUTURE


def test_routing_headers_stand_on_events(served: Served) -> None:
    """A reader can route an event by its headers without parsing it."""
    record, event = served.record("headers"), served.event("headers")
    assert record.header("textstream.id") == str(event["id"]).encode()
    assert record.header("textstream.label") == event["sentiment"]["label"].encode()  # type: ignore[index]
    assert event["model"]["digest"].encode() in (record.header("textstream.model") or b"")  # type: ignore[index]
    assert record.header("textstream.schema") == b"1"
    assert served.stream.input.encode() in (record.header("textstream.source") or b"")


def _foreign(record: Record) -> list[tuple[str, bytes | None]]:
    ours = ("textstream.", "__connect.errors.", "traceparent", "tracestate")
    return [header for header in record.headers if not header[0].startswith(ours)]


def test_plain_text(new_stream: NewStream) -> None:
    """With `input.format = "text"` the whole value is the text, JSON or not; what is not UTF-8 is a dead letter."""
    stream = new_stream()
    values = [b"The staff were rude", b"caf\xe9", b'{"text": "good"}', "很好吃".encode(), b"", b"a\x00b", None]
    produce_batch(stream.kafka.bootstrap_servers, stream.input, 0, [RawRecord(value, b"k") for value in values])
    outcomes = stream.run(input__format="text")
    for offset in (0, 2, 3, 4, 5):
        assert outcomes.event(offset)["text"].encode() == values[offset]
    assert outcomes.event(4)["language"]["code"] == "und"
    assert outcomes.dead_letter(1).header("textstream.reason") == b"not_utf8"
    assert outcomes.dead_letter(1).value == values[1]
    assert outcomes.enriched[0, 6].value is None


def test_keep_input(new_stream: NewStream) -> None:
    """The original's bytes stand in the event as they were, digits and duplicate keys too; an event that grows too
    large by it is a dead letter that holds the whole original."""
    stream = new_stream()
    kept = b'{"a": 1.10, "a": 12345678901234567890123, "deep": {"it\'s/": ["x", {"say": "very good"}]},  "e": 1E+2}'
    large = json.dumps({"deep": {"it's/": [0, {"say": "spam " * 120_000}]}}).encode()
    produce_batch(stream.kafka.bootstrap_servers, stream.input, 0, [RawRecord(value, b"k") for value in (kept, large, kept)])
    outcomes = stream.run(output__keep_input=True, input__pointer="/deep/it's~1/1/say")
    for offset in (0, 2):
        assert outcomes.event(offset)["text"] == "very good"
        assert b'"input":' + kept in (outcomes.enriched[0, offset].value or b"")
    letter = outcomes.dead_letter(1)
    assert (letter.header("textstream.reason"), letter.value) == (b"too_large", large)
    assert not letter.has_header("textstream.truncated")
