"""Text preparation: tokens cover the text, and what means the same is prepared the same."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textstream.model.text import MAX_TOKEN_CHARS, MENTION, URL, cut, fold, normal, shape


def words(text: str) -> list[str]:
    return [normal(piece) for piece in cut(text)]


@given(st.text())
@example("\x00 \u200d\u0301\ufe0f")
@example("👨‍👩‍👧‍👦🇨🇳1️⃣ e\u0301 http://x @y [z] :)")
def test_the_tokens_of_any_text_joined_are_the_text(text: str) -> None:
    assert "".join(cut(text)) == text


@pytest.mark.parametrize(
    ("live", "tokenised"),
    [
        ("I don't know", "i do n't know"),
        ("I don’t know", "i do n 't know"),
        ("It's great!", "it 's great !"),
        ("we'll see, can't wait", "we 'll see , ca n't wait"),
        ("SOOOO good", "soooooooo good"),
        ("質量很好", "质量很好"),
        ("ＦＵＬＬ width", "full width"),
    ],
)
def test_live_text_and_tokenised_training_text_give_the_same_words(live: str, tokenised: str) -> None:
    assert words(live) == words(tokenised)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://t.co/Ab1?x=2 now", ["see", URL, "now"]),
        ("看http://t.cn/abc吧", ["看", URL, "吧"]),
        ("@user_1: hi", [MENTION, ":", "hi"]),
        ("//@王小明:好", ["/", "/", MENTION, ":", "好"]),
        ("[哈哈] ok :) <3", ["[哈哈]", "ok", ":)", "<3"]),
        ("3.5 stars, 100%", ["00", "stars", ",", "000", "%"]),
        ("gr8 iPhone15屏幕", ["gr8", "iphone15", "屏", "幕"]),
        ("#fail!!!!!", ["#", "fail", "!!!"]),
    ],
)
def test_what_a_token_is(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "emoji", ["👍🏽", "👨‍👩‍👧‍👦", "🇨🇳", "1️⃣", "❤️", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"]
)
def test_an_emoji_with_all_its_parts_is_one_token(emoji: str) -> None:
    assert cut(f"a {emoji} b") == ["a", f" {emoji}", " b"]


def test_no_token_is_longer_than_the_limit_so_that_none_costs_more() -> None:
    pieces = cut("a" * 10_000 + "я" * 10_000 + "!" * 10_000)
    assert max(map(len, pieces)) <= MAX_TOKEN_CHARS + 1


@pytest.mark.parametrize(
    ("term", "folded"),
    [("#iPhone", "iphone"), ("ＡＢＣ", "abc"), ("服務 ", "服务"), ("New  York", "new york"), ("#", "#"), ("Straße", "strasse")],
)
def test_fold_says_when_two_terms_are_one(term: str, folded: str) -> None:
    assert fold(term) == folded


@given(st.text())
def test_fold_twice_is_fold_once_in_length(text: str) -> None:
    assert fold(fold(text)).lstrip("#") == fold(text).lstrip("#") or not text.strip()


def test_shape_keeps_what_folding_loses() -> None:
    assert [shape(w) for w in ("word", "Word", "WORD", "iPhone", "好", "I")] == [1, 2, 3, 4, 0, 2]
