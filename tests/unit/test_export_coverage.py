"""The tokens can say the terms that people mark, in both languages."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import export_fixture
from textstream.event import KINDS
from textstream_export import cli
from textstream_export.calibrate import gold_spans
from textstream_export.coverage import READ, can_say, coverage, gold_places, occurrences
from textstream_export.data import Aspect, Row
from textstream_export.encode import token_targets
from textstream_export.golden import texts

MARKED = [
    # English: casing, hyphens, possessives, numbers with units, hashtags, tokenised text, punctuation stuck to words
    "The [front desk]'s slow, the [wi-fi] slower.",
    "I've seen [Dunkirk], [Baby Driver] & [Wonder Woman]!",
    "[iPhone 12 Pro Max]: [battery life]... meh",
    "love #[ClimateStrike] and [@GretaThunberg]'s speech https://t.co/x1",
    "the [ food ] was n't bad , but the [ wait staff ] ca n't smile",
    "[U.S.] vs. [AT&T], [C++], [node.js] and [10.5-inch] screens",
    "“[crème brûlée]”—best in [São Paulo]!",
    "[spaghetti]/[meatballs], $[20]; [5]% off",
    "my [16GB] [usb-c] stick",
    "so [cute]😍[dog]🐶s",
    # Chinese: no spaces, Latin letters and digits inside, full width, quotes, emoticons, traditional characters
    "这家店的[服务员]态度很差，但是[火锅]很好吃",
    "[华为P30]的[拍照效果]比[iPhone]好",
    "看了《[流浪地球2]》，[吴京]演技在线[赞]",
    "#[双十一]#[快递]太慢了[怒]@小明 转发",
    "[５Ｇ]套餐[98元]/月，[客服]不理人。",
    "[機身]太重，[單手操作]吃力",
    "买了个[macbook pro]，[屏幕]真清晰！！！",
    "[T恤]的[XL]码偏小，[面料]100%[棉]",
    "[𠮷野家]的[牛肉饭]涨价到[35.5元]",
    "听[Taylor Swift]的[1989]专辑",
    "[王小明]和[欧阳建国]的[老师]说[张伟]先生很好",
]
"""Texts with the terms in brackets that a reader would mark; [赞] and [怒] are Weibo's own, one token each."""


def unmarked(marked: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without brackets, and where the terms stand in it, without the spaces beside them."""
    text, places, begin = "", list[tuple[int, int]](), 0
    for character in marked:
        if character == "[":
            begin = len(text)
        elif character == "]":
            said = text[begin:]
            places.append((begin + len(said) - len(said.lstrip()), begin + len(said.rstrip())))
        else:
            text += character
    return text, places


@pytest.mark.parametrize("marked", MARKED)
def test_tokens_say_the_terms_that_a_reader_marks(marked: str) -> None:
    text, places = unmarked(marked)
    (tokens,) = READ([text])
    assert places
    assert [text[begin:end] for begin, end in places if not can_say(tokens, begin, end)] == []


@given(st.one_of(st.sampled_from(texts()), st.text(max_size=40)), st.integers(0, 99), st.integers(0, 99))
def test_every_run_of_tokens_is_a_span_that_comes_back_from_its_tags(text: str, one: int, other: int) -> None:
    """From code points to tags and back to the same tokens, for any run of tokens of any text."""
    (tokens,) = READ([text])
    if not tokens.count:
        return
    a, b = sorted((one % tokens.count, other % tokens.count))
    begin, end = int(tokens.begins[a]), int(tokens.ends[b])
    if begin >= end:
        return  # white space alone
    assert can_say(tokens, begin, end)
    targets = token_targets(Row(text, "en", "absa_mams", aspects=(Aspect(begin, end, "neutral"),)), tokens)
    assert targets is not None
    assert gold_spans(targets[0][:, KINDS.index("aspect")]) == [(a, b + 1)]
    assert np.flatnonzero(targets[1] == 1).tolist() == list(range(a, b + 1))


def test_a_part_of_a_word_is_no_span_that_tokens_say() -> None:
    (tokens,) = READ(["supermarkets 2019年"])
    assert not can_say(tokens, 0, 5)
    assert not can_say(tokens, 5, 12)
    assert not can_say(tokens, 13, 15)
    assert can_say(tokens, 13, 17)
    assert not can_say(tokens, 13, 19)


def test_a_mention_is_one_token_so_its_name_alone_is_no_span() -> None:
    (tokens,) = READ(["thanks @GretaThunberg !"])
    assert can_say(tokens, 7, 21)
    assert not can_say(tokens, 8, 21)


def test_a_term_occurs_as_whole_words_whatever_its_case() -> None:
    text = "Art of the deal: the ART of party art, artist; 艺术art展"
    assert [text[a:b] for a, b in occurrences("art", text)] == ["Art", "ART", "art", "art"]
    assert [text[a:b] for a, b in occurrences("art of", text)] == ["Art of", "ART of"]
    assert [text[a:b] for a, b in occurrences("艺术", text)] == ["艺术"]
    assert list(occurrences("  ", text)) == []
    assert list(occurrences("straße", "İ straße")) == [(2, 8)]


def test_gold_is_counted_in_all_its_places_by_source() -> None:
    rows = [
        Row("good pizza, Pizza!", "en", "tweets_kw", terms=("pizza", "pasta")),
        Row("superbed", "en", "absa_mams", aspects=(Aspect(0, 5, "positive"),)),
        Row("good", "en", "sst2", label="positive"),
    ]
    assert [len(gold_places(row)) for row in rows] == [2, 1, 0]
    found = coverage(rows)
    assert {name: (own.spans, own.share) for name, own in found.items()} == {"absa_mams": (1, 0.0), "tweets_kw": (2, 1.0)}
    assert found["absa_mams"].missed == ["super | superbed"]


def test_the_command_says_how_much_of_the_gold_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the made data all of it, by source and over all."""
    cli.main(["coverage", "--data", str(export_fixture.write(tmp_path, rows=60))])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1].startswith("| all | ") and lines[-1].endswith(" | 0 | 100.00% |")
    assert any(line.startswith("| aste_zh_dianping | 70 |") for line in lines)
