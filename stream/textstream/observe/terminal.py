"""Enriched events, drawn for a terminal: with rich's styles, or in plain lines where there are none.

Sentiment is told three ways, so that it never hangs on colour alone: colours that colour-blind readers tell apart (after
Okabe and Ito, readable on dark and on light ground), a type style, and a sign. Where there is no styling at all, each term
carries its sign in brackets. Text from the stream is shown as it is, but can never steer the terminal: see `visible`.
"""

import json
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from textstream.event import EnrichedEvent, KeyTerm, Label, Sentiment
from textstream.observe.view import segments

STYLES: dict[Label, Style] = {
    "negative": Style(color="#D55E00", underline=True),
    "neutral": Style(color="#3A86C8", italic=True),
    "positive": Style(color="#009E73", bold=True),
}
SIGNS: dict[Label, str] = {"negative": "-", "neutral": "=", "positive": "+"}
DIM = Style(dim=True)

VERDICT_WIDTH = 14
"""Columns of a label and its score: `negative -0.17`."""
LEAST_REASON, MOST_REASONS = 0.02, 8
"""Words that move the score by less are not worth a reader's look, nor are more of them."""
MAX_LINE_CODE_POINTS = 160
"""Longest text of a plain line."""

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_BLANKS = dict.fromkeys(map(ord, "\t\n\r"), " ")
_LINE_ENDS = "\n\x85\u2028\u2029"


def visible(text: str) -> str:
    """The text with each control character replaced by one that shows it: offsets stay, and the terminal obeys nothing."""
    return text if text.isprintable() else "".join(map(_visible, text))


def printable_json(line: bytes) -> bytes:
    """The same JSON, with what could steer a terminal escaped. Beside strings it may have line ends; then it is one line."""
    text = line.decode().translate(_BLANKS)
    return (text if text.isprintable() else "".join(map(_json_escape, text))).encode()


def _json_escape(character: str) -> str:
    if character.isprintable():
        return character
    beyond = ord(character) > 0xFFFF  # json escapes no delete character, but it writes surrogates
    return json.dumps(character)[1:-1] if beyond else f"\\u{ord(character):04x}"


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    if character in _LINE_ENDS:
        return "⏎"
    if character == "\t":
        return " "
    if character < " ":
        return chr(0x2400 + ord(character))  # Unicode's control pictures: ␛ for escape
    if unicodedata.category(character) in ("Cc", "Cs") or character in _BIDI:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def highlight(event: EnrichedEvent) -> Text:
    """The event's text with its key terms coloured in place."""
    return Text.assemble(*((visible(part), STYLES[label] if label else "") for part, label in segments(event)))


def mark(event: EnrichedEvent) -> str:
    """The event's text with the sign of its sentiment behind each key term: for terminals without styles."""
    return "".join(f"{visible(part)}[{SIGNS[label]}]" if label else visible(part) for part, label in segments(event))


def pretty(event: EnrichedEvent) -> RenderableType:
    """One event for a reader: label and score, the text with its terms coloured, and a line for each term."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=VERDICT_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(verdict(event), highlight(event))
    if event["key_terms"]:
        grid.add_row("", _terms(event["key_terms"]))
    if event["truncated"]:
        grid.add_row("", Text(f"longer than the model reads: scored up to code point {event.get('scored_until', '?')}", DIM))
    return grid


def reasons(event: EnrichedEvent, words: Sequence[tuple[int, int, float]]) -> RenderableType:
    """Which words moved an event's score: [begin, end) and by how much. Marked in the text, the strongest listed below."""
    text, said = Text(visible(event["text"])), visible(event["text"])
    strongest = [word for word in sorted(words, key=lambda word: -abs(word[2])) if abs(word[2]) >= LEAST_REASON][:MOST_REASONS]
    for begin, end, moved in strongest:
        text.stylize(STYLES["positive" if moved > 0 else "negative"], begin, end)
    listed = [
        Text.assemble((f"{moved:+.2f} ", STYLES["positive" if moved > 0 else "negative"]), said[begin:end])
        for begin, end, moved in strongest
    ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=VERDICT_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(verdict(event), text)
    grid.add_row("", Text("   ").join(listed) if listed else Text("no single word moves the score", DIM))
    return grid


def line(event: EnrichedEvent) -> str:
    """One event as one plain line."""
    text = mark(event)
    short = text if len(text) <= MAX_LINE_CODE_POINTS else f"{text[: MAX_LINE_CODE_POINTS - 1]}…"
    return f"{verdict(event).plain}  {event['language']['code']:3}  {short}"


def verdict(event: EnrichedEvent) -> Text:
    """Label and score, `VERDICT_WIDTH` wide."""
    sentiment = event["sentiment"]
    if sentiment is None:
        return Text(f"{'unscored':{VERDICT_WIDTH}}", DIM)
    return Text.assemble((f"{sentiment['label']:8}", STYLES[sentiment["label"]]), f" {_score(sentiment)}")


def _terms(terms: list[KeyTerm]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for term in terms:
        sentiment = term["sentiment"]
        grid.add_row(
            Text(visible(term["text"]), STYLES[sentiment["label"]]),
            Text(term["kind"], DIM),
            Text.assemble(("salience ", DIM), f"{term['salience']:.2f}"),
            Text(f"{sentiment['label']} {_score(sentiment)}"),
        )
    return grid


def _score(sentiment: Sentiment) -> str:
    return f"{sentiment['score']:+.2f}"
