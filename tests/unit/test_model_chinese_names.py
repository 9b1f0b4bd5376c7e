"""Chinese persons are found by their shape, and reach the network as one token: names alike, and both genders."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_native import in_python
from textstream.model.neutral import NAME
from textstream.model.tokens import MERGED, Lexicon, Tokeniser, Tokens

WORDS = ("老", "师", "说", "很", "好", "高", "兴", "谢", "我", "王", "小", "明", "，", "<number>")
CUT = Tokeniser(Lexicon((*WORDS, *sorted(MERGED)), 64, 128), 200)
NAMED = 1 + CUT.lexicon.words.index(NAME)
OLD = Tokeniser(Lexicon(WORDS, 64, 128), 200)


def names(text: str) -> list[str]:
    """What of the text reaches the network as a name."""
    (tokens,) = CUT([text])
    within = tokens.features[:, 0] == NAMED
    return [text[a:b] for a, b in zip(tokens.begins[within].tolist(), tokens.ends[within].tolist(), strict=True)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("昨天王小明说这里很好", ["王小明"]),
        ("欧阳建国很好", ["欧阳建国"]),
        ("诸葛大山和山本千夏", ["诸葛大山", "山本千夏"]),
        ("东方大酒店", []),
        ("老王卖瓜，老王来了", ["老王"]),
        ("谢谢李婷，明天见！", ["李婷"]),
        ("王老师说很好", ["王"]),
        ("小王说很好", ["小王"]),
        ("莉莉说很好", ["莉莉"]),
        ("阿里纳斯说很好", ["阿里纳斯"]),
        ("和約翰去", ["約翰"]),
        ("劉麗華說很好", ["劉麗華"]),
        ("见到 陈建军 了", ["陈建军"]),
        ("李雯和安娜，大卫和娜娜", ["李雯", "安娜", "大卫", "娜娜"]),
        ("王哥和陈姨，王小姐，王小明先生", ["王哥", "陈姨", "王小姐", "王小明"]),
        ("Lily 和 DeVries", ["Lily", "DeVries"]),
        ("今天很高兴", []),
        ("人太多哈哈哈，真的好卡哈哈哈", []),
        ("他就是个法西斯，特斯拉质量太差", []),
        ("祝安康，祝平安喜乐，贺新春", []),
        ("冷冰冰的态度，金灿灿，白花花", []),
        ("钱总是不够花，车总是坏，连老师都不会", []),
        ("祝妈妈身体健康，房总价，向导", []),
        ("方便，安静，和平", []),
        ("王 小明显很好", []),
        ("LILY is #MakeItGreat on iPhone", []),
        ("", []),
    ],
)
def test_names_are_found_by_their_shape(text: str, found: list[str]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("昨天王小明说这里很好", "昨天赵丽颖说这里很好"),
        ("昨天王小明说这里很好", "昨天弗朗西斯卡说这里很好"),
        ("卢伟把会议毁了", "Lily把会议毁了"),
        ("这位先生很好", "这位女士很好"),
        ("我爸说很好", "我妈说很好"),
        ("隔壁叔叔很好", "隔壁阿姨很好"),
        ("王先生很好", "李小姐很好"),
    ],
)
def test_texts_that_differ_in_a_name_or_a_gender_alone_are_the_same_to_the_network(one: str, other: str) -> None:
    """The network reads the same rows, pairs of neighbours included, however long a name is and whatever its letters."""
    first, second = CUT([one, other])
    assert np.array_equal(first.features, second.features)
    assert first.language["code"] == second.language["code"] and first.unknown == second.unknown


@pytest.mark.parametrize("text", ["老公司很好", "他妈的", "先生效", "外公交", "女儿童装", "父亲切", "妈妈爸爸"])
def test_words_of_persons_inside_others_are_left_alone(text: str) -> None:
    (tokens,) = CUT([text])
    parts = [text[a:b] for a, b in zip(tokens.begins.tolist(), tokens.ends.tolist(), strict=True)]
    assert parts == (["妈妈", "爸爸"] if text == "妈妈爸爸" else list(text))


def test_white_space_before_a_name_stays_outside_it() -> None:
    """Offsets are of the text as it was written, whatever the network reads."""
    text = "见到 \t 陈建军 了"
    (tokens,), (plain,) = CUT([text]), OLD([text])
    assert names(text) == ["陈建军"]
    assert tokens.begins.tolist() == [b for b in plain.begins.tolist() if text[b] not in "建军"]


def test_a_name_does_not_reach_into_the_next_text() -> None:
    first, second = CUT(["谢谢王", "小明很好"])
    assert NAMED not in first.features[:, 0]
    assert second.features[0, 0] == NAMED and second.count == 3  # 小明 is one by itself


def test_a_lexicon_without_the_words_of_persons_reads_every_character() -> None:
    """Where there is no row for persons, none are looked for."""
    (tokens,) = OLD(["王小明很好"])
    assert [WORDS[row - 1] for row in tokens.features[:, 0].tolist()] == ["王", "小", "明", "很", "好"]


def _parts(tokens: Tokens) -> tuple[object, ...]:
    return tokens.features.tolist(), tokens.begins.tolist(), tokens.ends.tolist(), tokens.language, tokens.unknown


LETTERS = "王小明李婷欧阳老师谢高兴阿里纳斯说先生女士我妈 \t\n，a\U0003134a莉"


@given(st.lists(st.text(st.sampled_from(LETTERS), max_size=30), max_size=6))
def test_the_compiled_part_cuts_persons_as_python_does(texts: list[str]) -> None:
    """Also where a text is cut amid a name."""
    cut = Tokeniser(CUT.lexicon, 5)
    compiled, pure = cut(texts), in_python(lambda: cut(texts))
    assert list(map(_parts, compiled)) == list(map(_parts, pure))
    assert [one.truncated for one in compiled] == [one.truncated for one in pure]


@given(st.lists(st.text(st.sampled_from(LETTERS), max_size=20), max_size=6))
def test_a_batch_says_what_each_text_says_alone(texts: list[str]) -> None:
    """Neighbours in a batch change nothing, and a person begins and ends where tokens do without persons."""
    together = CUT(texts)
    assert list(map(_parts, together)) == [_parts(one) for text in texts for one in CUT([text])]
    for one, plain in zip(together, OLD(texts), strict=True):
        assert set(one.begins.tolist()) <= set(plain.begins.tolist()) and set(one.ends.tolist()) <= set(plain.ends.tolist())
        ends = [0, *one.ends.tolist()]
        assert not "".join(one.text[a:b] for a, b in zip(ends, one.begins.tolist(), strict=False)).strip(), "all is covered"
        assert one.truncated == plain.truncated and one.language == plain.language
