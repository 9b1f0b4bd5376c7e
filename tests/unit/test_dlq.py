"""The filters of `textstream dlq`, without a broker."""

import pytest

from textstream.core.record import Position, Record
from textstream.core.replay import DeadLetter
from textstream.dlq.choice import Choice, OffsetRange, parse_choice, parse_range
from textstream.dlq.inspect import MAX_REASONS, OTHER, Counts, as_json, as_text
from textstream.errors import Misconfigured
from textstream.extent import milliseconds


def letter(reason: str = "not_json", timestamp_ms: int = 1_000, value: bytes | None = b"{", **more: bytes) -> DeadLetter:
    """One that stands in partition 0 of `t.dead`."""
    record = Record(Position("t.dead", 0, 7, 0), value, timestamp_ms=timestamp_ms, headers=tuple(more.items()))
    return DeadLetter(record, reason, "decode", "why", 1, 0, Position("t", 0, 3, 0), cut=False)


def choice(**more: object) -> Choice:
    """What the command line makes of these."""
    nothing: dict[str, object] = {"reasons": [], "from_time": None, "until_time": None, "partitions": [], "offsets": []}
    return parse_choice(**nothing | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (":", OffsetRange(None, None, 0, None)),
        ("5:", OffsetRange(None, None, 5, None)),
        (":9", OffsetRange(None, None, 0, 9)),
        ("3=5:9", OffsetRange(None, 3, 5, 9)),
        ("a.b-c_d/0=5:", OffsetRange("a.b-c_d", 0, 5, None)),
    ],
)
def test_a_range_of_offsets(value: str, expected: OffsetRange) -> None:
    """Of everything, of a partition, of a topic's partition; either end may be left out."""
    assert parse_range(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01.5Z", 1_500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:01", 60_000),
    ],
)
def test_a_time(value: str, expected: int) -> None:
    """ISO 8601, in UTC unless it says otherwise."""
    assert milliseconds("--from", value) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"offsets": ["5"]}, "--offset 5 is no range"),
        ({"offsets": ["-1:5"]}, "--offset -1:5 is no range"),
        ({"offsets": ["t/=1:2"]}, "--offset t/=1:2 is no range"),
        ({"offsets": ["٣:"]}, "is no range"),
        ({"from_time": "yesterday"}, "--from yesterday is no time"),
        ({"until_time": "12:00"}, "--until 12:00 is no time"),
        ({"partitions": ["x"]}, "--partition x"),
    ],
)
def test_a_mistyped_filter(given: dict[str, object], message: str) -> None:
    """One line names the flag and how to write it."""
    with pytest.raises(Misconfigured, match=message):
        choice(**given)


def test_what_is_not_said_is_not_filtered() -> None:
    """Without filters every dead letter is taken, a foreign record without a time too."""
    assert choice().takes(letter(timestamp_ms=-1))
    assert choice().range_of("t.dead", 0, 3, 8) == (3, 8)


def test_all_filters_must_hold() -> None:
    """Reasons add up, `--from` is included and `--until` is not."""
    chosen = choice(reasons=["a, b", "c"], from_time="1970-01-01T00:00:01Z", until_time="1970-01-01T00:00:02Z")
    for reason, timestamp_ms, taken in (
        ("a", 1_000, True), ("b", 1_999, True), ("c", 1_500, True), ("d", 1_500, False), ("a", 999, False), ("a", 2_000, False),
    ):  # fmt: skip
        assert chosen.takes(letter(reason, timestamp_ms)) is taken


def test_the_offsets_to_read() -> None:
    """Ranges narrow what the broker holds and never widen it; a partition that was not asked for has nothing to read."""
    chosen = choice(partitions=["0,1"], offsets=["2:", "1=4:6", "other.dead/0=90:"])
    assert chosen.range_of("t.dead", 0, 0, 10) == (2, 10)
    assert chosen.range_of("t.dead", 1, 0, 10) == (4, 6)
    assert chosen.range_of("t.dead", 1, 5, 10) == (5, 6)
    assert chosen.range_of("t.dead", 1, 8, 10) == (8, 8)
    assert chosen.range_of("t.dead", 2, 0, 10) == (0, 0)


def test_counting_is_bounded() -> None:
    """However many reasons stand in the topic, the table stays small and the sum right."""
    counts = Counts(by_partition=False)
    for number in range(2 * MAX_REASONS):
        counts.add(letter(f"r{number}"))
    assert len(counts.rows()) == MAX_REASONS + 1
    assert counts.total == 2 * MAX_REASONS
    assert ("t.dead", None, OTHER, MAX_REASONS) in counts.rows()


def test_nothing_shown_can_steer_a_terminal() -> None:
    """Escapes, line ends and marks of direction come out as text, wherever they stand; bytes that are not UTF-8 too."""
    shown = as_text(letter(value=b"\x1b]0;x\x07\r\n\xc2\x9b\xe2\x80\xae\xff", **{"a\x1b": b"\x1b"}))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert len(shown.splitlines()) == 7
    assert b"\\\\xff" in as_json(letter(value=b"\xff"))
    assert "value     null" in as_text(letter(value=None))
