"""What a producer may write, from well-formed messages to noise, and the pipelines that read it.

hypothesis draws bytes, and they are read here as choices: a hundred times faster than a draw for each choice, and it
shrinks as well, for a byte of 0 is always the simplest choice.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import hypothesis.strategies as st

from tests.support.texts import SAMPLE
from textstream.core.codec import Codec, Route, TopicLimits
from textstream.core.record import Header, Position, Record
from textstream.errors import Poison
from textstream.event import ModelInfo

BATCH_BYTES = 6_000
"""Below what hypothesis draws at most (8 KiB); some 200 records."""
MOST_RECORDS = 200
INPUT, REPLAY = "t", "t.replay"
POINTERS = ("", "/text", "/a/0", "/~1~0", "/text/text")

TEXT = re.compile(rb'\{"text": ?"[^"\\\x00-\x1f]*"\}')
"""A line of the sample that is as it should be."""
FRAGMENTS = [
    *(json.loads(line)["text"] for line in SAMPLE.read_bytes().splitlines()[:60] if TEXT.fullmatch(line)),
    *(" ", "\n", "\t", "\u3000", "\x00", "\ufeff", "\ufffd", "\u200b", "\u2028", "\u202e", "\x1b[2J"),
    *(
        "👍",
        "👩‍👩‍👧‍👦",
        "🇨🇳",
        "🇩",
        "❤️",
        "é",
        "e\u0301",
        "\u0301" * 30,
        "각",
        "ᄀ" * 9,
        "नमस्ते",
        "مرحبا",
        "ﷺ",
        "İ",
        "ß",
        "ǆ",
        "㍿",
    ),
    *(
        "https://example.org/a?b=c#d",
        "@somebody",
        "#咖啡",
        "#Coffee",
        "not",
        "n't",
        "不",
        "，",
        "。",
        "...",
        "'",
        '"',
        "\\",
        "\\u0000",
    ),
    *("𠀀", "㐀", "體驗", "体验", "ＡＢＣ", "１２３", "²", "Ⅷ", "-1e309", "null", "NaN", "x" * 300, "字" * 300, "a b " * 200),
]
REPEATED = (1, 1, 1, 1, 1, 1, 2, 30)
"""How often a text is said; the longest is read in several windows."""
NAMES = [
    *("a", "", "é", "textstream.id", "textstream.source", "textstream.replays", "textstream.timestamp", "textstream.reason"),
    *("textstream.", "traceparent", "tracestate", "__connect.errors.topic", "__connect.errors.exception.message"),
]
CONTENTS = (b"", None, b"1", b"-1", b"t/3/7", b"9" * 19, b"\xff\xfe")
REPLAY_OF = (b"t/3/7", b"t/2147483647/9223372036854775807", b"t/2147483648/0", b"other/0/0", None)
REPLAYED = (b"1", b"999999999", b"x", None)
REPLAY_TIMES = (b"1763999999999", b"0", b"-1", b"9" * 19, b"x", None)
TIMES_MS = (1_764_000_000_000, 1_763_000_000_000, 0, -1, 1, 2**63 - 1, -(2**63))
KEYS = (None, b"", b"key", b"\xff\x00", b"k" * 1_400)
LEAVES = ("text", None, True, 0, -1.5, 10**30, float("nan"), float("inf"), "\ud800", "\udc00\ud800", "")
NAMED = ("text", "a", "/~", "", "\ud800")

Item = TypeVar("Item")


class Choices:
    """Bytes, read as choices; behind their end every choice is the simplest."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there are bytes to choose by."""
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        """A number from 0 on."""
        width = 1 if limit <= 256 else 3
        return int.from_bytes(self.take(width)) % limit

    def take(self, count: int) -> bytes:
        """The next bytes as they are."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def one(self, items: Sequence[Item]) -> Item:
        """One of them."""
        return items[self.below(len(items))]


@dataclass(frozen=True)
class Given:
    """A record, and the text that must be found in it where its maker knows."""

    record: Record
    text: str | None = None


@dataclass(frozen=True)
class Pipeline:
    """How records are read, and what the output topics take."""

    input_format: Any
    pointer: str
    keep_input: bool
    enriched: TopicLimits
    dead: TopicLimits

    def codec(self, model: ModelInfo) -> Codec:
        """Of one input topic and its replays."""
        route = Route(self.enriched, self.dead)
        return Codec(
            input_format=self.input_format,
            pointer=self.pointer,
            keep_input=self.keep_input,
            model=model,
            routes={INPUT: route, REPLAY: route},
            replays={REPLAY: INPUT},
        )


def limits(*sizes: int) -> st.SearchStrategy[TopicLimits]:
    """A topic that takes so many bytes, and times as Kafka does or hardly any."""
    return st.builds(
        TopicLimits, st.sampled_from(sizes), st.sampled_from([2**63 - 1, 86_400_000, 0]), st.sampled_from([3_600_000, 0])
    )


pipelines = st.builds(
    Pipeline,
    st.sampled_from(["json", "json", "text"]),
    st.sampled_from(["/text", "/text", "/text", "/text", "/text", *POINTERS]),
    st.booleans(),
    limits(1_048_588, 1_048_588, 1_048_588, 6_000, 1_500),
    limits(1_048_588, 1_048_588, 6_000),  # below that our own headers do not fit
)


def batches(pipeline: Pipeline) -> st.SearchStrategy[list[Given]]:
    """What is polled at once."""
    data = st.binary(min_size=BATCH_BYTES, max_size=BATCH_BYTES)
    return st.builds(lambda bytes_, count: batch(Choices(bytes_), pipeline, count), data, st.integers(1, MOST_RECORDS))


def batch(choices: Choices, pipeline: Pipeline, most: int) -> list[Given]:
    """At most so many, each in its place of the partition."""
    given: list[Given] = []
    while len(given) < most and (choices.left or not given):
        given.append(record(choices, pipeline, len(given)))
    return given


def record(choices: Choices, pipeline: Pipeline, offset: int) -> Given:
    """Any record that Kafka may hand out. Half of them have nothing but a value, as most have."""
    value, text = written(choices, pipeline)
    if choices.below(2) == 0:
        return Given(Record(Position(INPUT, 0, offset, 1), value), text)
    replay, unreadable = choices.below(4) == 3, choices.below(16) == 15
    fault = Poison("bad_headers", "decode", "a header's key is not UTF-8") if unreadable else None
    headers = [] if unreadable else headers_of(choices, replay=replay)
    position = Position(REPLAY if replay else INPUT, 0, offset, 1)
    made = Record(position, value, choices.one(KEYS), tuple(headers), choices.one(TIMES_MS), fault)
    return Given(made, None if replay or unreadable else text)


def headers_of(choices: Choices, *, replay: bool) -> list[Header]:
    """Some of the producer's, and on a replay topic those of a replay, or nearly."""
    headers = [(choices.one(NAMES), choices.one(CONTENTS)) for _ in range(choices.below(4))]
    if replay:
        told = {"source": choices.one(REPLAY_OF), "replays": choices.one(REPLAYED), "timestamp": choices.one(REPLAY_TIMES)}
        headers += [(f"textstream.{name}", content) for name, content in told.items()]
    return headers


def written(choices: Choices, pipeline: Pipeline) -> tuple[bytes | None, str | None]:
    """A record's value, and the text in it where it is known."""
    kind = choices.below(16)
    if kind < 8:
        text = said(choices)
        if pipeline.input_format == "text":
            return text.encode(), text
        known = pipeline.pointer == "/text"
        return json.dumps({"text": text}, ensure_ascii=choices.below(2) == 0).encode(), text if known else None
    if kind < 11:
        return json.dumps(document(choices)).encode(), None
    if kind < 13:
        return spoilt(choices), None
    if kind == 13:
        return choices.take(choices.below(40)), None
    return (nested(choices), None) if kind == 14 else (None, None)


def said(choices: Choices) -> str:
    """Of fragments, mostly, and of any characters."""
    parts = [chr(character(choices)) if choices.below(8) == 7 else choices.one(FRAGMENTS) for _ in range(choices.below(6))]
    return "".join(parts) * choices.one(REPEATED)


def character(choices: Choices) -> int:
    """Any code point but half a surrogate pair."""
    code = choices.below(0x110000)
    return code - 0xD800 if 0xD800 <= code < 0xE000 else code


def document(choices: Choices, depth: int = 0) -> object:
    """JSON of any form, and what Python writes that is none: NaN, infinity, lone surrogates."""
    kind = choices.below(4) if depth < 4 else 0
    if kind == 1:
        return [document(choices, depth + 1) for _ in range(choices.below(3))]
    if kind > 1:
        return {choices.one(NAMED): document(choices, depth + 1) for _ in range(choices.below(3))}
    return said(choices) if choices.below(3) == 1 else choices.one(LEAVES)


def nested(choices: Choices) -> bytes:
    """Deeper than a parser likes, closed or not."""
    opening, closing = choices.one([(b"[", b"]"), (b'{"text":', b"}"), (b'{"text":[', b"]}")])
    depth = choices.one([1, 3, 254, 1_023, 1_024, 3_000])
    return opening * depth + b'"a"' + (closing * depth if choices.below(2) == 0 else b"")


def spoilt(choices: Choices) -> bytes:
    """A good message of which one byte is another, or is gone, or of which the end is gone."""
    value = json.dumps({"text": said(choices)}, ensure_ascii=False).encode()
    at = choices.below(2**24) % len(value)
    kind = choices.below(4)
    return value[:at] + (b"" if kind == 3 else choices.take(kind) + value[at + 1 :])
