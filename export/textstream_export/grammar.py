"""Messages that report: figures that rise and fall, service that worked or did not, what is planned. Made, not collected.

People label such messages by what happened, though no word in them praises or blames: "Operating loss widened to EUR 3.2 mn"
is bad news, "got my refund the same day" is good. The collected sources are of opinions and moods, and teach a small network
little of that. Here a grammar says the message, and which part of it was chosen says the label.

    made("en", 12_000, seed)    so many rows, all different

A grammar (`grammar.en.txt`, `grammar.zh.txt`) is a list of symbols, each with its alternatives, parted by `|` or on lines of
their own. In an alternative `{symbol}` is replaced by an alternative of that symbol, over and over, `[this]` stands in every
second text, and `<2-60>` is a number of that range, `<2-60.>` one with a decimal. It begins with the three labels. What is said
twice is said twice as often.
"""

import re
from functools import cache
from pathlib import Path
from random import Random

from textstream.event import LABELS
from textstream_export.augment import augmented
from textstream_export.data import Row
from textstream_export.recipe import Recipe
from textstream_export.sources import REPORTS

CHANGED = 0.4
"""Share of the rows that are written as another live message would be (`augmented`): another case, a slip, a mention."""
_SYMBOL = re.compile(r"\{(\w+)\}")
_OPTION = re.compile(r"\[([^][]*)\]")
_NUMBER = re.compile(r"<(\d+)-(\d+)(\.?)>")

Grammar = dict[str, list[str]]
"""Symbol → its alternatives."""


def drawn_by(recipe: Recipe) -> list[Row]:
    """The rows that a recipe wants, of each of its languages."""
    return [row for language in recipe.trained_languages for row in made(language, recipe.reports, recipe.seed)]


def made(language: str, count: int, seed: int) -> list[Row]:
    """`count` different rows, as many of each label."""
    rng, rows = Random(f"{seed} {language}"), dict[str, Row]()
    while len(rows) < count:
        label = LABELS[len(rows) % len(LABELS)]
        row = Row(said(read(language), label, rng), language, REPORTS, label)
        row = augmented(row, rng) if rng.random() < CHANGED else row
        rows.setdefault(row.text, row)
    return list(rows.values())


@cache
def read(language: str) -> Grammar:
    """The grammar of a language, as its file has it."""
    found: Grammar = {}
    lines = Path(__file__).with_name(f"grammar.{language}.txt").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if line and not line.startswith("#")):
        if not line.startswith(" "):
            symbol, _, line = line.partition(":")
            alternatives = found.setdefault(symbol, [])
        alternatives += [each for each in line.strip().split(" | ") if each]
    return found


def said(grammar: Grammar, symbol: str, rng: Random) -> str:
    """One text that the grammar has for a symbol."""
    text = "{" + symbol + "}"
    while _SYMBOL.search(text):
        text = _SYMBOL.sub(lambda found: rng.choice(grammar[found[1]]), text)
        text = _OPTION.sub(lambda found: found[1] if rng.random() < 0.5 else "", text)
    return _NUMBER.sub(lambda found: _number(int(found[1]), int(found[2]), bool(found[3]), rng), text)


def _number(least: int, most: int, decimal: bool, rng: Random) -> str:
    whole = str(rng.randint(least, most))
    return f"{whole}.{rng.randint(0, 9)}" if decimal else whole
