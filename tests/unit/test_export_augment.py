"""Augmentation keeps what it promises: offsets, labels, one outcome for one seed."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textstream_export.augment import (
    Edit,
    Rates,
    addressed,
    augmented,
    cased,
    contrary,
    detokenised,
    edited,
    filled,
    full_width,
    joined,
    misspelt,
    noisy,
    other_stops,
    pronoun_named,
    regendered,
    renamed,
    spliced,
    substituted,
    traditional,
    truecased,
    twins,
    variant,
)
from textstream_export.data import Aspect, Row
from textstream_export.names import KEPT, KEPT_SURNAMES, RECOGNISED, any_drawn, drawn, surname
from textstream_export.neighbours import COMMON, NEAREST, Neighbours, neighbours

ALWAYS = Rates(*[1.0] * len(Rates.__slots__))
SAID = """the food was n't great , but Emily 's -lrb- new -rrb- `` phone '' did not last . he said her dog
的 服务 不好 ， 小明 他 很 喜欢 [NAME] _num_ " 12 . 5 ß İ don't 👍🏽 他们 老师 在 没有 so good"""
WORDS = st.sampled_from(SAID.split())


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row of words with spaces, with aspects that do not overlap on some of them, in either language."""
    words = draw(st.lists(st.one_of(WORDS, st.text(min_size=1, max_size=6)), min_size=1, max_size=12))
    gap = draw(st.sampled_from([" ", ""]))
    text = gap.join(words)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    spans = [(b, e) for b, e in zip(cuts[::2], cuts[1::2], strict=False) if text[b:e].strip()]
    lang, source = draw(st.sampled_from([("en", "absa_laptop14"), ("en", "sst2"), ("zh", "absa_zh")]))
    return Row(text, lang, source, label="positive", aspects=tuple(Aspect(b, e, "negative") for b, e in spans))


def text_row(text: str, lang: str = "en", source: str = "sst2") -> Row:
    """A negative row of a source that was cut into tokens."""
    return Row(text, lang, source, label="negative")


@given(rows(), st.integers())
def test_an_augmented_row_keeps_its_labels_and_its_aspects_in_order(row: Row, seed: int) -> None:
    """Label, language and source hold; every aspect stands on text that is not blank, in the order it had."""
    done = augmented(row, Random(seed), ALWAYS)
    assert (done.label, done.lang, done.source) == (row.label, row.lang, row.source)
    assert row.aspects is not None and done.aspects is not None
    assert [a.sentiment for a in done.aspects] == [a.sentiment for a in row.aspects]
    assert all(0 <= a.begin < a.end <= len(done.text) and done.text[a.begin : a.end].strip() for a in done.aspects)
    assert all(a.end <= b.begin for a, b in zip(done.aspects, done.aspects[1:], strict=False))


@given(rows(), st.data())
def test_aspects_move_with_their_words(row: Row, data: st.DataObject) -> None:
    """Whatever is put in between aspects, each still stands on exactly the words it stood on."""
    assert row.aspects is not None
    places = [at for at in range(len(row.text) + 1) if not any(a.begin < at < a.end for a in row.aspects)]
    chosen = data.draw(st.lists(st.sampled_from(places), unique=True, max_size=4))
    done = edited(row, [Edit(at, at, "new words ") for at in chosen])
    assert done.aspects is not None
    assert [done.text[a.begin : a.end] for a in done.aspects] == [row.text[a.begin : a.end] for a in row.aspects]


@given(rows(), rows(), st.integers())
def test_two_rows_in_one_keep_what_is_said_of_each_term(first: Row, second: Row, seed: int) -> None:
    """Both rows' aspects stand on their words with their sentiment, but for the case of the second's first letter."""
    assert first.aspects is not None and second.aspects is not None
    done = joined(first, second, Random(seed))
    said = [(row.text[a.begin : a.end], a.sentiment) for row in (first, second) for a in row.aspects or ()]
    assert done.aspects is not None and (done.source, done.label) == (first.source, None)
    assert [(done.text[a.begin : a.end].casefold(), a.sentiment) for a in done.aspects] == [
        (term.casefold(), mood) for term, mood in said
    ]


@given(rows(), st.integers())
def test_the_same_seed_gives_the_same_row(row: Row, seed: int) -> None:
    """Augmentation is a function of the row and the seed."""
    assert augmented(row, Random(seed)) == augmented(row, Random(seed))
    assert variant(row.text, row.lang, Random(seed)) == variant(row.text, row.lang, Random(seed))


@given(rows(), rows(), st.integers())
def test_nothing_becomes_blank(row: Row, other: Row, seed: int) -> None:
    """A text that says something still says something after every change."""
    if not row.text.strip():
        return
    rng = Random(seed)
    assert augmented(row, rng, ALWAYS).text.strip()
    assert contrary(row.text, row.lang, rng).strip()
    assert variant(row.text, row.lang, rng).strip()
    assert spliced(row.text, other.text, row.lang, rng).strip()


def test_an_edit_that_crosses_an_aspects_border_is_not_made() -> None:
    """An edit across an aspect's border, or one that takes it away, is left out; one inside moves its end."""
    row = Row("fine food here", "en", "absa_tv", aspects=(Aspect(5, 9, "positive"),))
    assert edited(row, [Edit(3, 6, "")]) == row
    assert edited(row, [Edit(5, 9, "")]) == row
    assert edited(row, [Edit(4, 10, "x")]) == row
    inside = edited(row, [Edit(0, 4, "Good"), Edit(6, 8, "OOOO")])
    assert inside.text == "Good fOOOOd here" and inside.aspects == (Aspect(5, 11, "positive"),)


def test_gold_terms_change_with_the_text() -> None:
    """A gold phrase is called what the text now calls it; one that does not stand in the text stays as it is."""
    row = Row("Emily loves BERLIN", "en", "wnut17", terms=("Berlin", "elsewhere"))
    done = edited(row, [Edit(12, 18, "berlinn")])
    assert done.text == "Emily loves berlinn" and done.terms == ("berlinn", "elsewhere")


@pytest.mark.parametrize(
    ("tokenised", "written"),
    [
        ("it does n't work -lrb- at all -rrb- .", "It doesn't work (at all)."),
        ("`` solid '' , they 'll say", '"Solid", they\'ll say'),
        ("he ' s gon na cost $ 1 . 50 !", "He's gonna cost $1.50!"),
        ('" too slow " , i said ; why ?', '"Too slow", I said; why?'),
        ("50 % off and\\/or free . no :) here", "50% off and/or free. No :) here"),
    ],
)
def test_tokenised_text_is_written_as_people_write(tokenised: str, written: str) -> None:
    """Spaces, brackets, quotes and capitals of a tokenised source become those of a live message."""
    assert truecased(detokenised(text_row(tokenised), Random(0))).text == written


def test_an_aspect_of_a_tokenised_text_keeps_its_place() -> None:
    """Taking spaces out before an aspect moves it by as many."""
    row = Row("it 's -lrb- the -rrb- screen 's fault .", "en", "absa_laptop14", aspects=(Aspect(22, 28, "negative"),))
    done = detokenised(row, Random(0))
    assert done.text == "it's (the) screen's fault." and done.aspects == (Aspect(11, 17, "negative"),)


@pytest.mark.parametrize(
    ("text", "swapped", "lang"),
    [
        ("She told him that her mother hates his car.", "He told her that his father hates her car.", "en"),
        ("I saw her yesterday. Mr Wong is her boss", "I saw him yesterday. Mrs Wong is his boss", "en"),
        ("Oh man, the KING is here", "Oh man, the QUEEN is here", "en"),
        ("他和他女朋友来了，其他人没来", "她和她男朋友来了，其他人没来", "zh"),
        ("李先生说他妈的吉他坏了", "李女士说他妈的吉他坏了", "zh"),
    ],
)
def test_gender_is_swapped_in_every_word(text: str, swapped: str, lang: str) -> None:
    """Pronouns by their part of speech, nouns of kin and address, with the case they had; outcries stay."""
    assert regendered(text_row(text, lang)).text == swapped


def test_a_name_becomes_another_everywhere() -> None:
    """The same name is the same other name in one text; a word that only looks like one stays."""
    done = renamed(text_row("Emily called. I like Emily, not the emily of old."), Random(1)).text
    first = done.split(" ")[0]
    assert first != "Emily" and done == f"{first} called. I like {first}, not the emily of old."
    assert renamed(text_row("阿依古丽很好", "zh"), Random(1)).text.endswith("很好")
    assert pronoun_named(text_row("she is late"), Random(1)).text.endswith(" is late")
    assert pronoun_named(text_row("其他人说他来了", "zh"), Random(1)).text.startswith("其他人说")


def test_a_name_is_put_around_a_message() -> None:
    """Whom it is to, from or about: the message itself stays, and its aspect with it."""
    row = Row("fine food", "en", "absa_tv", aspects=(Aspect(5, 9, "positive"),))
    for seed in range(20):
        done = addressed(row, Random(seed))
        assert done.aspects and done.text[slice(done.aspects[0].begin, done.aspects[0].end)] == "food"
        assert "fine food" in done.text and len(done.text) > len(row.text)


@pytest.mark.parametrize(
    ("text", "lang"), [("she is late", "en"), ("nice phone", "en"), ("他的手机很好", "zh"), ("手机很好", "zh")]
)
def test_twins_differ_in_a_name_or_a_gender_only(text: str, lang: str) -> None:
    """Both twins keep the message's own words and labels, whatever name or gender they have."""
    for seed in range(30):
        one, other = twins(text_row(text, lang), Random(seed))
        assert one.label == other.label == "negative"
        assert one.text[-4:] == other.text[-4:] == text[-4:]
        assert one.text != other.text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_name_of_the_suite_is_trained_on(lang: str) -> None:
    """Names drawn for training are thousands, and none is kept for the behaviour suite."""
    rng = Random(0)
    shown = {any_drawn(lang, rng) for _ in range(20_000)}
    assert len(shown) > 3000 and not shown & set(KEPT[lang].every)
    assert not set(RECOGNISED[lang]) & set(KEPT[lang].every)
    assert min(len(KEPT[lang].female), len(KEPT[lang].male)) >= 40
    assert not {surname(rng) for _ in range(20_000)} & set(KEPT_SURNAMES)


def test_a_drawn_name_has_the_gender_asked_for() -> None:
    """Names found in texts become names of the same gender."""
    assert {RECOGNISED["en"].get(drawn("en", "female", Random(seed)), "female") for seed in range(300)} == {"female"}


@pytest.mark.parametrize("seed", range(30))
def test_misspelling_never_takes_a_denial_away(seed: int) -> None:
    """Words that deny stay words that deny, whatever is misspelt around them."""
    said = misspelt(text_row("I never wanted this terrible thing without reading, nothing works"), Random(seed)).text
    assert {"never", "without", "nothing"} <= set(said.replace(",", "").split(" "))


def test_chinese_is_written_in_other_ways() -> None:
    """Traditional characters, full width outside addresses, and ASCII punctuation."""
    row = text_row("发货很慢，客服说2天，见https://t.cn/a1", "zh")
    assert traditional(row).text == "發貨很慢，客服說2天，見https://t.cn/a1"
    assert full_width(row).text == "发货很慢，客服说２天，见https://t.cn/a1"
    assert other_stops(row).text == "发货很慢,客服说2天,见https://t.cn/a1"


def test_placeholders_of_the_sources_are_filled() -> None:
    """No placeholder of a source is left in a text."""
    done = filled(text_row("[NAME] paid _num_ dollars, see <url> <user> <number>"), Random(0)).text
    assert "[" not in done and "_num_" not in done and "<" not in done


@pytest.mark.parametrize("seed", range(20))
def test_noise_stands_around_the_message(seed: int) -> None:
    """What is appended leaves the message as it is, and has no mood other than its label's."""
    done = noisy(text_row("the bus is late"), Random(seed)).text
    assert "the bus is late" in done and len(done) > len("the bus is late")
    assert not set(done) & set("😊😍👍🎉💯")


def test_case_changes_one_character_for_one() -> None:
    """A letter whose other case is longer stays, so that offsets hold."""
    assert {len(cased(text_row("Straße İstanbul"), Random(seed)).text) for seed in range(20)} == {15}


@pytest.mark.parametrize(
    ("text", "lang", "said"),
    [
        ("the room is good", "en", {"the room is not good", "the room isn't good", "the room is bad"}),
        ("I don't love it", "en", {"I do love it", "I don't hate it"}),
        ("这家很好吃", "zh", {"这家很难吃", "这家不好吃", "这家不是很好吃", "这家并不好吃", "这家不怎么好吃"}),
    ],
)
def test_a_contrary_text_says_something_else(text: str, lang: str, said: set[str]) -> None:
    """Denial is put in or taken out, words become their opposites; each is reached, and the text never stays as it was."""
    reached = {contrary(text, lang, Random(seed)) for seed in range(200)}
    assert said <= reached and text not in reached


LIKE = Neighbours({"awful": ("dreadful",), "food": ("soup",)})


@given(st.text(), st.integers())
def test_words_that_nothing_is_like_stay(text: str, seed: int) -> None:
    """Whatever the text, nothing is lost on the way through its tokens."""
    assert substituted(text, Neighbours({}), Random(seed)) == text


def test_words_become_others_like_them_in_their_case() -> None:
    """Some of the words that have neighbours, never others; the space before them stays."""
    said = {substituted("AWFUL  food, awful\tstaff", LIKE, Random(seed)) for seed in range(200)}
    assert said >= {"AWFUL  food, awful\tstaff", "DREADFUL  food, awful\tstaff", "AWFUL  soup, dreadful\tstaff"}
    assert all(text.endswith("\tstaff") for text in said)


def test_the_nearest_words_are_those_whose_vectors_point_the_same_way() -> None:
    """Neither itself, nor a frequent word, nor what is no word, nor what points elsewhere."""
    north, south = ([f"{name}{letter * 3}" for letter in "abcdefghi"] for name in ("north", "south"))
    words = [*(f"of{at}" for at in range(COMMON - 1)), "common", *north, *south, "north9", "北"]
    turn = np.array([0.0 if word.startswith("s") else 1.0 for word in words])
    vectors = np.stack([turn * 2 - 1, np.linspace(0, 0.1, len(words))], 1).astype(np.float32)
    found = neighbours(words, vectors)
    assert {word: set(found.of(word)) for word in north} == {word: set(north) - {word} for word in north}
    assert len(found.of(south[0])) == NEAREST and found.of("common") == found.of("north9") == ()
    assert neighbours(words[: COMMON + NEAREST], vectors[: COMMON + NEAREST]).near == {}
