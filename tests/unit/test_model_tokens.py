"""Tokens of swift: what the fast path makes of a batch is what a plain loop makes of each text alone."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.ways import both_ways
from textstream.model import text as prepare
from textstream.model import tokens as module
from textstream.model.neutral import NAME, neutral
from textstream.model.text import EMOJI, QUOTE
from textstream.model.tokens import CHARS_PER_TOKEN, Lexicon, Tokeniser, Tokens, marks

pytestmark = both_ways

WORDS = (NAME, "the", "food", "he", "don't", "很", "好", "吃", "他", "0", "00", "!", "<url>", "<user>", "\U00020000")
LEXICON = Lexicon(WORDS, affix_rows=64, bigram_rows=1024)
LIMIT = 12
CUT = Tokeniser(LEXICON, LIMIT)

PARTS = st.sampled_from(
    [
        *(
            "the ",
            "Food",
            " SHE",
            "iPhone15 ",
            "Zürich",
            "do n't",
            "can’t",
            "sooooo",
            "http://t.cn/a吧",
            "@王小明:",
            "#tag",
            " ",
        ),
        *(
            "好",
            "很好吃",
            "質量",
            "\U00020000\U0002f800",
            "好\ufe00",
            "好\U000e0100吃",
            "〇",
            "ｆｕｌｌ",
            "3.50",
            "１２",
            "[哈哈]",
        ),
        *(
            "\n",
            "\u3000",
            "\x1c",
            "\u200b",
            "\ud800",
            "\udc00",
            "e\u0301",
            "\u0301",
            "\u200d",
            "\ufe0f",
            "\x00",
            "!!!!",
            "。。",
            ":)",
        ),
        *("👍🏽", "👨‍👩‍👧‍👦", "🇨🇳", "🇨", "1️⃣", "🏴\U000e0067\U000e007f", "안녕", "مرحبا", "ﷺ", "x" * 50, "-" * 60, "\U0010ffff"),
    ]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(PARTS, max_size=25).map("".join))
BATCHES = st.lists(TEXTS, max_size=8)


def same(one: Tokens, other: Tokens) -> bool:
    arrays = ("features", "begins", "ends")
    return (one.text, one.language, one.truncated) == (other.text, other.language, other.truncated) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )


def plain_features(surfaces: list[str]) -> list[tuple[int, int, int]]:
    """(word, bigram, tail) of each token, one after the other, as FEATURES describes them."""
    ids = {word: row for row, word in enumerate(WORDS, start=1)}
    found, before = [], prepare.hashed("<start>")
    for surface in surfaces:
        shape = prepare.shape(surface)
        form = neutral(prepare.normal(surface), shape, ids)
        key = prepare.hashed(form)
        mixed = (before * 0x9E3779B1 & 0xFFFFFFFF) ^ (key * 0x85EBCA77 & 0xFFFFFFFF)
        bigram = LEXICON.first_bigram + (mixed ^ mixed >> 15) % LEXICON.bigram_rows
        prefix, suffix = (prepare.hashed(part) % LEXICON.affix_rows for part in ("^" + form[:4], f"{form[-3:]}${shape}"))
        known = (ids[form], bigram, LEXICON.first_shape + shape) if form in ids else None
        found.append(known or (LEXICON.first_affix + prefix, bigram, LEXICON.first_affix + suffix))
        before = key
    return found


@given(BATCHES)
@example(["", "  \n", "a", "", "好吃" * 30, " "])
def test_tokens_are_those_of_a_loop_over_each_text(texts: list[str]) -> None:
    """Runs of Chinese characters, tables and batches change nothing: `cut`, fold, hash and look up give the same."""
    for text, tokens in zip(texts, CUT(texts), strict=True):
        surfaces = prepare.cut(text[: LIMIT * CHARS_PER_TOKEN].rstrip())[:LIMIT]
        ends = np.cumsum([len(surface) for surface in surfaces], dtype=np.int64)
        leads = [len(surface) - len(surface.lstrip()) for surface in surfaces]
        assert tokens.ends.tolist() == ends.tolist()
        assert tokens.begins.tolist() == [e - len(s) + lead for e, s, lead in zip(ends, surfaces, leads, strict=True)]
        assert list(map(tuple, tokens.features.tolist())) == plain_features(surfaces)
        assert tokens.features.shape == (len(surfaces), len(module.FEATURES))


@given(BATCHES)
def test_tokens_do_not_depend_on_the_texts_beside_them(texts: list[str]) -> None:
    """Nor on what the table of surfaces has seen before."""
    fresh = Tokeniser(LEXICON, LIMIT)
    for text, tokens in zip(texts, CUT(texts), strict=True):
        assert same(tokens, fresh([text])[0])


@given(TEXTS)
def test_offsets_rebuild_the_text(text: str) -> None:
    """Between tokens there is nothing but white space, no token is empty, and what is left over is what truncated says."""
    (tokens,) = CUT([text])
    begins, ends = tokens.begins.tolist(), tokens.ends.tolist()
    gaps = [text[a:b] for a, b in zip([0, *ends], begins, strict=False)]
    said = [text[a:b] for a, b in zip(begins, ends, strict=True)]
    rest = text[ends[-1] if ends else 0 :]
    assert "".join(gap + surface for gap, surface in zip(gaps, said, strict=True)) + rest == text
    assert not any(gap.strip() for gap in gaps)
    assert all(surface == surface.strip() != "" for surface in said)
    assert all(a <= b for a, b in pairwise(sorted([*begins, *ends])))
    assert tokens.truncated == bool(rest.strip())
    assert tokens.count == len(tokens.features) <= LIMIT


@given(BATCHES)
def test_every_id_has_a_row(texts: list[str]) -> None:
    """And none is 0, which is padding."""
    for tokens in CUT(texts):
        assert np.all((tokens.features > 0) & (tokens.features < LEXICON.rows))


@pytest.mark.parametrize(
    ("text", "count", "truncated"),
    [
        ("", 0, False),
        (" \n\t\u3000" * 5, 0, False),
        (" " * 10_000, 0, False),
        (" " * 10_000 + "x", 0, True),
        ("a " * LIMIT, LIMIT, False),
        ("a " * LIMIT + "b", LIMIT, True),
        ("好" * LIMIT, LIMIT, False),
        ("好" * LIMIT + "吃", LIMIT, True),
        ("好" * LIMIT + " " * 10_000, LIMIT, False),
        ("a " + "好吃" * 10_000, LIMIT, True),
        ("a" + " " * 10_000, 1, False),
    ],
)
def test_what_is_counted_and_what_is_left_out(text: str, count: int, truncated: bool) -> None:
    (tokens,) = CUT([text])
    assert (tokens.count, tokens.truncated) == (count, truncated)


def test_no_texts_are_no_tokens() -> None:
    assert CUT([]) == []


@pytest.mark.parametrize(("name", "bound"), [("MAX_SURFACES", 40), ("MAX_SURFACE_CHARS", 150), ("SETTLED_AT_ONCE", 3)])
def test_a_table_that_starts_anew_changes_nothing(monkeypatch: pytest.MonkeyPatch, name: str, bound: int) -> None:
    """Past its bounds the table begins again: the same tokens, and never more than a batch over the bounds."""
    batches = [[f"the food {i} 好{chr(0x4E00 + i)}{chr(0x5000 + i)}", f"she said w{i}ord"] for i in range(120)]
    batches += [batch[::-1] for batch in batches]
    expected = [Tokeniser(LEXICON, LIMIT)(batch) for batch in batches]
    monkeypatch.setattr(module, name, bound)
    bounded = Tokeniser(LEXICON, LIMIT)
    for batch, wanted in zip(batches, expected, strict=True):
        assert all(map(same, bounded(batch), wanted))
        if name == "MAX_SURFACES":
            assert len(bounded._surfaces) <= bound + 2 * LIMIT
        if name == "MAX_SURFACE_CHARS":
            assert bounded._surfaces.chars <= bound + sum(map(len, batch))


def test_a_table_that_grows_keeps_its_rows() -> None:
    words = [f"w{i:05}x" for i in range(10_000)]
    grown = Tokeniser(LEXICON, LIMIT)
    first = [grown([word])[0] for word in words[:50]]
    grown(words)
    assert all(map(same, grown(words[:50]), first))


def test_threads_share_one_tokeniser(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the table grows and starts anew under them, each gets what it would get alone."""
    monkeypatch.setattr(module, "MAX_SURFACES", 300)
    shared = Tokeniser(LEXICON, LIMIT)

    def work(seed: int) -> list[Tokens]:
        return [t for i in range(60) for t in shared([f"the {seed} {'x' * (i % 7)}{i * seed} 好{chr(0x4E00 + i * seed)}"] * 3)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(1, 9)))
    for seed, together in enumerate(found, start=1):
        assert all(map(same, together, work(seed)))


def test_quotes_and_emoji_are_marks_and_apostrophes_are_none() -> None:
    """Of all texts of a batch, one after the other: 's begins with what is a quote where it stands alone."""
    batch = Tokeniser(Lexicon((), 1, 1), 100)(["‘Inception’ 'is' 😀", "Inception's 《电影》"])
    said = [tokens.text[a:b] for tokens in batch for a, b in zip(tokens.begins, tokens.ends, strict=True)]
    found = dict(zip(said, marks(batch).tolist(), strict=True))
    assert {token for token, mark in found.items() if mark == QUOTE} == set("‘’'《》")
    assert {token for token, mark in found.items() if mark == EMOJI} == {"😀"}
    assert "'s" in found
