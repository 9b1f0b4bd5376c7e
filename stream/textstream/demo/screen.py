"""Where the demo is watched: a live view on a terminal, plain lines anywhere else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from textstream.event import EnrichedEvent
from textstream.observe.dashboard import MIN_HEIGHT, MIN_WIDTH, progress, render
from textstream.observe.terminal import highlight, line, mark, verdict
from textstream.observe.view import View

TITLE = "textstream demo"
LINES_EVERY_S = 1.0
MESSAGES_BESIDE_LINE = 2


@contextmanager
def live_or_lines(console: Console) -> Iterator["Screen"]:
    """The live view where the terminal can move its cursor and is large enough."""
    # A stream holds characters that not every output can write; that must not end the demo.
    if hasattr(console.file, "reconfigure"):
        console.file.reconfigure(errors="replace")
    if console.is_terminal and not console.is_dumb_terminal and console.width >= MIN_WIDTH and console.height >= MIN_HEIGHT:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield _LiveView(live)
    else:
        yield _Lines()


def message_line(event: EnrichedEvent, console: Console) -> Text:
    """One event, with its terms coloured, or marked where there are no styles."""
    return Text.assemble(verdict(event), "  ", highlight(event) if console.color_system else mark(event))


class Screen(Protocol):
    """Shows a view; `phase` says what goes on, `detail` how far it is."""

    def show(self, view: View, phase: str, detail: str = "") -> None:
        """Called a few times a second."""
        ...


class _LiveView:
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, view: View, phase: str, detail: str = "") -> None:
        status = f"{detail}, {phase}" if detail else phase
        self._live.update(render(view, title=TITLE, status=status), refresh=True)


class _Lines:
    """A line for each new phase, then one a second with a few of the messages."""

    def __init__(self) -> None:
        self._phase = ""
        self._due_s = LINES_EVERY_S

    def show(self, view: View, phase: str, detail: str = "") -> None:
        if phase != self._phase:
            self._phase = phase
            self._print(f"{TITLE}: {phase}")
        if view.outcomes and view.elapsed_s >= self._due_s:
            self._due_s = view.elapsed_s + LINES_EVERY_S
            self._print(progress(view), *(f"         {line(event)}" for event in view.latest[:MESSAGES_BESIDE_LINE]))

    def _print(self, *lines: str) -> None:
        print(*lines, sep="\n", file=sys.stdout, flush=True)
