"""What the demo replays: the bundled sample or the user's file, one message a line."""

import codecs
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from textstream import samples
from textstream.errors import Misconfigured
from textstream.observe.terminal import visible
from textstream.score import Format, guess_format

MAX_MESSAGE_BYTES = 900_000
"""A little below what a producer and a broker take without being told."""
MAX_RATE = 20_000.0
MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Messages to send, again and again, at `rate` a second for `seconds`."""

    name: str
    messages: Sequence[bytes]
    format: Format
    rate: float
    seconds: float

    @property
    def count(self) -> int:
        """How many that makes in all."""
        return _count(self.rate, self.seconds)


def _count(rate: float, seconds: float) -> int:
    return max(1, round(rate * seconds))


def load_stream(path: Path | None, rate: float, seconds: float) -> Stream:
    """The stream to replay. Raises `Misconfigured`."""
    if not 0 < rate <= MAX_RATE:
        raise Misconfigured(f"--rate {rate:g}: give messages a second, more than 0 and at most {MAX_RATE:g}")
    if not 0 < seconds <= MAX_SECONDS:
        raise Misconfigured(f"--for {seconds:g}: give seconds, more than 0 and at most {MAX_SECONDS:g}")
    if path is None:
        return Stream("the bundled sample", samples.values(), "json", rate, seconds)
    messages = _first_messages(path, _count(rate, seconds))
    return Stream(visible(path.name), messages, guess_format(messages), rate, seconds)


def _first_messages(path: Path, most: int) -> list[bytes]:
    """No more than can be sent, so that a file of any size will do."""
    try:
        with path.open("rb") as file:
            messages = list(itertools.islice(_messages(file, path), most))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read ({error.strerror}): name a file of JSON lines or plain text") from None
    if not messages:
        raise Misconfigured(f"{path} has no message: give one a line, plain text or JSON with the text under /text")
    return messages


def _messages(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Every line that is not blank."""
    lines = iter(lambda: file.readline(MAX_MESSAGE_BYTES + 1), b"")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_MESSAGE_BYTES:
            raise Misconfigured(f"{path}, line {number}: a message has at most {MAX_MESSAGE_BYTES} bytes; split or shorten it")
        if message := line.removeprefix(codecs.BOM_UTF8).strip():
            yield message
