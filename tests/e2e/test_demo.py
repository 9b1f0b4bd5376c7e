"""The demo as a newcomer meets it: a process, with or without a terminal, ended by its time or by Ctrl-C."""

import codecs
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from textstream.kafka.embedded import PARTITIONS, EmbeddedBroker

DEMO = [sys.executable, "-m", "textstream", "demo"]
TIMEOUT_S = 60
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


@dataclass
class Run:
    """A demo that has ended."""

    status: int
    out: str
    err: str

    def account(self) -> tuple[int, int]:
        """Messages sent, and the sum of the outcomes that the summary names."""
        out = unstyled(self.out)
        sent = re.search(r"(\d+) messages of .* sent in", out)
        kinds = re.findall(r"outcomes +(\d+) enriched, (\d+) tombstones?, (\d+) dead letters?", out)
        assert sent is not None
        assert len(kinds) == 1
        return int(sent[1]), sum(map(int, kinds[0]))


def unstyled(shown: str) -> str:
    """Without colours and type styles."""
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def environment(**extra: str) -> dict[str, str]:
    """Ours, without what would change the look of a terminal."""
    ours = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE")}
    return {**ours, "PYTHONUTF8": "1", **extra}


def run(*arguments: str) -> Run:
    """A demo without a terminal, to its end."""
    done = subprocess.run(
        [*DEMO, *arguments], capture_output=True, timeout=TIMEOUT_S, env=environment(), stdin=subprocess.DEVNULL, check=False
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """A demo on a pseudo-terminal: what it writes is gathered, keys can be typed."""

    def __init__(self, columns: int, rows: int, *arguments: str, **extra: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        size = {"COLUMNS": str(columns), "LINES": str(rows), "TERM": "xterm-256color", **extra}
        self.process = subprocess.Popen(
            # setsid with a controlling terminal, so that a typed Ctrl-C becomes SIGINT as it does for a person.
            [sys.executable, "-c", TAKE_TERMINAL, *DEMO, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=environment(**size),
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Until this has been shown."""
        until(lambda: text in unstyled(self.shown) or self.process.poll() is not None)
        assert text in unstyled(self.shown)

    def type(self, keys: bytes) -> None:
        """As if from the keyboard."""
        os.write(self._ours, keys)

    def end(self) -> Run:
        """Wait for the demo to end by itself."""
        _, err = self.process.communicate(timeout=TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return Run(self.process.returncode, self.shown, err.decode())

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._reader.join(TIMEOUT_S)
        os.close(self._ours)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            while data := os.read(self._ours, 65_536):
                self.shown += decoder.decode(data)
        except OSError:  # EIO: the other end is closed
            return


TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


@contextmanager
def on_terminal(columns: int, rows: int, *arguments: str, **extra: str) -> Iterator[Terminal]:
    """A demo on a terminal of this size."""
    terminal = Terminal(columns, rows, *arguments, **extra)
    try:
        yield terminal
    finally:
        terminal.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something to become true; the test's own assertion says what."""
    deadline = time.monotonic() + TIMEOUT_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_without_a_terminal_it_prints_plain_lines_and_a_full_account() -> None:
    """Progress, messages with marked terms, a summary in which sent = outcomes, and commands to try; nothing on stderr."""
    done = run("--for", "4")
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    sent, outcomes = done.account()
    assert sent == outcomes == 160
    assert "none is missing" in " ".join(done.out.split())
    assert re.search(r"\d+ enriched, 0 tombstones, \d+ dead letters? \| \d+/s \| p50 \d+ ms  p99 \d+ ms \| negative", done.out)
    assert re.search(r"^ +(negative|neutral |positive) [+-]\d\.\d\d  (en|zh) .*\[[-=+]\]", done.out, re.MULTILINE)
    assert re.search(r"dead letters  .*(not_json|no_text)", done.out)
    assert done.out.count("textstream") >= 3
    for command in ("score", "demo --rate 200", "init"):
        assert re.search(rf"textstream {command}", done.out)


def test_on_a_terminal_it_shows_a_live_view_and_leaves_a_summary() -> None:
    """The view takes the whole screen and gives it back; terms are coloured; the summary stays behind."""
    with on_terminal(80, 24, "--for", "3") as terminal:
        done = terminal.end()
    assert (done.status, done.err) == (0, "")
    before, live = done.out.split(ENTER_SCREEN)
    live, after = live.split(LEAVE_SCREEN)
    assert before == ""
    for part in ("textstream demo", "rate", "latency", "key terms of the last", "latest messages", "Ctrl-C ends"):
        assert part in live
    assert re.search(r"\x1b\[[0-9;]*38;[0-9;]*m", live)
    assert "Try next" in after
    sent, outcomes = Run(done.status, after, "").account()
    assert sent == outcomes == 120


def test_ctrl_c_ends_the_replay_with_the_summary_and_status_0() -> None:
    """A typed Ctrl-C in the middle: what was sent is still accounted for, no traceback, the screen is given back."""
    with on_terminal(100, 30, "--for", "60") as terminal:
        terminal.wait_for("enriched      4")  # forty-odd, or four hundred
        terminal.type(b"\x03")
        done = terminal.end()
    assert (done.status, done.err) == (0, "")
    assert LEAVE_SCREEN in done.out
    assert "Traceback" not in done.out
    after = Run(done.status, done.out.split(LEAVE_SCREEN)[1], "")
    sent, outcomes = after.account()
    assert 0 < sent == outcomes < 60 * 40
    assert "Try next" in after.out


def test_sigint_before_the_first_message_ends_it_quietly() -> None:
    """An impatient Ctrl-C while the worker still joins its group gives status 0 as well."""
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), stdin=subprocess.DEVNULL)
    assert demo.stdout is not None
    first = demo.stdout.readline()  # imports are over, the handler is there
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=TIMEOUT_S)
    assert (demo.returncode, err) == (0, b"")
    assert b"starting the embedded broker" in first
    assert b"Stopped before the first" in out


def test_a_dumb_terminal_gets_plain_lines() -> None:
    """Where the cursor cannot move there is not one control sequence."""
    with on_terminal(80, 24, "--for", "1", TERM="dumb") as terminal:
        done = terminal.end()
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "none is missing" in " ".join(done.out.split())


def test_json_lines_of_the_user_are_replayed(tmp_path: Path) -> None:
    """A user's file is sent again and again; lines without a text become dead letters, and all are counted."""
    file = tmp_path / "mine.jsonl"
    file.write_text('{"text": "Great phone, terrible charger"}\n\n{"body": "no text here"}\n', encoding="utf-8")
    done = run(str(file), "--for", "2", "--rate", "10")
    assert (done.status, done.err) == (0, "")
    assert done.account() == (20, 20)
    assert "20 messages of mine.jsonl" in done.out
    assert "10 enriched, 0 tombstones, 10 dead letters" in done.out
    assert "no_text 10" in done.out


def test_plain_text_of_the_user_is_replayed_a_line_a_message(tmp_path: Path) -> None:
    """Any other file is text: byte order mark, Windows line ends and blank lines are no part of it, escapes do no harm."""
    file = tmp_path / "mine.txt"
    file.write_bytes("\ufeff酒店很好，早餐一般\r\n\r\n\x1b]0;title\x07 the screen is great\r\n".encode())
    done = run(str(file), "--for", "2", "--rate", "10")
    assert (done.status, done.err) == (0, "")
    assert done.account() == (20, 20)
    assert "20 enriched, 0 tombstones, 0 dead letters" in done.out
    assert "\x1b" not in done.out


def test_a_file_without_a_text_says_what_is_expected(tmp_path: Path) -> None:
    """When nothing could be scored the summary says what a line should look like."""
    file = tmp_path / "other.jsonl"
    file.write_text('{"body": "x"}\n', encoding="utf-8")
    done = run(str(file), "--for", "1", "--rate", "5")
    assert done.status == 0
    assert "Nothing could be scored" in done.out
    assert "/text" in done.out


def test_a_missing_file_is_one_clear_line() -> None:
    """The user's mistake ends with status 78 and says what to change, before anything is started."""
    done = run("missing.jsonl")
    assert (done.status, done.out) == (78, "")
    assert done.err.startswith("textstream: missing.jsonl cannot be read")
    assert done.err.count("\n") == 1


def test_a_fast_replay_loses_nothing() -> None:
    """Far beyond what the embedded broker would keep, back-pressure holds the sender, and every message has its outcome."""
    done = run("--rate", "20000", "--for", "3")
    assert (done.status, done.err) == (0, "")
    sent, outcomes = done.account()
    assert sent == outcomes > 1_000


OTHER_PROCESS = """
import sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1]})
for i in range(10):
    producer.produce("hello", str(i), key=str(i))
sys.exit(producer.flush(20))
"""


def test_the_embedded_broker_serves_other_processes(capfd: pytest.CaptureFixture[str]) -> None:
    """A producer in another process writes, a consumer here reads it all, and librdkafka says nothing on stderr."""
    with EmbeddedBroker() as broker:
        broker.create_topics("hello")
        subprocess.run([sys.executable, "-c", OTHER_PROCESS, broker.bootstrap_servers], check=True, timeout=TIMEOUT_S)
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "test", "log_level": 0})
        consumer.assign([TopicPartition("hello", partition, 0) for partition in range(PARTITIONS)])
        values = [message.value() for message in consumer.consume(10, TIMEOUT_S)]
        consumer.close()
    assert sorted(values) == [str(i).encode() for i in range(10)]  # type: ignore[type-var]
    assert capfd.readouterr().err == ""


def test_the_embedded_broker_ends_with_its_block() -> None:
    """Afterwards its port answers nobody."""
    with EmbeddedBroker() as broker:
        servers = broker.bootstrap_servers
    gone = Producer({"bootstrap.servers": servers, "log_level": 0})
    with pytest.raises(Exception, match=r"_TRANSPORT|_ALL_BROKERS_DOWN|timed out"):
        gone.list_topics(timeout=1)
