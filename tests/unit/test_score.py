"""Lines in, events out."""

import io

import hypothesis.strategies as st
import orjson
from hypothesis import given

from tests.support.fakes import FakeScorer
from textstream import score
from textstream.score import Line, guess_format, line_codec, lines, printed, score_lines


class Pipe:
    """A stream that gives what it was given, piece by piece, as a pipe does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def read1(self, _: int) -> bytes:
        """The next piece; empty at the end."""
        return self._pieces.pop(0) if self._pieces else b""


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 7))
def test_lines_are_the_same_however_they_arrive(values: list[bytes], step: int) -> None:
    """Reading in pieces gives the lines that splitting the whole gives."""
    data = b"\n".join(values)
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    found = [line.value for batch in lines(Pipe(pieces)) for line in batch]
    expected = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    assert found == (expected[:-1] if expected[-1] == b"" and not data.endswith(b"\r") else expected)


def test_a_slow_pipe_is_answered_at_once() -> None:
    """A complete line is handed on before the next is there."""
    batches = lines(Pipe([b"one\n", b"two\nthr", b"ee"]))
    assert next(batches) == [Line(b"one")]
    assert next(batches) == [Line(b"two")]
    assert next(batches) == [Line(b"three")]


def test_a_line_that_is_too_long_is_not_held(monkeypatch) -> None:
    """An endless line gives one error in its place; the lines around it are scored."""
    monkeypatch.setattr(score, "MAX_LINE_BYTES", 10)
    stream = Pipe([b"a\n" + b"x" * 11, b"x" * 30, b"x\nb", b"\n", b"y" * 20])
    found = [line for batch in lines(stream) for line in batch]
    assert [line.value for line in found] == [b"a", b"", b"b", b""]
    assert [line.fault.reason if line.fault else None for line in found] == [None, "too_large", None, "too_large"]


def test_many_short_lines_come_in_small_batches() -> None:
    """A batch has a limit of lines too, so that blank lines by the thousand cost no memory."""
    batches = [len(batch) for batch in lines(Pipe([b"\n" * 2_500]))]
    assert batches == [1_000, 1_000, 500]


def test_one_line_out_for_each_line_in() -> None:
    """A line that cannot be scored gives an error object with its number, in its place."""
    scorer = FakeScorer()
    stream = io.BytesIO(b'{"text": "a"}\nbroken\n{"text": "b"}\n')
    codec = line_codec(scorer, "in.jsonl", "json", "/text")
    batches = score_lines(lines(stream), scorer, codec, "in.jsonl", lambda: 0)
    results = [orjson.loads(printed(outcome)) for batch in batches for outcome in batch]
    assert [result.get("text") for result in results] == ["a", None, "b"]
    assert results[1]["error"]["reason"] == "not_json"
    assert results[1]["error"]["line"] == 2
    assert [results[0]["id"], results[2]["id"]] == ["in.jsonl-0-0", "in.jsonl-0-2"]


def test_the_format_is_told_by_the_first_line() -> None:
    """JSON lines start with a brace; blank lines and a byte-order mark before it do not hide it."""
    assert guess_format([b"", b' {"text": 1}']) == "json"
    assert guess_format([b"The {room} was lovely", b"{"]) == "text"
    assert guess_format([b"", b" "]) == "text"
    assert next(lines(Pipe([b"\xef\xbb\xbf{}\n", b"\xef\xbb\xbf\n"]))) == [Line(b"{}")]
