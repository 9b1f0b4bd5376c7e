"""What is read for training: bad rows are named, dev rows never get in."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import gzip
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit import export_fixture
from textstream.errors import Misconfigured
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export.data import (
    TESTED_PER_CENT,
    Row,
    held_out,
    is_tested,
    plain_row,
    read_rows,
    read_split,
    read_test,
    read_train,
    split_held_out,
    text_hash,
    unseen_hashes,
)
from textstream_export.encode import find_terms, token_span, token_targets
from textstream_export.pretrain import unlabelled
from textstream_export.soft import read_shard
from textstream_export.sources import BINARY, CHANNELS, LICENCES

REAL = Path(os.environ.get("TEXTSTREAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
real_data = pytest.mark.skipif(not REAL.is_dir(), reason="needs the training data: set TEXTSTREAM_DATA")
TOKENISE = Tokeniser(Lexicon((), 64, 64), 4096)
GOOD: dict[str, Any] = {"text": "fine food", "label": "positive", "lang": "en", "source": "sst2"}


def one_file(folder: Path, *rows: object) -> Path:
    path = folder / "sentiment.en.train.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**GOOD, "label": "happy"}, "unknown label 'happy'"),
        ({**GOOD, "text": ""}, "not blank"),
        ({**GOOD, "text": 5}, "not blank"),
        ({"text": "x", "lang": "en", "source": "sst2"}, "needs `label`"),
        ({"label": "positive"}, "KeyError: 'text'"),
        ("{not json", "JSONDecodeError"),
        ({**GOOD, "aspects": [{"term": "food", "begin": 5, "end": 99, "sentiment": "positive"}]}, "does not stand at"),
        ({**GOOD, "aspects": [{"term": "fish", "begin": 5, "end": 9, "sentiment": "positive"}]}, "does not stand at"),
        ({**GOOD, "aspects": [{"term": "food", "begin": 5, "end": 9, "sentiment": "?"}]}, "unknown sentiment"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: object, said: str) -> None:
    path = one_file(tmp_path, GOOD, row)
    with pytest.raises(Misconfigured) as caught:
        list(read_rows(path))
    assert f"{path}:2: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_a_missing_file_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="is empty"):
        list(read_rows(one_file(tmp_path)))
    with pytest.raises(Misconfigured, match="missing data file"):
        list(read_rows(tmp_path / "none.jsonl.gz"))
    with pytest.raises(Misconfigured, match="no data folder"):
        read_split(tmp_path / "none", "train")


def damaged(how: str) -> bytes:
    content = gzip.compress(json.dumps(GOOD).encode() * 50 + b"\n")
    return {
        "not gzip": json.dumps(GOOD).encode(),
        "cut short": content[:-12],
        "other bytes within": content[:20] + bytes(30) + content[50:],
        "not UTF-8": gzip.compress(json.dumps(GOOD).encode() + "café".encode("latin-1")),
    }[how]


@pytest.mark.parametrize("how", ["not gzip", "cut short", "other bytes within", "not UTF-8"])
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("sentiment.en.train.jsonl.gz", lambda folder: read_rows(folder / "sentiment.en.train.jsonl.gz")),
        ("unlabelled.en.jsonl.gz", lambda folder: unlabelled(folder, ["en"])),
        ("000.jsonl.gz", lambda folder: read_shard(folder / "000.npz")),
    ],
)
def test_a_file_that_is_no_gzip_of_text_is_named(
    tmp_path: Path, name: str, read: Callable[[Path], Iterable[object]], how: str
) -> None:
    (tmp_path / "000.npz").touch()
    (tmp_path / name).write_bytes(damaged(how))
    with pytest.raises(Misconfigured, match="cannot be read as UTF-8 text in gzip") as caught:
        list(read(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / name} ")


@pytest.mark.parametrize("content", [b"", b"not a shard", None])
def test_a_damaged_shard_of_a_teacher_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Cut short, foreign, or of other rows than lie beside it."""
    one_file(tmp_path, GOOD, GOOD).rename(tmp_path / "000.jsonl.gz")
    numbers = {"sentiment": np.zeros((3, 3), np.float16), "tokens": np.zeros((6, 12), np.float16)}
    np.savez(tmp_path / "000.npz", counts=np.array([2, 2, 2]), **numbers)  # type: ignore[arg-type]
    if content is not None:
        (tmp_path / "000.npz").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"000\.npz is no shard of its rows .*: remove it"):
        list(read_shard(tmp_path / "000.npz"))


def test_emoticons_are_taken_out_where_they_made_the_label(tmp_path: Path) -> None:
    path = one_file(tmp_path, {**GOOD, "text": "好[哈哈][泪]", "source": "weibo_senti_20k"}, {**GOOD, "text": "好[哈哈]"})
    assert [row.text for row in read_rows(path)] == ["好", "好[哈哈]"]


def no_test_row_trains(folder: Path) -> None:
    tests = unseen_hashes(folder)
    assert tests > {text_hash(row.text) for row in read_split(folder, "dev")}
    fitted, kept = split_held_out(read_train(folder))
    assert fitted
    trains = {text_hash(row.text) for row in fitted}
    calibrates = {text_hash(row.text) for row in kept}
    assert not tests & trains
    assert not tests & calibrates
    assert not trains & calibrates


def test_no_test_row_trains_or_calibrates(tmp_path: Path) -> None:
    folder = export_fixture.write(tmp_path)
    leaked = {"text": "THE PIZZA is leaked, dev-row", "label": "positive", "lang": "en", "source": "sst2"}
    for split, text in (("dev", leaked["text"]), ("train", "the pizza is leaked , dev - row")):
        path = folder / f"sentiment.en.{split}.jsonl.gz"
        with gzip.open(path, "at", encoding="utf-8") as file:
            file.write(json.dumps({**leaked, "text": text}) + "\n")
    no_test_row_trains(folder)


@real_data
def test_no_test_row_of_the_real_data_trains_or_calibrates() -> None:
    no_test_row_trains(REAL)


def test_held_out_is_a_matter_of_the_text_alone() -> None:
    assert [held_out(f"text {i}") for i in range(200)] == [held_out(f"TEXT  {i}!") for i in range(200)]
    assert 0 < sum(held_out(f"text {i}") for i in range(2000)) < 120


def test_a_source_without_a_dev_file_is_tested_on_its_share_of_train() -> None:
    """The tested rows are chosen by their text, about as many as declared, none of them among those that calibrate."""
    for source, share in TESTED_PER_CENT.items():
        rows = [Row(f"text {i}", "en", source, terms=("text",)) for i in range(4000)]
        chosen = [row for row in rows if is_tested(row)]
        assert abs(len(chosen) / len(rows) - share / 100) < 0.02
        assert not any(held_out(row.text) for row in chosen)
    assert not is_tested(Row(chosen[0].text, "en", "inspec", terms=("text",)))


def test_a_copy_of_a_tested_text_in_another_source_is_not_read_for_training(tmp_path: Path) -> None:
    """A tested tweet that stands among the sentiment rows too trains nothing there either."""
    folder = export_fixture.write(tmp_path)
    text = next(row.text for row in read_test(folder) if row.source == "tweets_kw")
    path = folder / "sentiment.en.train.jsonl.gz"
    with gzip.open(path, "at", encoding="utf-8") as file:
        file.write(json.dumps({**GOOD, "text": text.upper()}) + "\n")
    assert text_hash(text) not in {text_hash(row.text) for row in read_train(folder)}
    with pytest.raises(AssertionError, match="read_train"):
        split_held_out(read_split(folder, "train"))


def test_every_source_has_its_licence() -> None:
    assert BINARY | set(CHANNELS) <= set(LICENCES)


def test_terms_are_found_as_whole_words_the_longest_first() -> None:
    (tokens,) = TOKENISE(["New York pizza, new york Yorkshire NEW"])
    assert find_terms(tokens, ["new york", "York", "new"]) == [(0, 2), (4, 6), (7, 8)]


def test_chinese_terms_are_found_character_by_character() -> None:
    (tokens,) = TOKENISE(["火锅店的火鍋好吃"])
    assert find_terms(tokens, ["火锅"]) == [(0, 2), (4, 6)]


def test_a_row_trains_only_its_own_channel() -> None:
    (tokens,) = TOKENISE(["fine food"])
    targets = token_targets(Row("fine food", "en", "tweets_kw", terms=("food",)), tokens)
    assert targets is not None
    assert targets[0].tolist() == [[0, -1, -1], [1, -1, -1]]


def test_a_row_with_no_gold_in_its_text_is_left_out() -> None:
    (tokens,) = TOKENISE(["fine food"])
    assert token_targets(Row("fine food", "en", "tweets_kw", terms=("fish",)), tokens) is None


@real_data
def test_tokens_can_say_99_per_cent_of_the_gold_aspects() -> None:
    said = total = 0
    for lang in ("en", "zh"):
        rows = list(read_rows(REAL / f"aspects.{lang}.train.jsonl.gz"))
        for row, tokens in zip(rows, TOKENISE([row.text for row in rows]), strict=True):
            for aspect in row.aspects or ():
                begin, end = token_span(tokens, aspect.begin, aspect.end)
                said += end <= tokens.count and (tokens.begins[begin], tokens.ends[end - 1]) == (aspect.begin, aspect.end)
                total += 1
    assert said / total >= 0.99


@pytest.mark.parametrize(
    ("term", "bare"),
    [
        ("《王者荣耀》", "王者荣耀"),
        ("街霸》", "街霸"),
        ("“一带一路”", "一带一路"),
        ("《A》和《B》", "《A》和《B》"),
        ("don't", "don't"),
        ("《", "《"),
    ],
)
def test_gold_terms_lose_the_quotes_around_them(term: str, bare: str) -> None:
    """As what is emitted does; not where a quote stands within, or nothing would be left."""
    row = plain_row({"text": f"on {term} on", "lang": "zh", "source": "cluener", "terms": [term]})
    assert row.terms == (bare,)
