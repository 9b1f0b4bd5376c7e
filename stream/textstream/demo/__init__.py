"""`textstream demo`: the real worker on an embedded broker, a stream to work on, and a live view of what comes out."""

import os
import shutil
import sys
import threading
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from textstream.demo.screen import live_or_lines, message_line
from textstream.demo.stage import FINISH_TIMEOUT_S, Played, staged
from textstream.demo.stream import Stream, load_stream
from textstream.errors import Fatal
from textstream.observe import logs
from textstream.observe.dashboard import summary

SHOWN_MESSAGES = 5


def run_demo(*, input_file: Path | None, rate: float = 40, seconds: float = 20, stop: threading.Event) -> int:
    """Replay, watch, sum up; returns the exit status. Raises `Misconfigured` where the input is no use.

    `stop` (Ctrl-C) ends the replay early; what was sent by then is still waited for.
    """
    stream = load_stream(input_file, rate, seconds)
    logs.configure("console", "critical")  # what goes wrong is raised; a log line would spoil the view
    console = Console(highlight=False)
    with live_or_lines(console) as screen, staged(stream, screen) as stage:
        played = stage.play(stop)
    _sum_up(console, played, stream)
    return Fatal.exit_status if played.unaccounted else 0


def _sum_up(console: Console, played: Played, stream: Stream) -> None:
    view = played.view
    console.print(Text(f"\n{played.sent} messages of {stream.name} sent in {played.seconds:.1f} s. {_account(played)}\n"))
    if view.outcomes:
        console.print(Padding(summary(view), (0, 2, 1, 2)))
    if view.dead and not view.enriched:
        console.print(Text(f"Nothing could be scored. {_hint(stream)}\n"))
    if console.is_terminal:
        for event in [event for event in view.latest if event["key_terms"]][:SHOWN_MESSAGES]:
            console.print(Padding(message_line(event, console), (0, 2)), no_wrap=True, overflow="ellipsis")
    console.print(Text(_next_commands(_program())), soft_wrap=True)


def _account(played: Played) -> str:
    if played.unaccounted:
        return f"{played.unaccounted} of them had no outcome {FINISH_TIMEOUT_S:.0f} s later: please report this as a bug."
    return "Each has its one outcome, none is missing." if played.sent else "Stopped before the first."


def _hint(stream: Stream) -> str:
    if stream.format == "json":
        return "Each line should be a JSON object with the text under /text; a file named .txt is read as plain text."
    return "Each line should be UTF-8 text; a file named .jsonl is read as JSON lines."


def _next_commands(program: str) -> str:
    return f"""
Try next:
  # score text, without Kafka
  echo "The room was lovely but the staff were rude" | {program} score
  # replay your own messages, JSON lines or plain text
  {program} demo --rate 200 YOUR_FILE
  # write the settings for your own Kafka, then: {program} run
  {program} init"""


def _program() -> str:
    """How this reader can call textstream: by name where it is on the path, else by the shorter of its paths."""
    beside = Path(sys.executable).with_name("textstream")
    on_path = shutil.which("textstream")
    if (on_path and Path(on_path).resolve() == beside.resolve()) or not beside.exists():
        return "textstream"
    return min(os.path.relpath(beside), str(beside), key=len)
