"""A user's own labels: what is read from JSON lines and CSV, and what is said of what cannot be."""

import json
from collections import Counter
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from textstream.docs import REPOSITORY
from textstream.errors import Misconfigured
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export import cli, own
from textstream_export.data import Aspect, Row
from textstream_export.sources import OWN, OWN_ASPECTS, OWN_TERMS

LABELLED = [("fine by me", "positive"), ("no good", "negative"), ("it is a door", "neutral")]
TOKENISE = Tokeniser(Lexicon((), 8, 8), 512)
LANGUAGES = ("en", "zh")


def lines(path: Path, *rows: Any) -> Path:
    """A file with each row on a line: what is not a string, as JSON; one row of each class before."""
    first = [{"text": text, "label": label} for text, label in LABELLED]
    said = [row if isinstance(row, str) else json.dumps(row) for row in [*first, *rows]]
    path.write_text("\n".join(said) + "\n", encoding="utf-8")
    return path


def wrong(path: Path) -> str:
    """What is said of a file that cannot be read."""
    with pytest.raises(Misconfigured) as caught:
        own.read(path)
    return str(caught.value).replace(str(path), "FILE")


def test_a_text_gives_a_row_for_each_task_that_it_is_labelled_for(tmp_path: Path) -> None:
    """A message label, terms and aspects on one line are three rows: each source has one channel."""
    aspect = {"begin": 0, "end": 4, "sentiment": "negative", "term": "cafe"}
    path = lines(
        tmp_path / "my.jsonl", {"id": 7, "text": "cafe is bad", "label": "negative", "terms": ["bad"], "aspects": [aspect]}
    )
    assert own.read(path)[3:] == [
        Row("cafe is bad", "und", OWN, label="negative"),
        Row("cafe is bad", "und", OWN_TERMS, terms=("bad",)),
        Row("cafe is bad", "und", OWN_ASPECTS, aspects=(Aspect(0, 4, "negative"),)),
    ]


def test_csv_is_read_as_json_lines_are(tmp_path: Path) -> None:
    """Quoted commas, quotes and line ends, a spreadsheet's mark, blank lines, other columns, and lists as JSON."""
    path = tmp_path / "my.csv"
    content = (
        "\ufefftext,id,label,aspects\r\n"
        '"not, ""good"", no",1,negative,\r\n'
        "\r\n"
        '"two\nlines\u2028here",2,neutral,\r\n'
        '很好,3,positive,"[{""begin"": 0, ""end"": 2, ""sentiment"": ""positive""}]"\r\n'
    )
    path.write_bytes(content.encode("utf-8"))
    assert own.read(path) == [
        Row('not, "good", no', "und", OWN, label="negative"),
        Row("two\nlines\u2028here", "und", OWN, label="neutral"),
        Row("很好", "und", OWN, label="positive"),
        Row("很好", "und", OWN_ASPECTS, aspects=(Aspect(0, 2, "positive"),)),
    ]


@pytest.mark.parametrize(
    "page", [cli.LABELS_OF_YOUR_OWN, str(own.__doc__), (REPOSITORY / "README.md").read_text(encoding="utf-8")]
)
def test_the_examples_that_are_shown_are_read(tmp_path: Path, page: str) -> None:
    """Help, module and README show lines that can be read, one of each task."""
    tasks = ("label", "terms", "aspects")
    shown = [line for line in map(str.strip, page.splitlines()) if line.startswith('{"text"') and any(t in line for t in tasks)]
    assert len(shown) == 3
    found = {row.source for row in own.read(lines(tmp_path / "my.jsonl", *shown))}
    assert found == {OWN, OWN_TERMS, OWN_ASPECTS}


def test_the_same_label_twice_is_read_once(tmp_path: Path) -> None:
    """Copies of a line, but for white space around the text and the order of terms, weigh no more than one."""
    path = lines(tmp_path / "my.jsonl", {"text": "no good", "label": "negative"}, {"text": " no good ", "label": "negative"},
                 *({"text": "a cat", "terms": terms} for terms in (["a", "cat"], ["cat", "a", "a"])))  # fmt: skip
    assert [row.text for row in own.read(path)] == [*(text for text, _ in LABELLED), "a cat"]


def messages(path: Path, counts: dict[str, dict[str, tuple[int, int]]]) -> Path:
    """A file with so many messages of each language and class: (that are held out, that are not)."""
    with path.open("w", encoding="utf-8") as file:
        for language, classes in counts.items():
            texts = (f"message number {i}" if language == "en" else f"第{i}条消息" for i in count())
            rows = [Row(text, language, OWN) for text in islice(texts, 1000)]
            sides = [iter([row.text for row in rows if own.held_out(row) == held_out]) for held_out in (True, False)]
            for label, many in classes.items():
                for side, wanted in zip(sides, many, strict=True):
                    for text in islice(side, wanted):
                        file.write(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")
    return path


ENOUGH = dict.fromkeys(("negative", "neutral", "positive"), (5, 5))


def test_five_messages_of_each_class_train_and_five_calibrate(tmp_path: Path) -> None:
    """So many are enough, in each language; what trains and what calibrates have no text in common."""
    path = messages(tmp_path / "my.jsonl", {"en": ENOUGH, "zh": ENOUGH})
    taught, kept = own.read_to_train(path, TOKENISE, LANGUAGES)
    for rows in (taught, kept):
        assert Counter((row.lang, row.label) for row in rows) == {(lang, label): 5 for lang in LANGUAGES for label in ENOUGH}
    assert {row.text for row in taught}.isdisjoint(row.text for row in kept)
    assert len(own.read_to_calibrate(path, TOKENISE, LANGUAGES)) == 60


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"en": ENOUGH | {"neutral": (0, 20)}},
         "FILE: the English messages that calibrate (30 %) are 5 negative, 0 neutral, 5 positive, and with fewer than 5 "
         "of a class a model unlearns to say it: label about 17 more neutral in English, or leave out the labels of the "
         "English messages, such as 'message number "),
        ({"en": ENOUGH | {"positive": (20, 0), "negative": (5, 4)}},
         "FILE: the English messages that train (70 %) are 4 negative, 5 neutral, 0 positive, and with fewer than 5 of a "
         "class a model unlearns to say it: label about 2 more negative, 8 more positive in English, or leave out the labels"),
        ({"en": ENOUGH, "zh": ENOUGH | {"neutral": (4, 5)}},
         "FILE: the Chinese messages that calibrate (30 %) are 5 negative, 4 neutral, 5 positive"),
    ],
)  # fmt: skip
def test_too_few_of_a_class_are_refused_on_either_side(
    counts: dict[str, dict[str, tuple[int, int]]], said: str, tmp_path: Path
) -> None:
    """Whatever stands in the whole file: what counts is a language, and what of it trains or is held out."""
    path = messages(tmp_path / "my.jsonl", counts)
    with pytest.raises(Misconfigured) as caught:
        own.read_to_train(path, TOKENISE, LANGUAGES)
    assert str(caught.value).replace(str(path), "FILE").startswith(said)


def test_a_class_that_only_other_languages_have_is_refused(tmp_path: Path) -> None:
    """Of all classes there are five, but the negative ones are in Russian, which is left out: English has none of them."""
    path = messages(tmp_path / "my.jsonl", {"en": ENOUGH | {"negative": (0, 0)}})
    with path.open("a", encoding="utf-8") as file:
        for i in range(10):
            file.write(json.dumps({"text": f"Привет, мир {i}", "label": "negative"}) + "\n")
    said = "English messages that calibrate are 0 negative, 10 neutral, 10 positive"
    with pytest.raises(Misconfigured, match=f"{said}, and .* label about 5 more negative in English"):
        own.read_to_calibrate(path, TOKENISE, LANGUAGES)


def test_labels_for_terms_alone_need_no_class(tmp_path: Path) -> None:
    """A file that labels no message has no class that is missing; a language has none where its texts have only terms."""
    path = messages(tmp_path / "my.jsonl", {"zh": ENOUGH})
    with path.open("a", encoding="utf-8") as file:
        for i in range(20):
            file.write(json.dumps({"text": f"update {i}", "terms": ["update"]}) + "\n")
    taught, kept = own.read_to_train(path, TOKENISE, LANGUAGES)
    assert sum(row.source == OWN_TERMS for row in (*taught, *kept)) == 20
    assert len(own.read_to_calibrate(path, TOKENISE, LANGUAGES)) == 50


def test_labels_of_which_none_is_on_a_side_are_refused(tmp_path: Path) -> None:
    """One line, whatever its task, cannot both train and calibrate."""
    rows = [Row(f"update {i}", "en", OWN_TERMS) for i in range(50)]
    for held_out, said in ((True, "all of them are held out"), (False, "none of them is held out")):
        text = next(row.text for row in rows if own.held_out(row) == held_out)
        path = tmp_path / "my.jsonl"
        path.write_text(json.dumps({"text": text, "terms": ["update"]}), encoding="utf-8")
        with pytest.raises(Misconfigured, match=f"too few labels, {said} to calibrate: label more texts"):
            own.read_to_train(path, TOKENISE, LANGUAGES)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "FILE:4: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): write"),
        ("[" * 100_000, "FILE:4: not JSON (maximum recursion depth exceeded"),
        (["a"], "FILE:4: not an object: write"),
        ({"txt": "a", "label": "neutral"}, "FILE:4: no `text`, it has `txt`, `label`: give the labelled text there"),
        ({"text": " ", "label": "neutral"}, "FILE:4: `text` is empty"),
        ({"text": 5, "label": "neutral"}, "FILE:4: `text` is empty, or no string"),
        ({}, "FILE:4: no `text`, it has nothing"),
        ({"text": "a", "lable": "neutral"}, "FILE:4: no label, it has `text`, `lable`: give `label`, `terms` or `aspects`"),
        ({"text": "a", "label": None}, "FILE:4: no label, it has `text`"),
        ({"text": "a", "label": "pos"}, "FILE:4: unknown label 'pos': write one of negative, neutral, positive"),
        ({"text": "a", "label": 1}, "FILE:4: unknown label 1: write one of"),
        ({"text": "a", "label": ["neutral"]}, "FILE:4: unknown label ['neutral']"),
        ({"text": "a", "terms": "a"}, "FILE:4: `terms` is not a list of phrases; write \"terms\": ["),
        ({"text": "a", "terms": []}, "FILE:4: `terms` is not a list of phrases"),
        ({"text": "a cat", "terms": ["dog"]}, "FILE:4: term 'dog' does not stand in the text, in whole words"),
        ({"text": "a cat", "terms": ["ca"]}, "FILE:4: term 'ca' does not stand in the text"),
        ({"text": "a cat", "terms": [""]}, "FILE:4: term '' does not stand in the text"),
        ({"text": "a cat", "aspects": "cat"}, "FILE:4: `aspects` is not a list"),
        ({"text": "a cat", "aspects": ["cat"]}, "FILE:4: aspect 'cat' is not an object; write"),
        ({"text": "a cat", "aspects": [{"begin": 2, "end": 5}]}, "FILE:4: `sentiment` is missing; write"),
        ({"text": "a cat", "aspects": [{"begin": 2, "end": 6, "sentiment": "neutral"}]},
         "FILE:4: aspect [2, 6) is outside the text, which has 5 characters"),
        ({"text": "a cat", "aspects": [{"begin": -1, "end": 2, "sentiment": "neutral"}]}, "FILE:4: aspect [-1, 2) is outside"),
        ({"text": "a cat", "aspects": [{"begin": 2, "end": 2, "sentiment": "neutral"}]}, "FILE:4: aspect [2, 2) is outside"),
        ({"text": "a cat", "aspects": [{"begin": "2", "end": 5, "sentiment": "neutral"}]},
         "FILE:4: `begin` and `end` of an aspect are whole numbers, not '2' and 5; write"),
        ({"text": "a cat", "aspects": [{"begin": False, "end": True, "sentiment": "neutral"}]},
         "FILE:4: `begin` and `end` of an aspect are whole numbers, not False and True"),
        ({"text": "a cat", "aspects": [{"begin": 3, "end": 5, "sentiment": "neutral"}]},
         "FILE:4: aspect 'at' at [3, 5) does not begin and end with a word, as 'cat' at [2, 5) does; write"),
        ({"text": "a cat", "aspects": [{"begin": 2, "end": 4, "sentiment": "neutral"}]},
         "FILE:4: aspect 'ca' at [2, 4) does not begin and end with a word, as 'cat' at [2, 5) does"),
        ({"text": "a cat sat", "aspects": [{"begin": 2, "end": 6, "sentiment": "neutral"}]},
         "FILE:4: aspect 'cat ' at [2, 6) does not begin and end with a word, as 'cat' at [2, 5) does"),
        ({"text": "a  cat", "aspects": [{"begin": 1, "end": 3, "sentiment": "neutral"}]},
         "FILE:4: aspect [1, 3) is white space; write"),
        ({"text": "a cat", "aspects": [{"begin": 0, "end": 3, "sentiment": "neutral", "term": "cat"}]},
         "FILE:4: aspect 'cat' is not what stands at [0, 3): 'a c'"),
        ({"text": "a cat", "aspects": [{"begin": 2, "end": 5, "sentiment": "good"}]}, "FILE:4: unknown sentiment 'good'"),
        ({"text": "a cat", "aspects": [{"begin": 2, "end": 5, "sentiment": "neutral"},
                                       {"begin": 0, "end": 5, "sentiment": "neutral"}]},
         "FILE:4: aspects 'a cat' and 'cat' overlap"),
        ({"text": "half \ud83d", "label": "neutral"},
         "FILE:4: `text` has half a character, '\\ud83d', at 5: write both halves, or neither"),
        ('{"text": "a", "label": "neutral", "label": "positive"}',
         "FILE:4: not JSON (a field stands twice in `text`, `label`, `label`): write"),
        ({"text": "no good", "label": "positive"},
         "FILE:4: the text of line 2 again, with another `label`: keep the one that is right"),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named_with_what_to_change(tmp_path: Path, row: Any, said: str) -> None:
    """The error begins with file and line, and says what stands there and what should."""
    assert wrong(lines(tmp_path / "my.jsonl", row)).startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text;label\na;neutral\n", "FILE:1: the columns are text;label: the first line names them, text,label at least"),
        (
            "text,label,text\na,neutral,b\n",
            "FILE:1: the columns are text, label, text: name each once",
        ),
        ("I love it,positive\n", "FILE:1: the columns are I love it, positive: the first line"),
        ("text,label\ngood, really,positive\n", 'FILE:2: 3 fields, the header has 2: put "…" around a text with commas in it'),
        ('text,label\n"a\nb",neutral\n"oh "no" no",negative\n', "FILE:4: not CSV ("),
        ('text,label\n"never closed,neutral\na,neutral\n', "FILE:2: not CSV ("),
        ('text,label\n"a\nb",neutral\nc,maybe\n', "FILE:4: unknown label 'maybe'"),
        ("text,label\n,neutral\n", "FILE:2: no `text`, it has `label`"),
        ("text,label\na,\n", "FILE:2: no label, it has `text`"),
        ("text,terms\na,a\n", "FILE:2: `terms` and `aspects` of a CSV file are JSON lists"),
    ],
)
def test_a_line_of_csv_that_is_wrong_is_named_where_it_begins(tmp_path: Path, content: str, said: str) -> None:
    """Also behind a text that runs over several lines."""
    path = tmp_path / "my.csv"
    path.write_text(content, encoding="utf-8")
    assert wrong(path).startswith(said)


@pytest.mark.parametrize(
    ("name", "content"), [("my.jsonl", b""), ("my.jsonl", b"\n  \n"), ("my.csv", b"text,label\n"), ("my.csv", b"")]
)
def test_a_file_without_labels_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Nothing in it, or only blank lines, or only the names of columns."""
    path = tmp_path / name
    path.write_bytes(content)
    assert wrong(path) == "FILE is empty: write a labelled text on each line"


def test_a_model_is_evaluated_on_whatever_classes_there_are(tmp_path: Path) -> None:
    """Two classes or one are as good as three where nothing is learnt."""
    path = tmp_path / "my.csv"
    path.write_text("text,label\nno good,negative\n", encoding="utf-8")
    assert [row.label for row in own.read(path)] == ["negative"]


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path) -> None:
    """Such as a spreadsheet saved in the encoding of a Western European or Chinese desktop."""
    path = tmp_path / "my.csv"
    path.write_bytes("text,label\nok,neutral\ncafé,positive\n".encode("latin-1"))
    assert wrong(path) == "FILE:3: byte 0xe9 is not UTF-8: save the file as UTF-8"
    path.write_bytes("text,label\n很好,positive\n".encode("gb18030"))
    assert wrong(path).startswith("FILE:2: byte")


def test_a_file_that_is_huge_is_refused_unread(tmp_path: Path) -> None:
    """Its size is enough: a sparse file of a tebibyte is refused at once."""
    path = tmp_path / "my.jsonl"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert wrong(path) == "FILE has 1048576 MiB, at most 256 are read: name a file with fewer rows"


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A folder, a missing file, another format."""
    (tmp_path / "folder.csv").mkdir()
    assert wrong(tmp_path / "folder.csv").startswith("cannot read FILE: Is a directory")
    assert wrong(tmp_path / "none.jsonl").startswith(f"cannot read FILE: No such file or directory; {own.READ}")
    assert wrong(tmp_path / "my.xlsx") == f"FILE cannot be read: {own.READ}, by the end of its name"


@pytest.mark.parametrize(
    ("command", "name"),
    [("calibrate", "labels.txt"), ("evaluate", "labels.txt")]
    + [("train", name) for name in ("labels.txt", "labels", "missing.txt", "missing.jsonl")],
)
def test_a_file_of_another_name_is_told_what_is_read(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is to be done with it: a file that is not there, or not named as labels are, is not taken for our data."""
    if name.startswith("labels"):
        (tmp_path / name).write_text('{"text": "no good", "label": "negative"}\n', encoding="utf-8")
    out = [] if command == "evaluate" else ["--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--data", str(tmp_path / name), *out])
    assert caught.value.code == 78
    assert own.READ in capsys.readouterr().err


def test_columns_that_are_not_read_may_have_one_name(tmp_path: Path) -> None:
    """A spreadsheet names its empty columns alike."""
    path = tmp_path / "my.csv"
    path.write_text("text,label,,\na,neutral,,\n", encoding="utf-8")
    assert own.read(path) == [Row("a", "und", OWN, label="neutral")]


def test_what_is_labelled_far_into_a_text_is_read(tmp_path: Path) -> None:
    """Terms and aspects are looked for to the end of a text, also beyond what a model scores of it."""
    text = "word " * 5000 + "cat"
    raw = {"text": text, "terms": ["cat"], "aspects": [{"begin": len(text) - 3, "end": len(text), "sentiment": "neutral"}]}
    path = tmp_path / "my.jsonl"
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert [row.source for row in own.read(path)] == [OWN_TERMS, OWN_ASPECTS]


def test_texts_in_no_language_that_is_scored_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They would never be scored: it is said how many; where no other is left, that is an error."""
    texts = ("a good update", "😀 update", "https://t.co/x update", "服务很好 update", "Привет мир, как дела update")
    path = tmp_path / "my.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "terms": ["update"]}) for text in texts), encoding="utf-8")
    found = own.read_to_calibrate(path, TOKENISE, LANGUAGES)
    assert [row.lang for row in found] == ["en", "en", "en", "zh"]
    assert "1 of 5 labels are of texts not in English or Chinese, such as 'Привет мир, как" in capsys.readouterr().err
    assert [row.lang for row in own.read_to_calibrate(path, TOKENISE, ["zh"])] == ["zh"]
    assert "4 of 5 labels are of texts not in Chinese, such as 'a good update'; they are left" in capsys.readouterr().err
    with pytest.raises(Misconfigured, match="no text is in de, which is what this model scores"):
        own.read_to_calibrate(path, TOKENISE, ["de"])


def test_a_part_is_held_out_whatever_the_spelling() -> None:
    """Copies of a text that differ in case, spacing and marks fall on the same side: none calibrates what it trained."""
    rows = [Row(f"message number {i}", "en", OWN, label="neutral") for i in range(2000)]
    share = sum(map(own.held_out, rows)) / len(rows)
    assert abs(share - own.HELD_OUT_PER_CENT / 100) < 0.03
    assert all(own.held_out(row) == own.held_out(Row(row.text.upper() + " !", "en", OWN)) for row in rows)
