"""The live view in a terminal: a dashboard that fills the screen, one plain line for elsewhere, and a closing summary.

Everything is drawn from a `View`, so nothing here counts, waits or looks at a clock. Rules instead of boxes: terminals
disagree about the width of some emoji, and a right border would show it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.rule import Rule
from rich.style import Style
from rich.table import Table
from rich.text import Text

from textstream.event import LABELS, EnrichedEvent, Label
from textstream.observe.terminal import DIM, SIGNS, STYLES, highlight, mark, verdict, visible
from textstream.observe.view import TERM_WINDOW_S, Mix, Term, View

STRONG = Style(bold=True)
MIN_WIDTH, MIN_HEIGHT = 60, 16
"""The least screen that `render` fits; use `progress` in a smaller one."""
MARGIN = 2
"""Columns left free at the right, so that an emoji wider than rich believes does not wrap its line."""
FIXED_ROWS = 10
"""Header and rule, 3 facts, languages, dead letters, 2 headings, legend; terms and messages share the rest."""
NAME_WIDTH = 12
MIX_WIDTH = 8
LANGUAGES_SHOWN = 4
TOP_TERMS_OF_SUMMARY = 10
BARS = "▁▂▃▄▅▆▇█"


def progress(view: View) -> str:
    """The view as one plain line."""
    latency = _latency(view).plain if view.latency else "no latency yet"
    shares = ", ".join(f"{label} {view.sentiment.share(label):.0%}" for label in LABELS)
    return f"{view.elapsed_s:5.1f} s  {_outcomes(view)} | {view.rate:.0f}/s | {latency} | {shares}"


def summary(view: View) -> Table:
    """The whole stream in a few rows, with styles where the terminal has them."""
    table = _facts(("outcomes", Text(_outcomes(view))))
    if view.dead_letters:
        table.add_row("dead letters", _counts(view.dead_letters))
    table.add_row("rate", f"{view.mean_rate:.1f} messages/s")
    if view.latency:
        table.add_row("latency", Text.assemble(_latency(view), ", from the source's timestamp to this reader"))
    table.add_row("sentiment", _shares(view.sentiment))
    table.add_row("languages", _languages(view))
    if view.terms:
        table.add_row("top terms", _top_terms(view.terms[:TOP_TERMS_OF_SUMMARY]))
    return table


def render(view: View, *, title: str = "textstream", status: str = "") -> RenderableType:
    """The live dashboard; it fills the width and the height that the console gives it."""
    return _Dashboard(view, title, status)


@dataclass(frozen=True, slots=True)
class _Dashboard:
    view: View
    title: str
    status: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view, width = self.view, options.max_width - MARGIN
        colour = console.color_system is not None and not console.no_color
        room = max(2, (options.height or console.height) - FIXED_ROWS)
        term_rows = max(1, min(room // 3, (len(view.terms) + 1) // 2))
        yield _ends(Text(self.title, STRONG), Text(self.status, DIM), width)
        yield Rule(style=DIM)
        yield _flow_and_mood(view, width, colour)
        yield _cut(_fact("languages", Text(_languages(view))), width)
        yield _cut(_fact("dead letters", _dead(view)), width)
        yield _heading(f"key terms of the last {TERM_WINDOW_S // 60} minutes, and how they are spoken of")
        yield _terms(view.terms, term_rows, width, colour)
        yield _heading("latest messages, about two a second")
        yield from _messages(view.latest, room - term_rows, width, styled=console.color_system is not None)
        yield _legend(width)


def _flow_and_mood(view: View, width: int, colour: bool) -> Table:
    """Three lines: rate, latency and count at the left, the sentiment mix at the right."""
    left, right = width // 2, width - width // 2
    rate = f"{view.rate:.1f}/s "
    tombstones = f", {_number(view.tombstones, 'tombstone')}" if view.tombstones else ""
    facts = (
        _fact("rate", Text(rate + _sparkline(view.history, left - NAME_WIDTH - len(rate) - 4))),
        _fact("latency", _latency(view) if view.latency else Text("no message yet")),
        _fact("enriched", Text(f"{view.enriched}{tombstones}")),
    )
    table = Table.grid()
    table.add_column(width=left, no_wrap=True)
    table.add_column(width=right, no_wrap=True)
    for fact, label in zip(facts, LABELS, strict=True):
        table.add_row(fact, _share_bar(view.sentiment, label, right, colour))
    return table


def _share_bar(mix: Mix, label: Label, width: int, colour: bool) -> Text:
    share = mix.share(label)
    name = _signed(label)
    name.pad_right(len("= negative ") - name.cell_len)
    return Text.assemble(name, f"{share:4.0%} ", _bar(label, round(share * (width - 16)), colour))


def _dead(view: View) -> Text:
    text = Text.assemble((f"{view.dead}", STRONG), f"  {_counts(view.dead_letters)}")
    if view.last_dead and view.last_dead.message:
        text.append(f"   last: {visible(view.last_dead.message)}", DIM)
    return text


def _terms(terms: Sequence[Term], rows: int, width: int, colour: bool) -> Table:
    """Two columns, the first filled first."""
    table = Table.grid()
    half = width // 2
    table.add_column(width=half, no_wrap=True)
    table.add_column(width=half, no_wrap=True)
    for row in range(rows):
        table.add_row(*(_term(terms[i], half - 3, colour) if i < len(terms) else "" for i in (row, row + rows)))
    return table


def _term(term: Term, width: int, colour: bool) -> Text:
    room = width - MIX_WIDTH - 6
    name = _cut(_name(term), room)
    name.pad_right(room - name.cell_len)
    return Text.assemble(name, " ", _mix_bar(term.mix, colour), f"{term.mix.total:5}")


def _mix_bar(mix: Mix, colour: bool) -> Text:
    """`MIX_WIDTH` cells, shared out by sentiment so that rounding never adds or loses one."""
    bar, done, count = Text(), 0, 0
    for label in LABELS:
        count += getattr(mix, label)
        until = round(count / mix.total * MIX_WIDTH)
        bar.append(_bar(label, until - done, colour))
        done = until
    return bar


def _bar(label: Label, cells: int, colour: bool) -> Text:
    """Blocks where colour tells the sentiments apart, else signs."""
    return Text(("█" if colour else SIGNS[label]) * cells, Style(color=STYLES[label].color))


def _messages(events: Sequence[EnrichedEvent], rows: int, width: int, *, styled: bool) -> list[Text]:
    """The newest first; always `rows` high, so that nothing below jumps."""
    shown = [
        _cut(Text.assemble(verdict(event), "  ", highlight(event) if styled else mark(event)), width)
        for event in events[: max(0, rows)]
    ]
    return shown + [Text()] * (rows - len(shown))


def _legend(width: int) -> Text:
    terms = Text("  ").join(_signed(label) for label in LABELS)
    return _ends(Text.assemble(("terms: ", DIM), terms), Text("Ctrl-C ends", DIM), width)


def _heading(title: str) -> Rule:
    return Rule(Text(title, DIM), style=DIM, align="left")


def _facts(*rows: tuple[str, Text]) -> Table:
    table = Table.grid()
    table.add_column(style=DIM, min_width=NAME_WIDTH + 2)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _fact(name: str, value: Text) -> Text:
    return Text.assemble((f"{name:{NAME_WIDTH}}  ", DIM), value)


def _ends(left: Text, right: Text, width: int) -> Text:
    """One line, `left` at its left end and `right` at its right."""
    gap = max(2, width - left.cell_len - right.cell_len)
    return _cut(Text.assemble(left, " " * gap, right), width)


def _cut(text: Text, width: int) -> Text:
    text.truncate(max(1, width), overflow="ellipsis")
    return text


def _sparkline(history: Sequence[int], width: int) -> str:
    shown = history[-width:] if width > 0 else ()
    top = max(shown, default=0) or 1
    return "".join(BARS[count * (len(BARS) - 1) // top] for count in shown)


def _signed(label: Label) -> Text:
    return Text.assemble(f"{SIGNS[label]} ", (label, STYLES[label]))


def _shares(mix: Mix) -> Text:
    return Text("   ").join(Text.assemble(_signed(label), f" {mix.share(label):.0%}") for label in LABELS)


def _name(term: Term) -> Text:
    """A term in the style of the sentiment it meets most."""
    return Text(visible(term.normalized), STYLES[max(LABELS, key=term.mix.share)])


def _top_terms(terms: Sequence[Term]) -> Text:
    return Text(", ").join(Text.assemble(_name(term), f" {term.mix.total}") for term in terms)


def _latency(view: View) -> Text:
    assert view.latency is not None
    return Text.assemble(("p50 ", DIM), _ms(view.latency.p50_ms), ("  p99 ", DIM), _ms(view.latency.p99_ms))


def _languages(view: View) -> str:
    unscored = f"   ({view.unscored} unscored: another language, or no words)" if view.unscored else ""
    named, rest = view.languages[:LANGUAGES_SHOWN], view.languages[LANGUAGES_SHOWN:]
    counts = [*named, ("others", sum(count for _, count in rest))] if rest else named
    shares = ((visible(code), count / (view.enriched or 1)) for code, count in counts)
    return ", ".join(f"{code} {share:.0%}" if share >= 0.005 else f"{code} <1%" for code, share in shares) + unscored


def _outcomes(view: View) -> str:
    return f"{view.enriched} enriched, {_number(view.tombstones, 'tombstone')}, {_number(view.dead, 'dead letter')}"


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _counts(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{visible(name)} {count}" for name, count in counts)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"
