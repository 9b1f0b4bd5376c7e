"""The compiled part says what the Python says that it stands for, on any text, to the last bit."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import os
import subprocess
import sys
import zipfile
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.bundles import SHIPPED
from tests.support.ways import in_python
from textstream import _native
from textstream.analysis import EncodedAnalysis, encoded
from textstream.bench.noop import Counted, NoopScorer, analysis
from textstream.core.codec import Codec, Route, TopicLimits
from textstream.core.process import enrich, prepare
from textstream.core.record import Position, Record
from textstream.event import KINDS, Language, ModelInfo
from textstream.model import scorer, spans
from textstream.model.scorer import Scorer, Spans
from textstream.model.text import MAX_TOKEN_CHARS, PIECE, UNBROKEN, cut, kinds
from textstream.model.tokens import Tokeniser, Tokens
from textstream.quality import quality
from textstream.score import line_codec

ROOT = Path(__file__).parents[2]
SWIFT = Scorer.load(SHIPPED["swift"], device="cpu")
CODEC = line_codec(SWIFT, "t", "text", "")

SIGNS = (
    "aAhtpswnlevrmdDoOP01٣１@_-,，:：/。<3^=;[]()|\\*#?!~…！？～、\"'’`´ \t\r\n\xa0\u3000\x1c\x00²½ǅéÀ×ßяЖとカ안مرحn·好吃々〇"
)
JOINED = "\u0301\ufe0f\ufe00\u200d\u20e3👍🏽🇨🇳❤①\U0001f100\U00020000\U00031350\U000e0067\U000e0100\ud800\udc00\U0010ffff"
WORDS = [
    "http://",
    "https",
    "www.",
    "n't",
    " n ' t",
    "can’ t",
    " 's",
    "'ll",
    "@王:",
    "1️⃣",
    "👨‍👩‍👧",
    "9" * 21,
    "a" * 40,
    "room ",
    "服务很差",
    "THE ",
]
TEXTS = st.one_of(
    st.text(max_size=30), st.lists(st.one_of(st.sampled_from(SIGNS + JOINED), st.sampled_from(WORDS))).map("".join)
)
BATCHES = st.lists(TEXTS, min_size=1, max_size=6)


def cut_compiled(text: str) -> list[str]:
    surfaces: dict[str, int] = {}
    slots, counts = np.empty(len(text) + 1, np.int64), np.empty(1, np.int64)
    of_code = np.full(2**16, -1, np.int32)
    table, longest = np.frombuffer(kinds(), np.uint8), len(text) + 1
    found = _native.cut([text], longest, longest, MAX_TOKEN_CHARS, table, PIECE.match, surfaces, [], of_code, slots, counts)
    by_slot = {slot: surface for surface, slot in surfaces.items()}
    return [by_slot[slot] for slot in slots[:found].tolist()]


@settings(max_examples=2000)
@given(TEXTS)
@example("do n ' tx can't 't n't")
@example("=/ :o) 1\u20e3 #\ufe0f\u20e3 好\U000e0100")
@example("я\U00031350" + "a" * 41 + "n't")
def test_a_text_is_cut_where_the_pattern_cuts_it(text: str) -> None:
    assert cut_compiled(text) == cut(text.rstrip())


def test_every_character_is_cut_as_the_pattern_cuts_it() -> None:
    """Each one alone, between letters, twice, before a mark that joins, and behind white space."""
    for code in range(0x32400):
        text = "{0} a{0}b{0}{0} {0}\ufe0f7{0}".format(chr(code))
        assert cut_compiled(text) == cut(text.rstrip()), hex(code)


@settings(max_examples=300)
@given(BATCHES)
def test_tokens_are_those_of_python(texts: list[str]) -> None:
    """And the evidence of the language is summed in the same order: its probability has the same digits."""
    cutter: Tokeniser = SWIFT._tokeniser  # type: ignore[assignment]
    for one, other in zip(cutter(texts), in_python(lambda: cutter(texts)), strict=True):
        assert (one.text, one.language, one.truncated, one.unknown) == (
            other.text,
            other.language,
            other.truncated,
            other.unknown,
        )
        for name in ("features", "begins", "ends"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=150)
@given(BATCHES)
@example(["The room was lovely, THE ROOM! but the staff were rude \u0301👍🏽 " * 9, "服务很差，房间很好，服務好", ""])
@example(["the food was cold. " * 400, "x"])
def test_events_are_those_of_python(texts: list[str]) -> None:
    """Byte for byte: what is published does not tell which of the two ran."""
    encodable = [text.encode("utf-8", "replace") for text in texts]

    def outcomes() -> list[tuple[bytes | None, object]]:
        records = [Record(Position("t", 0, at, 0), value) for at, value in enumerate(encodable)]
        return [(one.value, one.headers) for one in enrich(prepare(records, CODEC, SWIFT), CODEC, SWIFT, 0).outcomes]

    assert outcomes() == in_python(outcomes)


@given(st.lists(st.integers(1, 700), min_size=1, max_size=12), st.sampled_from([1, 3, 31]), st.integers(0, 99))
def test_sums_have_the_same_last_bit(lengths: list[int], columns: int, seed: int) -> None:
    """However long a span is: numpy adds in pairs, and so must we."""
    ends = np.cumsum(lengths)
    values = np.random.default_rng(seed).normal(size=(ends[-1], columns)).astype(np.float32)
    found = spans.span_sums(values, ends - lengths, ends)
    assert found.tobytes() == in_python(lambda: spans.span_sums(values, ends - lengths, ends)).tobytes()


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.sampled_from([0.5, 3, 30]),
    st.sampled_from([spans.LEVELS, (-1.0,), (-2.0, 0.0, 1.0)]),
    st.sampled_from([0, 8]),
    st.integers(0, 99),
)
def test_evidence_has_the_same_last_bit(
    lengths: list[int], spread: float, levels: tuple[float, ...], decimals: int, seed: int
) -> None:
    """Of any logits, equal ones among them, at any levels, with spans of every length and at every border of a text."""
    first = np.zeros(sum(lengths), np.bool_)
    first[np.cumsum([0, *lengths[:-1]])] = True
    tags = np.random.default_rng(seed).normal(0, spread, (len(first), 3, 3)).round(decimals).astype(np.float32)
    found, expected = spans.candidates(tags, first, levels), in_python(lambda: spans.candidates(tags, first, levels))
    for name in ("channel", "begin", "end", "evidence"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


TERMS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4), st.integers(0, 2), st.integers(0, 10_000)), max_size=8)
PARTS = st.integers(0, 10_000).flatmap(lambda a: st.integers(0, 10_000 - a).map(lambda b: [a, b, 10_000 - a - b]))
ENCODABLE = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\\x00\x08\x0b\x1f\x7f aA#')), max_size=30)
LONG = ("good GOOD #good " * 900, [0, 0, 10_000], [(at, 1, 1, 9_999 - at) for at in range(0, 12, 2)], True)


@settings(max_examples=500)
@given(st.lists(st.tuples(ENCODABLE, PARTS, TERMS, st.booleans()), max_size=4), st.integers(0, 4))
@example([LONG, LONG], 3)
@example([('a"\\\n\x1fb', [5_000, 0, 5_000], [(0, 9, 0, 1)], False)], 1)
def test_an_analysis_is_the_json_that_orjson_writes(
    texts: list[tuple[str, list[int], list[tuple[int, int, int, int]], bool]], most: int
) -> None:
    """Byte for byte, whatever the terms hold: strings of any script, terms that come again, all numbers of four digits; and so
    is what is counted of it. Each character is a token here."""
    batch, rows, start = [], [], 0
    for number, (text, _, terms, cut_short) in enumerate(texts):
        size = max(1, len(text))
        places = np.arange(size, dtype=np.int32)
        language: Language = {"code": "en", "probability": size % 10_000 / 10_000, "supported": True}
        batch.append(Tokens(text or "x", np.zeros((size, 4), np.int32), places, places + 1, language, cut_short))
        for first, length, channel, parts in sorted(terms, key=lambda term: -term[3]):
            begin, end = min(first, size - 1), min(first + length, size)
            rows.append(
                (number, start + begin, start + max(end, begin + 1), begin, max(end, begin + 1), channel, parts / 10_000)
            )
        start += size
    kinds_of = (np.int64, np.int64, np.int64, np.int32, np.int32, np.int64, np.float64)
    found = Spans(*(np.array([row[at] for row in rows], kind) for at, kind in enumerate(kinds_of)))
    moods = np.array([mood for _, mood, _, _ in texts], np.int64).reshape(-1, 3)
    aspects = sum(row[5] == KINDS.index("aspect") for row in rows)
    towards = np.array([[at, 10_000 - 3 * at, 2 * at] for at in range(aspects)], np.int64).reshape(-1, 3)  # each another

    def written() -> list[EncodedAnalysis]:
        return scorer.written(batch, moods, found, towards, most)

    assert written() == in_python(written)


POSITIONS = st.builds(Position, st.sampled_from(["t", 'q"文']), st.integers(0, 3), st.integers(0, 2**63 - 1), st.just(1))
MOMENTS = st.one_of(st.integers(-1, 2**62), st.integers(0, 2**48), st.sampled_from([951_782_400_000, 253_402_300_799_999]))
RECORDS = st.builds(
    Record,
    POSITIONS,
    st.none() | st.binary(max_size=9),
    st.none() | st.binary(max_size=9),
    st.sampled_from([(), (("a", b"1"),), (("textstream.id", None),)]),
    MOMENTS,
    origin=st.none() | POSITIONS,
)
OTHER = ModelInfo(name="other", version="1.0.0", digest="sha256:" + "1" * 64)
SAYS = [
    encoded(analysis()),
    encoded(analysis())._replace(model=OTHER),
    encoded({**analysis(), "sentiment": None, "language": {"code": "und", "probability": 0.0, "supported": True}}),
    encoded({**analysis(), "truncated": True, "language": {"code": "fr", "probability": 0.5, "supported": False}}),
    EncodedAnalysis(b"", "zh", True, "positive", (0.01, 0.09, 0.9), False, (3, 0, 1)),
]


LIMITS = st.builds(
    TopicLimits,
    st.sampled_from([5_000, 4_700, 4_500]),
    st.sampled_from([1_000, 600_000, 2**63 - 1]),
    st.sampled_from([1_000, 3_600_000, 2**63 - 1]),
)
NOW = 1_764_000_000_000


@settings(max_examples=500)
@given(st.lists(st.tuples(RECORDS, ENCODABLE, st.sampled_from([*SAYS, None])), max_size=6), st.booleans(), LIMITS)
@example(
    [(Record(Position("t", 0, at, 1), b"", b"k" * at, timestamp_ms=NOW), "", SAYS[0]) for at in range(9)],
    True,
    TopicLimits(4_560),
)
@example(
    [(Record(Position("t", 0, 7, 1), b"", timestamp_ms=NOW - at), "a", SAYS[0]) for at in (500, 501)],
    False,
    TopicLimits(9_000, 1_000),
)
def test_an_outcome_is_the_one_that_python_makes(
    given: list[tuple[Record, str, EncodedAnalysis | None]], keep_input: bool, limits: TopicLimits
) -> None:
    """Event, headers, time and label of any record; and just those with something to decide are left to Python."""
    routes = {topic: Route(enriched=limits) for topic in ("t", 'q"文')}
    to = Codec(input_format="json", pointer="/t", keep_input=keep_input, model=SWIFT.info, routes=routes)
    columns = [list(column) for column in zip(*given, strict=True)] or [[], [], []]
    for found, (record, text, said) in zip(to.usual(*columns, NOW), given, strict=True):
        if said is None or said.model or record.headers or record.origin:
            assert found is None
            continue
        size = len(to._event(record, text, said.json, to._model_json, NOW)) + len(record.key or b"")
        assert found == (to.encode(record, text, said, NOW) if size < limits.room else None)


def test_a_time_is_the_one_that_python_writes() -> None:
    """Of days from 1970 to 9999, at their first and last millisecond."""
    for day in range(0, 2_932_896, 97):
        for ms in (day * 86_400_000 or 1, day * 86_400_000 + 86_399_999):
            record = Record(Position("t", 0, 0, 1), b"", timestamp_ms=ms)
            (found,) = CODEC.usual([record], [""], [SAYS[0]], ms)
            assert found == CODEC.encode(record, "", SAYS[0], ms)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.sampled_from(SAYS)), max_size=9))
def test_texts_are_counted_as_python_counts_them(texts: list[tuple[int, int, EncodedAnalysis]]) -> None:
    """Languages in the order in which they came, and each number in its bin, those on a border too."""
    pairs = [(Counted(max(count, unknown), unknown), said) for count, unknown, said in texts]
    found, expected = quality(pairs), in_python(lambda: quality(pairs))
    assert found.key_terms == expected.key_terms and list(found.languages) == list(expected.languages)
    for one, other in zip(found.languages.values(), expected.languages.values(), strict=True):
        assert one.confidence_sum == pytest.approx(other.confidence_sum, rel=1e-12)  # from Python 3.12 on `sum` compensates
        assert replace(one, confidence_sum=0) == replace(other, confidence_sum=0)


class Answer:
    """A delivery report, as far as it is looked at."""

    def __init__(self, latency: float | None) -> None:
        self._latency = latency

    def latency(self) -> float | None:
        """Seconds from when it was produced."""
        return self._latency


def test_an_acknowledgement_is_noted_as_python_notes_it() -> None:
    """What the broker took is a report; what it refused is handed to whom it concerns."""
    reports, refusals = deque[object](), list[object]()
    note = partial(_native.Noted, reports, lambda *answer: refusals.append(answer))
    note("item", "outcome")(None, Answer(0.25))
    note("other", "outcome")(None, Answer(None))
    refusal = Answer(None)
    note("third", "outcome")("error", refusal)
    assert list(reports) == [("item", "outcome", None, 0.25), ("other", "outcome", None, 0.0)]
    assert refusals == [("third", "outcome", "error", refusal)]


def test_what_computes_nothing_says_what_its_analysis_says() -> None:
    """The bench's scorer writes its analyses by hand, as a model does."""
    assert NoopScorer().analyse([Counted()]) == [encoded(analysis())]


def test_half_of_a_surrogate_pair_is_in_no_term() -> None:
    """No UTF-8 says it, so JSON could not; no message from Kafka holds one, but a text in Python may."""
    one = np.array([0], np.int64)
    ends = one.astype(np.int32) + 3
    found = Spans(one, one, one + 1, one.astype(np.int32), ends, one, np.array([0.5]))
    texts, mood, none = SWIFT.tokenise(["a\ud800b", "abc"]), np.array([[0, 0, 10_000]]), np.zeros((0, 3), np.int64)

    def terms() -> list[int]:
        return [sum(scorer.written([text], mood, found, none, 9)[0].kinds) for text in texts]

    assert terms() == in_python(terms) == [0, 1]


def test_a_cut_beside_what_stands_alone_splits_nothing() -> None:
    """The compiled part asks about graphemes only where one of the two characters may be part of a larger one."""
    alone = [chr(code) for code in range(0x10000) if spans.plain(chr(code))]
    assert UNBROKEN and len(alone) > 27_000
    for one in alone:
        assert not spans.splits_grapheme(f"a{one}好", 1) and not spans.splits_grapheme(f"a{one}好", 2)


def test_the_version_says_which_of_the_two_runs() -> None:
    told = subprocess.run([sys.executable, "-m", "textstream", "--version"], capture_output=True, text=True, check=True).stdout
    assert told.endswith("(compiled)\n")


@pytest.mark.parametrize(("compiler", "built"), [("cc", True), ("/nonexistent/cc", False)])
def test_a_wheel_is_built_with_and_without_a_compiler(tmp_path: Path, compiler: str, built: bool) -> None:
    """Without one it is pure Python, says so, and holds all the rest."""
    environment = {**os.environ, "CC": compiler}
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("textstream/_native.") and name.endswith((".so", ".pyd")) for name in names) == built
    assert wheel.name.endswith("py3-none-any.whl") != built
    assert ("runs without its compiled part" in done.stdout + done.stderr) != built
    assert {"textstream/native.py", "textstream/bundles/swift/model.onnx", "textstream/py.typed"} <= set(names)
