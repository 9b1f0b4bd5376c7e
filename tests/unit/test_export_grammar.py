"""Messages that report, made by a grammar with their labels."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from textstream.event import LABELS
from textstream_export import grammar
from textstream_export.behaviour import suite
from textstream_export.data import text_hash
from textstream_export.grammar import made, read
from textstream_export.recipe import RECIPES
from textstream_export.sources import REPORTS

BOTH = pytest.mark.parametrize("language", ["en", "zh"])


@BOTH
def test_a_grammar_is_whole(language: str) -> None:
    """Every symbol that an alternative names is there, once, and every symbol but the labels is named."""
    rules = read(language)
    begun = re.findall(r"^(\w+):", Path(grammar.__file__).with_name(f"grammar.{language}.txt").read_text("utf-8"), re.MULTILINE)
    assert len(begun) == len(rules)
    named = {name for said in rules.values() for each in said for name in re.findall(r"\{(\w+)\}", each)}
    assert named <= rules.keys()
    assert rules.keys() - named == set(LABELS)


@BOTH
def test_rows_are_different_and_of_each_label_alike(language: str) -> None:
    """Labels are balanced, no text comes twice, and nothing of the grammar's own signs is left."""
    rows = made(language, 3_000, seed=1)
    assert len({row.text for row in rows}) == len(rows) == 3_000
    assert set(Counter(row.label for row in rows).values()) == {1_000}
    assert {(row.lang, row.source) for row in rows} == {(language, REPORTS)}
    assert [row.text for row in rows if re.search(r"[{}<>|\[\]]", row.text)] == []


@BOTH
def test_a_seed_says_the_rows(language: str) -> None:
    """The same seed makes the same rows, another one others."""
    assert made(language, 100, seed=1) == made(language, 100, seed=1)
    assert made(language, 100, seed=1) != made(language, 100, seed=2)


def test_what_rises_and_falls_is_labelled_by_what_it_is() -> None:
    """A profit that rises is good and one that falls is bad; of a loss it is the other way round."""
    rows = made("en", 12_000, seed=3)

    def labels(pattern: str) -> set[str | None]:
        return {row.label for row in rows if re.match(pattern, row.text)}

    assert labels(r"Operating profit (rose|grew|climbed)") == {"positive"}
    assert labels(r"Operating profit (fell|dropped|declined)") == {"negative"}
    assert labels(r"Operating loss (narrowed|shrank)") == {"positive"}
    assert labels(r"Operating loss (widened|grew)") == {"negative"}
    rows = made("zh", 12_000, seed=3)
    assert labels(r".*亏损(大幅减少|同比收窄)") == {"positive"}
    assert labels(r".*亏损(大幅增加|同比扩大)") == {"negative"}
    assert labels(r".*坏账(同比|环比)(增长|上升)") == {"negative"}
    assert labels(r".*坏账(同比|环比)(下降|减少)") == {"positive"}


def test_of_two_amounts_the_one_that_is_more_is_where_the_words_say() -> None:
    """ "rose to A from B" has the larger A, "fell to A from B" the smaller, in one currency."""
    for row in made("en", 12_000, seed=3):
        for word, to, by in re.findall(r"(rose|grew|fell|dropped) to \D*?(\d+\.?\d*)\D+? from \D*?(\d+\.?\d*)", row.text):
            assert (float(to) > float(by)) == (word in ("rose", "grew")), row.text


def test_what_judges_is_not_made() -> None:
    """The behaviour suite and the messages written by hand share no text with what is trained on, but for case and stops."""
    judged = {text for language in ("en", "zh") for _, asked in suite(language) for case in asked for text in case.texts}
    lines = (Path(__file__).parents[1] / "e2e" / "reports.jsonl").read_text("utf-8").splitlines()
    judged |= {json.loads(line)["text"] for line in lines}
    made_for = [recipe for recipe in RECIPES.values() if recipe.reports]
    assert made_for
    for recipe in made_for:
        assert {text_hash(text) for text in judged}.isdisjoint(text_hash(row.text) for row in grammar.drawn_by(recipe))
