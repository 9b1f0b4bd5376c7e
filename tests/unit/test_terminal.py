"""Drawing for a terminal: nothing is lost, nothing steers the terminal, nothing is cut off or breaks the screen."""

import io
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from tests.support.events import event, term
from textstream import samples
from textstream.event import LABELS, EnrichedEvent
from textstream.observe.dashboard import MIN_HEIGHT, MIN_WIDTH, progress, render, summary
from textstream.observe.terminal import (
    MOST_REASONS,
    SIGNS,
    STYLES,
    highlight,
    line,
    mark,
    pretty,
    printable_json,
    reasons,
    visible,
)
from textstream.observe.view import DeadLetter, View, ViewModel

MIXED = "The room was lovely but the staff were rude 👨‍👩‍👧‍👦 房间很干净"


def mixed() -> EnrichedEvent:
    """Two sentiments, an emoji of several code points, two scripts."""
    terms = [term(MIXED, "room", "positive"), term(MIXED, "staff", "negative"), term(MIXED, "房间", "positive")]
    return event(MIXED, "negative", terms=terms)


@st.composite
def events(draw: st.DrawFn) -> EnrichedEvent:
    """Any text, with terms on any spans that do not overlap."""
    text = draw(st.text(max_size=80))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    terms = []
    for begin, end in spans:
        found = term(text, text[begin:end], draw(st.sampled_from(LABELS)))
        found["begin"], found["end"] = begin, end
        terms.append(found)
    return event(text, draw(st.sampled_from([*LABELS, None])), terms=terms)


def drawn(what: RenderableType, *, width: int = 100, height: int = 30, **console: object) -> str:
    """What a console would show, control sequences included."""
    out = io.StringIO()
    options: dict[str, object] = {"force_terminal": True, "color_system": "truecolor", "no_color": False, **console}
    Console(file=out, width=width, height=height, legacy_windows=False, **options).print(what)  # type: ignore[arg-type]
    return out.getvalue()


def view_of_the_sample() -> View:
    """Every readable line of the bundled sample, with a term each, and every kind of outcome."""
    model = ViewModel(0)
    texts = re.findall(r'"text": "([^"\\]+)"', b"\n".join(samples.values()).decode(errors="replace"))
    for i, text in enumerate(texts):
        label = LABELS[i % 3]
        terms = [term(text, text[:4], label)] if text[:4].strip() else []
        model.add_enriched(event(text, label, terms=terms, timestamp="1970-01-01T00:00:00.000Z"), i / 40)
    model.add_dead(DeadLetter("not_json", "the value is not JSON: \x1b[2J"), 7)
    model.add_tombstone(7)
    return model.at(8)


@given(events())
def test_highlighting_changes_no_character_of_what_is_shown(one: EnrichedEvent) -> None:
    """The highlighted text is the event's text, code point for code point, except for characters that control terminals."""
    shown = highlight(one).plain
    assert shown == visible(one["text"])
    assert len(shown) == len(one["text"])
    assert all(a == b or unicodedata.category(a)[0] in "CZ" for a, b in zip(one["text"], shown, strict=True))


@given(events())
def test_every_term_is_styled_exactly_where_it_stands(one: EnrichedEvent) -> None:
    """Each term's code points carry the style of its own sentiment, and no others carry any."""
    spans = {(span.start, span.end, span.style) for span in highlight(one).spans}
    assert spans == {(t["begin"], t["end"], STYLES[t["sentiment"]["label"]]) for t in one["key_terms"]}


@given(events())
def test_without_styles_each_term_carries_its_sign(one: EnrichedEvent) -> None:
    """Removing the signs behind the terms gives the text back, so nothing else was added."""
    marked = mark(one)
    for begin, end, sign in sorted(
        ((t["begin"], t["end"], SIGNS[t["sentiment"]["label"]]) for t in one["key_terms"]), reverse=False
    ):
        assert marked[begin : end + 3] == visible(one["text"])[begin:end] + f"[{sign}]"
        marked = marked[:end] + marked[end + 3 :]
    assert marked == visible(one["text"])


@given(st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_text_from_the_stream_cannot_steer_the_terminal(text: str) -> None:
    """No control character, surrogate, line separator or change of direction reaches the output."""
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [
        c for c in shown if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    assert len(shown) == len(text)


def test_a_term_said_twice_is_highlighted_twice() -> None:
    """Every mention is coloured, not the first alone."""
    said = term("good room, bad room", "room", "neutral")
    said["mentions"] = [(5, 9), (15, 19)]
    one = event("good room, bad room", terms=[said])
    assert [(span.start, span.end) for span in highlight(one).spans] == [(5, 9), (15, 19)]
    assert mark(one) == "good room[=], bad room[=]"


def test_pretty_says_everything_in_words_too() -> None:
    """Label, score, text, and each term with kind, salience and its own sentiment, also where there is no colour."""
    shown = drawn(pretty(mixed()), color_system=None)
    assert "negative -0.90" in shown
    assert MIXED in shown
    assert re.search(r"staff +aspect +salience 0.90 +negative -0.90", shown)
    assert re.search(r"room +aspect +salience 0.90 +positive \+0.90", shown)
    cut = event("long", "neutral")
    cut["truncated"], cut["scored_until"] = True, 3
    assert "scored up to code point 3" in drawn(pretty(cut), color_system=None)
    assert "unscored" in drawn(pretty(event("👍", None)), color_system=None)


def test_sentiments_differ_without_colour() -> None:
    """Where colours are off but styles are not, the three sentiments still look different from each other."""
    looks = {drawn(Text("x", STYLES[label]), no_color=True) for label in LABELS}
    assert len(looks) == 3
    assert "38;" not in "".join(looks)


@pytest.mark.parametrize(("width", "height"), [(MIN_WIDTH, MIN_HEIGHT), (80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("color_system", ["truecolor", None])
def test_the_dashboard_fits_the_screen(width: int, height: int, color_system: str | None) -> None:
    """With messages of every kind no line is wider than the screen, and the lines fill exactly its height."""
    shown = drawn(
        render(view_of_the_sample(), title="t", status="s" * 300), width=width, height=height, color_system=color_system
    )
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in plain
    lines = plain.split("\n")
    assert lines.pop() == ""
    assert len(lines) == height
    assert max(map(cell_len, lines)) <= width
    assert "Ctrl-C ends" in lines[-1]


def test_the_dashboard_shows_every_part_before_the_first_message() -> None:
    """An empty view draws without a division by nothing, and says that it waits."""
    shown = drawn(render(ViewModel(0).at(0)), color_system=None)
    assert "no message yet" in shown
    assert "dead letters" in shown


def test_plain_lines_and_summary_count_every_outcome() -> None:
    """One line of progress, one line an event whatever its text, and a summary with totals, reasons and top terms."""
    view = view_of_the_sample()
    assert f"{view.enriched} enriched, 1 tombstone, 1 dead letter" in progress(view)
    assert "\n" not in progress(view)
    assert "\n" not in line(event("two\nlines", terms=[term("two\nlines", "lines", "positive")]))
    assert line(mixed()).endswith("The room[+] was lovely but the staff[-] were rude 👨‍👩‍👧‍👦 房间[+]很干净")
    shown = drawn(summary(view), color_system=None)
    for part in (f"{view.enriched} enriched", "not_json 1", "p50", "negative", "en 100%", view.terms[0].normalized.strip()):
        assert part in shown


def test_reasons_show_the_strongest_words_first_in_the_text_and_below() -> None:
    """Words that hardly move the score are not named, nor more than a reader takes in."""
    at = {word: (MIXED.index(word), MIXED.index(word) + len(word)) for word in ("room", "lovely", "rude")}
    words = [(*at["room"], 0.01), (*at["lovely"], 0.5), (*at["rude"], -0.8)]
    shown = drawn(reasons(mixed(), words), color_system=None)
    assert "room was lovely" in shown
    below = shown.splitlines()[1]
    assert below.split() == ["-0.80", "rude", "+0.50", "lovely"]
    many = [(at, at + 1, 0.1 + at / 100) for at in range(MOST_REASONS + 3)]
    assert drawn(reasons(mixed(), many), color_system=None).count("+0.") == MOST_REASONS


def test_a_text_of_which_no_word_counts_says_so() -> None:
    """A reader is told that nothing was found, rather than shown nothing."""
    assert "no single word" in drawn(reasons(mixed(), [(4, 8, 0.01)]), color_system=None)


def test_reasons_never_steer_the_terminal() -> None:
    """No escape sequence of the text reaches it, neither in the text nor in the words below."""
    what = event("\x1b[31mred\x1b[0m \u202e", "negative")
    assert "\x1b" not in drawn(reasons(what, [(0, 8, 0.5), (8, 12, -0.5)]), color_system=None)


@given(st.text(), st.text(st.sampled_from("\x1b\x7f\x9b\u202e\u2028\U000e0041a")))
def test_json_on_a_terminal_says_the_same_and_steers_nothing(text: str, hostile: str) -> None:
    """C1 controls and marks of direction may stand in JSON as they are: escaped, it has the same values, and is one line."""
    value = {"text": text, hostile: hostile}
    shown = printable_json(json.dumps(value, ensure_ascii=False, indent="\t").encode()).decode()
    assert shown.isprintable()
    assert json.loads(shown) == value
