"""What the demo replays: the bundled sample keeps what it promises to a newcomer, and a user's own file is read or refused."""

import re
from collections import Counter
from pathlib import Path

import pytest

from textstream import samples
from textstream.core.codec import Codec, Route
from textstream.core.record import Position, Record
from textstream.demo.stream import MAX_MESSAGE_BYTES, load_stream
from textstream.errors import Misconfigured, Poison

HAN = re.compile(r"[\u4e00-\u9fff]")
OTHER_SCRIPT = re.compile(r"[\u3040-\u30ff\uac00-\ud7af\u0400-\u04ff]")


def decoded() -> tuple[list[str], Counter[str]]:
    """The texts that the worker would score, and the reasons of the dead letters."""
    digest = f"sha256:{'0' * 64}"
    codec = Codec(
        input_format="json",
        pointer="/text",
        keep_input=False,
        model={"name": "none", "version": "0", "digest": digest},
        routes={"reviews": Route()},
    )
    texts, reasons = list[str](), Counter[str]()
    for offset, value in enumerate(samples.values()):
        try:
            text = codec.decode(Record(Position("reviews", 0, offset, 1), value))
        except Poison as poison:
            reasons[poison.reason] += 1
        else:
            assert text is not None
            texts.append(text)
    return texts, reasons


def test_the_sample_has_about_300_messages_and_none_twice() -> None:
    """A demo of 20 s at 40/s sees each line two or three times, and no other repetition."""
    texts, reasons = decoded()
    assert 290 <= len(texts) + reasons.total() <= 320
    assert len(set(texts)) == len(texts)


def test_a_few_records_are_broken_in_every_way() -> None:
    """About eight dead letters a round, with every reason that a value can have."""
    _, reasons = decoded()
    assert set(reasons) == {"not_utf8", "not_json", "no_text", "text_not_string"}
    assert 6 <= reasons.total() <= 10


def test_the_sample_is_mostly_english_and_chinese() -> None:
    """Somewhat more English than Chinese, by script, and a few messages in other languages."""
    texts, _ = decoded()
    chinese = [text for text in texts if HAN.search(text) and not OTHER_SCRIPT.search(text)]
    assert 0.35 <= len(chinese) / len(texts) <= 0.47
    assert 3 <= sum(bool(OTHER_SCRIPT.search(text)) for text in texts) <= 15


@pytest.mark.parametrize(
    "pattern",
    [
        r"^$",  # empty
        r"^\s+$",  # only blanks
        r"^\w+$",  # one word
        r"^[\U0001f300-\U0001faff]+$",  # only emoji
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family, joined
        "[\U0001f1e6-\U0001f1ff]{2}",  # a flag
        "[\U0001f3fb-\U0001f3ff]",  # a skin tone
        r"^https://\S+$",  # only an address
        r"\S https://",  # an address in a text
        r"@\w+",  # a mention
        r"#\w+",  # a hashtag
        r"[a-z]\u0303",  # a combining mark
        r"[ａ-ｚ]{3}",  # full-width letters
        r"[體務這間們親質]",  # traditional characters
        r"[A-Z]{4,}",  # capitals
        r"[\u4e00-\u9fff] ?[a-z]{3,} ?[\u4e00-\u9fff]",  # English in Chinese
        r"\n",  # several lines
        r"(?s)^.{1400,}$",  # very long
    ],
)
def test_the_sample_shows_the_oddities_of_real_text(pattern: str) -> None:
    """Whatever a newcomer's own messages hold, the demo has shown something like it."""
    texts, _ = decoded()
    assert any(re.search(pattern, text) for text in texts)


def test_the_file_stays_readable() -> None:
    """Characters stand as themselves, not as escapes, except for the lone surrogate that has no other form."""
    escapes = [line for line in samples.values() if re.search(rb"\\u[0-9a-f]{4}", line)]
    assert len(escapes) == 1


@pytest.mark.parametrize(
    ("name", "content", "messages", "read_as"),
    [
        ("a.jsonl", b'{"text": "x"}\n\n[]\n', [b'{"text": "x"}', b"[]"], "json"),
        ("a.NDJSON", b"{}", [b"{}"], "json"),
        ("a.txt", b"\xef\xbb\xbfone\r\n  \r\n two \n\xff", [b"one", b"two", b"\xff"], "text"),
        ("noend", b"one", [b"one"], "text"),
    ],
)
def test_a_users_file_is_a_message_a_line(
    name: str, content: bytes, messages: list[bytes], read_as: str, tmp_path: Path
) -> None:
    """By its name a file is JSON lines or plain text; byte order mark, line ends and blank lines are no message."""
    (tmp_path / name).write_bytes(content)
    stream = load_stream(tmp_path / name, 40, 20)
    assert (stream.messages, stream.format, stream.name) == (messages, read_as, name)


def test_no_more_is_read_than_can_be_sent(tmp_path: Path) -> None:
    """A file of any size will do: 10 a second for 2 s needs 20 lines of it."""
    (tmp_path / "long.txt").write_text("line\n" * 1_000, encoding="utf-8")
    assert len(load_stream(tmp_path / "long.txt", 10, 2).messages) == 20


@pytest.mark.parametrize(
    ("name", "rate", "seconds", "says"),
    [
        ("missing.jsonl", 40, 20, r"missing.jsonl cannot be read \(No such file or directory\)"),
        (".", 40, 20, r"cannot be read \(Is a directory\)"),
        ("empty.txt", 40, 20, r"empty.txt has no message"),
        ("blank.txt", 40, 20, r"blank.txt has no message"),
        ("huge.txt", 40, 20, r"huge.txt, line 2: a message has at most"),
        ("good.txt", 0, 20, r"--rate 0: give"),
        ("good.txt", float("inf"), 20, r"--rate inf: give"),
        ("good.txt", 40, -1, r"--for -1: give"),
        ("good.txt", 40, float("nan"), r"--for nan: give"),
    ],
)
def test_what_cannot_be_replayed_is_one_clear_line(name: str, rate: float, seconds: float, says: str, tmp_path: Path) -> None:
    """The user's mistakes are `Misconfigured`, with the file or the flag and what to give instead."""
    (tmp_path / "good.txt").write_text("good\n", encoding="utf-8")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "blank.txt").write_text("\n  \n", encoding="utf-8")
    (tmp_path / "huge.txt").write_text("ok\n" + "x" * (MAX_MESSAGE_BYTES + 1), encoding="utf-8")
    with pytest.raises(Misconfigured, match=says) as refused:
        load_stream(tmp_path / name, rate, seconds)
    assert "\n" not in str(refused.value)
