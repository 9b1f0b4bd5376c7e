"""Heads of sentiment trained alone: nothing else moves, and no source's mix of classes is learnt."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit import export_fixture
from textstream.errors import Fatal, Misconfigured
from textstream_export import cli
from textstream_export.data import read_test
from textstream_export.heads import train_heads
from textstream_export.recipe import RECIPES
from textstream_export.run import Run, load, train

SMALL = {"width": 24, "max_words": 500, "affix_rows": 64, "bigram_rows": 256, "gram_rows": 256}
BEFORE = replace(RECIPES["swift"], **SMALL, experts=2, epochs=2, batch_tokens=512, learning_rate=1e-2, twins=0)
HEADS = replace(RECIPES["swift-heads"], **SMALL, experts=4, epochs=60, learning_rate=1e-2)
MANY, SKEW = 600, "goemotions_group"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made rows, and a source in which nearly all is neutral, whatever stands there."""
    folder = export_fixture.write(tmp_path_factory.mktemp("data"))
    for i in range(MANY):
        label = ("negative", "positive")[i % 2] if i % 10 == 0 else "neutral"
        word = {"negative": "awful", "positive": "great", "neutral": "usual"}[label] if i % 3 == 0 else "blue"
        row = {"text": f"reddit says it is {word} no {i}", "label": label, "lang": "en", "source": SKEW}
        export_fixture.append(folder / "sentiment.en.train.jsonl.gz", **row)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(data, BEFORE, out)
    return out


@pytest.fixture(scope="module")
def after(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads")
    train_heads(load(run), data, HEADS, out)
    return out


def test_only_the_heads_of_sentiment_move(run: Path, after: Path) -> None:
    old, new = load(run).network.state_dict(), load(after).network.state_dict()
    heads = {name for name in old if name.startswith(("sentiment.", "expert."))}
    assert len(heads) == 4 and all(len(new[name]) == 2 * len(old[name]) for name in heads)
    assert all(torch.equal(old[name], new[name]) for name in old.keys() - heads)
    assert load(after).before == (load(run).recipe,)


def _said(run: Run, text: str) -> torch.Tensor:
    (tokens,) = run.tokenise(64)([text])
    with torch.inference_mode():
        return run.network(torch.from_numpy(tokens.features).long()[None])[0][0].softmax(-1)


def test_what_texts_say_is_still_known(after: Path, data: Path) -> None:
    rows = [row for row in read_test(data) if row.label]
    labels = ("negative", "neutral", "positive")
    right = [labels[int(_said(load(after), row.text).argmax())] == row.label for row in rows[:60]]
    assert sum(right) > 0.9 * len(right)


def test_how_often_a_source_says_neutral_is_unlearnt(run: Path, after: Path) -> None:
    """Of a text that tells nothing but its source, the run before says what that source mostly says."""
    before, now = (_said(load(folder), "reddit says it is blue no 7")[1].item() for folder in (run, after))
    assert before > 0.75 > 0.65 > now


def test_the_same_recipe_gives_the_same_heads(run: Path, after: Path, data: Path, tmp_path: Path) -> None:
    train_heads(load(run), data, HEADS, tmp_path / "again")
    first, second = (load(folder).network.state_dict() for folder in (after, tmp_path / "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("experts", [1, 3])
def test_heads_that_none_before_begins_are_refused(run: Path, data: Path, tmp_path: Path, experts: int) -> None:
    with pytest.raises(Misconfigured, match="name another run with --from"):
        train_heads(load(run), data, replace(HEADS, experts=experts), tmp_path / "out")


def test_rows_that_the_recipe_does_not_draw_are_missed(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="name another folder with --data"):
        train_heads(load(run), data, replace(HEADS, sources={}), tmp_path / "out")


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_none(run: Path, data: Path, tmp_path: Path) -> None:
    """What was finished in the folder before is no run any more either."""
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(Fatal, match="lower learning_rate"):
        train_heads(load(run), data, replace(HEADS, learning_rate=1e38, epochs=2), tmp_path)
    assert not (tmp_path / "run.json").exists()


def test_the_command_asks_for_the_run_to_go_on_from(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "--recipe", "swift-heads", "--data", str(data), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="78"):
        cli.main(line)
    assert "--from" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="78"):
        cli.main([*line, "--from", str(run)])
    assert "width" in capsys.readouterr().err, "the run is of another shape"
