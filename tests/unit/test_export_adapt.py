"""From a bundle and a user's own labels to a bundle of the user's own, with nothing else of ours."""

import json
import random
import re
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from tests.unit import export_fixture
from tests.unit.test_export_end_to_end import TINY
from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.scorer import Scorer
from textstream.model.spans import EVIDENCE
from textstream_export import adapt, cli
from textstream_export import train as training
from textstream_export.calibrate import NOTHING, Judged, fit_sentiment, refit_salience, refit_sentiment
from textstream_export.evaluate import evaluate
from textstream_export.export import export
from textstream_export.recipe import Recipe
from textstream_export.restore import begun, restore
from textstream_export.run import load, train
from textstream_export.to_onnx import build

SLANG = {"positive": ("zorp", "glimmy"), "negative": ("blick", "fruzzed"), "neutral": ("quont", "mumbly")}
"""What the users of a domain say, in words that no bundle has seen."""

QUICK = replace(adapt.RECIPE, learning_rate=5e-3)
"""A small network, whose table is small too, learns at the rate of small networks."""


TASKS = ("label", "terms", "aspects")


def slang(path: Path, rows: int, seed: int) -> Path:
    """A user's labels: messages in slang, every third with an aspect."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            label = rng.choice(list(SLANG))
            text = f"build {rng.randrange(10_000)} of the gadget is {rng.choice(SLANG[label])}"
            raw: dict[str, Any] = {"text": text, "label": label}
            begin = text.index("gadget")
            if not i % 3:
                raw["aspects"] = [{"begin": begin, "end": begin + 6, "sentiment": label}]
            file.write(json.dumps(raw) + "\n")
    return path


def labelled_for(path: Path, tasks: Sequence[str]) -> Path:
    """A user's labels: messages in slang, each labelled for every one of `tasks`."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(120):
            label = list(SLANG)[i % 3]
            text = f"gadget {i} is {SLANG[label][i % 2]}"
            said = {"label": label, "terms": ["gadget"], "aspects": [{"begin": 0, "end": 6, "sentiment": label}]}
            file.write(json.dumps({"text": text} | {task: said[task] for task in tasks}) + "\n")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of the kind that our bundles are trained on."""
    return export_fixture.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def bundle(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle trained on them."""
    torch.set_num_threads(1)
    run, out = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("bundles") / "tiny"
    train(data, TINY, run)
    export([run], data, out)
    return out


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred labels of a user."""
    return slang(tmp_path_factory.mktemp("labels") / "my.jsonl", 300, seed=1)


@pytest.fixture(scope="module")
def run(bundle: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's network, trained on those labels."""
    out = tmp_path_factory.mktemp("own run")
    adapt.train(labels, bundle, out, QUICK)
    return out


@pytest.fixture(scope="module")
def adapted(run: Path, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's own bundle."""
    out = tmp_path_factory.mktemp("own bundles") / "mine"
    adapt.export(run, labels, out)
    return out


def constants(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The weights of a graph by name."""
    return {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}


def test_a_restored_network_gives_the_graph_again_that_it_was_read_from(bundle: Path, tmp_path: Path) -> None:
    """All weights come back from the bundle alone: the integers of the table and their scales exactly."""
    restored = restore(files.read(bundle), adapt.RECIPE)
    words = files.read(bundle).vocabularies[0]
    assert isinstance(words, files.Lexicon)
    path = tmp_path / "model.onnx"
    path.write_bytes(build(restored.network, words.first_shape).SerializeToString())
    before, after = constants(bundle / "model.onnx"), constants(path)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype and np.allclose(value, after[name], rtol=1e-6, atol=0), name


def test_a_bundle_whose_scales_are_of_32_bits_is_restored_too(bundle: Path, tmp_path: Path) -> None:
    """As those of swift 0.6.0 and before are, a column of them: the same weights come back."""
    older = Path(shutil.copytree(bundle, tmp_path / "older"))
    graph = onnx.load(older / "model.onnx")
    (scales,) = [each for each in graph.graph.initializer if each.name == "table_scale"]
    column = numpy_helper.to_array(scales).astype(np.float32)[:, None]
    scales.CopyFrom(numpy_helper.from_array(column, "table_scale"))
    onnx.save(graph, older / "model.onnx")
    found = files.read(bundle)
    one, other = (restore(replace(found, folder=folder), adapt.RECIPE).network for folder in (bundle, older))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_bundle_of_another_network_is_refused(bundle: Path, labels: Path, tmp_path: Path) -> None:
    """A graph without the parts of swift's, which cannot be trained on, is told from damage."""
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    model = onnx.load(other / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, other / "model.onnx")
    manifest = json.loads((other / files.MANIFEST).read_text())
    manifest["files"]["model.onnx"] = files.digest((other / "model.onnx").read_bytes())
    (other / files.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Misconfigured, match="holds another network than swift's: train from swift"):
        adapt.train(labels, other, tmp_path / "run")


def test_a_few_hundred_labels_teach_a_domain(bundle: Path, adapted: Path, tmp_path: Path) -> None:
    """On messages that were not among the labels, in words that the bundle did not know."""
    test = slang(tmp_path / "test.jsonl", 200, seed=2)
    before, after = (evaluate(Scorer.load(path, device="cpu"), test) for path in (bundle, adapted))
    assert before["own/macro_recall"] < 0.6
    assert after["own/macro_recall"] > 0.95
    assert after["own_aspects/recall"] > 0.95
    assert after["own_aspects/towards/accuracy"] > 0.95
    assert after["own/ece"] < before["own/ece"]


@pytest.mark.parametrize("tasks", [each for count in (1, 2, 3) for each in combinations(TASKS, count)], ids="+".join)
def test_any_of_the_tasks_together_are_learnt(tasks: tuple[str, ...], bundle: Path, tmp_path: Path) -> None:
    """One, two or all three on each line: the run finishes, and its bundle names as sources what was labelled."""
    labels = labelled_for(tmp_path / "my.jsonl", tasks)
    adapt.train(labels, bundle, tmp_path / "run", replace(QUICK, epochs=1))
    made = adapt.export(tmp_path / "run", labels, tmp_path / "mine")
    named = {"label": "own", "terms": "own_terms", "aspects": "own_aspects"}
    learnt = {source.name for source in made.sources} - {source.name for source in files.read(bundle).manifest.sources}
    assert learnt == {named[task] for task in tasks}


def test_what_the_bundle_knew_is_not_forgotten(bundle: Path, adapted: Path, data: Path) -> None:
    """Other texts, the other language, and the tasks that nobody labelled: within what the rounding of a CPU makes of it."""
    before, after = (evaluate(Scorer.load(path, device="cpu"), data) for path in (bundle, adapted))
    measures = ("tweeteval_sentiment/macro_recall", "smp2020_usual/macro_recall", "aste_zh_dianping/recall",
                "aste_zh_dianping/towards/accuracy", "tweets_kw/recall", "absa_mams/recall")  # fmt: skip
    for name in measures:
        assert after[name] > before[name] - 0.15, name


def test_the_manifest_tells_what_the_bundle_was_made_from(bundle: Path, adapted: Path) -> None:
    """Base, recipe, all sources with their licences, and calibration that is the base's where nobody labelled."""
    base, made = files.read(bundle).manifest, files.read(adapted).manifest
    assert made.name == base.name + "-own"
    assert made.recipe["base"]["files"] == base.files
    assert made.recipe["own"]["soft_share"] == adapt.RECIPE.soft_share
    assert {source.name for source in made.sources} - {source.name for source in base.sources} == {"own", "own_aspects"}
    assert made.weights_licence.endswith(base.weights_licence)
    assert made.calibration.sentiment["zh"] == base.calibration.sentiment["zh"]
    assert made.calibration.sentiment["en"] != base.calibration.sentiment["en"]
    assert made.calibration.terms["en"]["phrase"] == base.calibration.terms["en"]["phrase"]
    assert made.calibration.terms["en"]["aspect"] != base.calibration.terms["en"]["aspect"]
    assert made.scores["own/rows"] > 0 and "tweeteval_sentiment/rows" not in made.scores
    assert "textstream-swift" in (adapted / files.CARD).read_text(encoding="utf-8")


def test_the_same_labels_give_the_same_weights(run: Path, bundle: Path, labels: Path, tmp_path: Path) -> None:
    """The bundle, the labels and the recipe decide all."""
    adapt.train(labels, bundle, tmp_path, QUICK)
    here, there = (load(folder).network.state_dict() for folder in (run, tmp_path))
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_a_bundle_of_ones_own_is_trained_on_again(adapted: Path, tmp_path: Path) -> None:
    """More labels later begin from where the first ended; the name does not grow."""
    more = slang(tmp_path / "more.csv.jsonl", 60, seed=3)
    adapt.train(more, adapted, tmp_path / "run")
    manifest = adapt.export(tmp_path / "run", more, tmp_path / "again")
    assert Scorer.load(tmp_path / "again", device="cpu").info["name"] == manifest.name == files.read(adapted).manifest.name


def test_calibration_alone_leaves_the_weights_and_moves_the_chances(bundle: Path, labels: Path, tmp_path: Path) -> None:
    """The graph is the same file; on messages of the same kind the chances are nearer to how often they hold."""
    test = slang(tmp_path / "test.jsonl", 200, seed=2)
    adapt.recalibrate(bundle, labels, tmp_path / "calibrated")
    assert (tmp_path / "calibrated" / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    assert files.read(tmp_path / "calibrated").info["name"] == files.read(bundle).info["name"] + "-own"
    before, after = (evaluate(Scorer.load(path, device="cpu"), test) for path in (bundle, tmp_path / "calibrated"))
    assert after["own/ece"] < before["own/ece"]
    card = (tmp_path / "calibrated" / files.CARD).read_text(encoding="utf-8")
    assert "calibrated on labels of whoever made this bundle" in card and "trained further" not in card


def test_few_rows_that_are_all_told_right_do_not_make_it_certain() -> None:
    """The likeliest temperature is 0 there; of many rows of mixed success it is the one that they were drawn with."""
    rng = np.random.default_rng(0)
    label = np.arange(9) % 3
    right = (4 * np.eye(3)[label] + rng.normal(0, 0.3, (9, 3))).astype(np.float32)
    assert fit_sentiment(right, label).temperature > 0.4
    logits = rng.normal(0, 2, (4000, 3)).astype(np.float32)
    chances = np.exp(logits / 1.3)
    drawn = np.array([rng.choice(3, p=row / row.sum()) for row in chances])
    assert fit_sentiment(logits, drawn).temperature == pytest.approx(1.3, abs=0.06)


def test_few_labels_move_calibration_little_and_none_not_at_all() -> None:
    """It is pulled to what was known; with many labels it is as if nothing had been known."""
    known = files.SentimentCalibration(temperature=1.5, bias=(0.2, -0.1, -0.1))
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6000, 3)).astype(np.float32)
    chances = np.exp(logits / 0.5 + [0.0, 1.0, 0.0])
    label = np.array([rng.choice(3, p=row / row.sum()) for row in chances])
    assert refit_sentiment(known, logits[:0], label[:0]) == known
    few, many = (refit_sentiment(known, logits[:n], label[:n]) for n in (3, 6000))
    assert abs(few.temperature - 1.5) < 0.4
    assert many.temperature == pytest.approx(0.5, abs=0.05)
    assert many.bias[1] - many.bias[0] == pytest.approx(1.0, abs=0.15)
    term = files.TermCalibration(weights=(1.0, *[0.0] * (EVIDENCE - 1)), offset=-1.0)
    evidence = rng.normal(0, 2, (6000, EVIDENCE)).astype(np.float32)
    gold = rng.random(6000) < 1 / (1 + np.exp(-(2 * evidence[:, 0] - evidence[:, 1] + 0.5)))
    assert refit_salience(term, NOTHING) == term
    learnt = refit_salience(term, Judged(evidence, gold, np.ones(6000, np.float32)))
    assert learnt.weights == pytest.approx((2.0, -1.0, *[0.0] * (EVIDENCE - 2)), abs=0.15)


def test_the_commands_train_export_and_calibrate(
    bundle: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the README has them, from labels to a comparison."""
    run, mine, moved = (str(tmp_path / name) for name in ("run", "mine", "moved"))
    test = str(slang(tmp_path / "test.jsonl", 60, seed=2))
    cli.main(["train", "--data", str(labels), "--bundle", str(bundle), "--out", run])
    cli.main(["export", "--run", run, "--data", str(labels), "--out", mine])
    assert "| own | textstream-swift-own |" in capsys.readouterr().out
    cli.main(["calibrate", "--bundle", str(bundle), "--data", str(labels), "--out", moved])
    assert "| own | textstream-swift-own |" in capsys.readouterr().out
    cli.main(["compare", str(bundle), mine, "--data", test, "--json"])
    differences = json.loads(capsys.readouterr().out)
    assert "own" in json.dumps(differences)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "my.jsonl", "--recipe", "swift"], "holds labels of your own: they train --bundle, without a recipe"),
        (
            ["--data", "my.jsonl", "--seed", "0"],
            "holds labels of your own: they train --bundle, without a recipe or its options",
        ),
        (["--data", "my.jsonl", "--device", "cuda"], "labels of your own train on the CPU"),
        (["--data", "folder", "--bundle", "swift"], "--bundle goes with labels of your own: name a .jsonl or .csv file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe is of our data, a bundle of one's own labels."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", *options, "--out", str(tmp_path)])
    assert caught.value.code == 78
    assert said in capsys.readouterr().err


def test_a_run_of_own_labels_without_its_base_is_refused(run: Path, labels: Path, tmp_path: Path) -> None:
    """What it began from was damaged: one line, and nothing is written."""
    other = Path(shutil.copytree(run, tmp_path / "run"))
    (other / adapt.BASE).write_text("{}")
    with pytest.raises(
        Misconfigured, match=r"is not the manifest of a bundle \(format_version: Field required\): train"
    ) as caught:
        adapt.export(other, labels, tmp_path / "mine")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_recipe_trained_over_a_run_of_own_labels_is_exported_as_what_it_is(run: Path, data: Path, tmp_path: Path) -> None:
    """What the folder held before decides nothing: the manifest that the own run began from lies there still."""
    place = Path(shutil.copytree(run, tmp_path / "run"))
    train(data, TINY, place)
    cli.main(["export", "--run", str(place), "--data", str(data), "--out", str(tmp_path / "bundle")])
    assert files.read(tmp_path / "bundle").info["name"] == "textstream-swift"


@contextmanager
def disk_of(most: int) -> Iterator[None]:
    """No file can grow beyond `most` bytes: writing fails within the file, as on a disk that is full."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("most", [0, 3000, 30_000])
def test_a_disk_that_fills_up_during_an_export_leaves_the_last_bundle(
    most: int, run: Path, labels: Path, adapted: Path, tmp_path: Path
) -> None:
    """Whichever file it is that does not fit: one error, the bundle that stood there still loads, nothing lies beside it."""
    place = Path(shutil.copytree(adapted, tmp_path / "mine"))
    with disk_of(most), pytest.raises(Misconfigured, match="nothing was replaced"):
        adapt.export(run, labels, place)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert Scorer.load(place, device="cpu").info == Scorer.load(adapted, device="cpu").info


@pytest.mark.parametrize("most", [10_000, 20_000])
def test_a_disk_that_fills_up_during_training_is_one_line(
    most: int, bundle: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it is that does not fit, the manifest or the weights: no trace, and no run that looks finished."""
    with disk_of(most), pytest.raises(SystemExit) as caught:
        cli.main(["train", "--data", str(labels), "--bundle", str(bundle), "--out", str(tmp_path)])
    assert caught.value.code == 78
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("textstream-export: ")
    assert not (tmp_path / training.RUN).exists()


@pytest.mark.parametrize("name", ["notes.txt", "deep/notes.txt", "manifest.json"])
def test_a_folder_that_is_no_bundle_is_not_replaced(name: str, run: Path, labels: Path, tmp_path: Path) -> None:
    """Whoever names the wrong folder with --out keeps what is in it, also where a manifest of something else is."""
    notes = tmp_path / "work" / name
    notes.parent.mkdir(parents=True)
    notes.write_text('{"files": {"manifest.json": "mine"}}')
    what = re.escape(name.split("/", maxsplit=1)[0])
    with pytest.raises(Misconfigured, match=f"work is not replaced, for {what} is of no bundle: move it away, or name another"):
        adapt.export(run, labels, tmp_path / "work")
    assert notes.read_text() == '{"files": {"manifest.json": "mine"}}'


def test_training_goes_on_from_a_bundle(bundle: Path, tmp_path: Path) -> None:
    """What a bundle holds is a beginning as its run is: the recipes of its passes are kept, and its words and numbers."""
    found = begun(bundle, tmp_path / "out", ("en", "zh"))
    *before, last = map(Recipe.from_json, files.read(bundle).manifest.recipe["runs"][0])
    assert found.before == tuple(before) and (found.recipe.seed, found.recipe.windows) == (last.seed, last.windows)
    assert found.units == files.read(bundle).vocabularies[0]
    with pytest.raises(Misconfigured, match="name another with --out"):
        begun(bundle, bundle, ("en", "zh"))
    with pytest.raises(Misconfigured, match=r"neither a run \(run.json\) nor a bundle \(manifest.json\)"):
        begun(tmp_path, tmp_path / "out", ("en", "zh"))


def test_a_bundle_of_own_labels_is_no_beginning(bundle: Path, tmp_path: Path) -> None:
    """Whose rows trained it is not ours to say again: the bundle before it is named."""
    own = shutil.copytree(bundle, tmp_path / "own")
    told = json.loads((own / files.MANIFEST).read_text(encoding="utf-8"))
    (own / files.MANIFEST).write_text(json.dumps(told | {"recipe": {"own": {}}}), encoding="utf-8")
    with pytest.raises(Misconfigured, match="name the one that it was made from with --from"):
        begun(own, tmp_path / "out", ("en", "zh"))
