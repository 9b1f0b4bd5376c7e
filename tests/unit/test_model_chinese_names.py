"""Chinese names are found by their shape, and reach the network as one row for each of their characters."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textstream.model.chinese_names import CHARACTER
from textstream.model.tokens import Lexicon, Tokeniser, Tokens

WORDS = ("老", "师", "说", "很", "好", "高", "兴", "谢", "我", "王", "小", "明", "，", "<number>")
CUT = Tokeniser(Lexicon((*WORDS, CHARACTER), 64, 128), 200)
NAMED = 1 + len(WORDS)
OLD = Tokeniser(Lexicon(WORDS, 64, 128), 200)


def names(text: str) -> list[str]:
    """What of the text reaches the network as a name, neighbours together."""
    (tokens,) = CUT([text])
    within = np.append(tokens.features[:, 0] == NAMED, False)
    found, begin = list[str](), None
    for at, named in enumerate(within.tolist()):
        if named and begin is None:
            begin = tokens.begins[at]
        elif not named and begin is not None:
            found.append(text[begin : tokens.ends[at - 1]])
            begin = None
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("昨天王小明说这里很好", ["王小明"]),
        ("欧阳建国很好", ["欧阳建国"]),
        ("谢谢李婷，明天见！", ["李婷"]),
        ("王老师说很好", ["王"]),
        ("小王说很好", ["小王"]),
        ("莉莉说很好", ["莉莉"]),
        ("阿里纳斯说很好", ["阿里纳斯"]),
        ("和約翰去", ["約翰"]),
        ("劉麗華說很好", ["劉麗華"]),
        ("见到 陈建军 了", ["陈建军"]),
        ("李雯和安娜，大卫和娜娜", ["李雯", "安娜", "大卫", "娜娜"]),
        ("今天很高兴", []),
        ("人太多哈哈哈，真的好卡哈哈哈", []),
        ("他就是个法西斯，特斯拉质量太差", []),
        ("祝安康，祝平安喜乐，贺新春", []),
        ("冷冰冰的态度，金灿灿，白花花", []),
        ("钱总是不够花，车总是坏，连老师都不会", []),
        ("祝妈妈身体健康，房总价，向导", []),
        ("方便，安静，和平", []),
        ("王 小明显很好", []),
        ("Emily is late again", []),
        ("", []),
    ],
)
def test_names_are_found_by_their_shape(text: str, found: list[str]) -> None:
    assert names(text) == found


def test_texts_that_differ_in_a_name_alone_are_the_same_to_the_network() -> None:
    """Names of as many characters: the network reads the same rows, pairs of neighbours included."""
    one, other = CUT(["昨天王小明说这里很好", "昨天赵丽颖说这里很好"])
    assert np.array_equal(one.features, other.features)
    assert one.language == other.language and one.unknown == other.unknown


def test_white_space_before_a_name_stays_outside_it() -> None:
    """Offsets are of the text as it was written, whatever the network reads."""
    text = "见到 \t 陈建军 了"
    (tokens,), (plain,) = CUT([text]), OLD([text])
    assert tokens.begins.tolist() == plain.begins.tolist() and tokens.ends.tolist() == plain.ends.tolist()
    assert names(text) == ["陈建军"]


def test_a_name_does_not_reach_into_the_next_text() -> None:
    first, second = CUT(["谢谢王", "小明很好"])
    assert not {NAMED} & set(first.features[:, 0].tolist())
    assert (second.features[:2, 0] == NAMED).all()  # 小明 is one by itself


def test_a_lexicon_without_the_row_reads_every_character() -> None:
    """Bundles of before read what they have learnt to read."""
    (tokens,) = OLD(["王小明很好"])
    assert [WORDS[row - 1] for row in tokens.features[:, 0].tolist()] == ["王", "小", "明", "很", "好"]


def _parts(tokens: Tokens) -> tuple[object, ...]:
    return tokens.features.tolist(), tokens.begins.tolist(), tokens.ends.tolist(), tokens.language, tokens.unknown


@given(st.lists(st.text(st.sampled_from("王小明李婷欧阳老师谢高兴阿里纳斯说 \t，a\U0003134a莉"), max_size=20), max_size=6))
def test_a_batch_says_what_each_text_says_alone(texts: list[str]) -> None:
    """Neighbours in a batch change nothing, and the tokens stand where they stand without names."""
    together = CUT(texts)
    assert list(map(_parts, together)) == [_parts(one) for text in texts for one in CUT([text])]
    for one, plain in zip(together, OLD(texts), strict=True):
        assert one.begins.tolist() == plain.begins.tolist() and one.ends.tolist() == plain.ends.tolist()
        assert one.truncated == plain.truncated
