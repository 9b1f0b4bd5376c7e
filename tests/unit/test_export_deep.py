"""The deep tier from training to a bundle of one network a language, on a small made data set and small made encoders."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from tests.unit import export_fixture
from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream.model import bundle as files
from textstream.model.packing import padded, score
from textstream.model.pieces import FIRST, PAD, UNKNOWN
from textstream.model.scorer import Scorer
from textstream.model.text import cut, normal
from textstream_export import export as exporting
from textstream_export import precision
from textstream_export.data import Row, read_test, read_train, split_held_out
from textstream_export.distil import Choice, distil
from textstream_export.encode import encode, lots_of
from textstream_export.evaluate import evaluate
from textstream_export.export import export
from textstream_export.grammar import made
from textstream_export.heads import train_heads
from textstream_export.network import Network
from textstream_export.recipe import RECIPES
from textstream_export.restore import begun
from textstream_export.run import Run, load, tokeniser
from textstream_export.soft import read_shard
from textstream_export.teacher import teachers_in
from textstream_export.train import fit, save
from textstream_export.transformer import Shape, Transformer
from textstream_export.transformer_onnx import build


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_fixture.write(tmp_path_factory.mktemp("data"))


def train(data: Path, language: str, out: Path, seed: int = 3) -> Path:
    """A run as `run.train` leaves it, but that its encoder is small and starts at random."""
    recipe = replace(
        RECIPES[f"deep-{language}"], epochs=12, frozen_layers=0, twins=0, seed=seed, pretrained_rate=3e-3, learning_rate=3e-3,
        bf16=False, sources=RECIPES["swift"].sources, terms=RECIPES["swift"].terms,
    )  # fmt: skip
    rows, _ = split_held_out(row for row in read_train(data) if row.lang == language)
    words = sorted({normal(surface) for row in rows for surface in cut(row.text)} - {""})
    pieces = [PAD, UNKNOWN, FIRST, *words]
    shape = Shape(len(pieces), width=32, layers=2, heads=2, positions=300)
    vocabulary = {"pieces": pieces, "shape": shape.as_json()}
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    encoded = encode(lots_of(rows), tokeniser(vocabulary, recipe, 100), recipe)
    network = Network(Transformer(shape, pieces.index(FIRST)), shape.width, len(encoded.sources), recipe.dropout)
    save(out, network, vocabulary, recipe, fit(network, encoded, recipe, out))
    return out


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [train(data, language, tmp_path_factory.mktemp(language)) for language in ("en", "zh")]


@pytest.fixture(scope="module")
def bundle(runs: list[Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "deep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "MAX_LOSS", 0.2)  # of a dozen held-out rows one is ten points
        export(runs, data, out)
    return out


def test_one_bundle_answers_in_both_languages_each_by_its_own_network(bundle: Path, data: Path) -> None:
    scorer = Scorer.load(bundle, device="cpu")
    scores = evaluate(scorer, data)
    assert scores["tweeteval_sentiment/macro_recall"] > 0.9
    assert scores["smp2020_usual/macro_f1"] > 0.9
    assert scores["absa_mams/offset_f1"] > 0.8
    assert scores["aste_zh_dianping/offset_f1"] > 0.8
    assert scores["absa_mams/towards/accuracy"] > 0.8


def test_texts_of_all_languages_in_one_batch_keep_their_places(bundle: Path) -> None:
    """Each gets what it gets alone; one in a third language, or without words, gets no answer."""
    scorer = Scorer.load(bundle, device="cpu")
    texts = ["the pizza is great", "这个火锅太差", "Привет, как дела?", "", "the room is awful", "😀", "这个房间很好"]
    together = scorer.score(texts)
    assert [event["sentiment"] is not None for event in together] == [True, True, False, False, True, False, True]
    for text, event in zip(texts, together, strict=True):
        (alone,) = scorer.score([text])
        assert (alone["sentiment"], alone["key_terms"]) == (event["sentiment"], event["key_terms"])


def test_the_graphs_of_both_devices_share_one_file_of_weights(bundle: Path) -> None:
    manifest = files.read(bundle).manifest
    assert sorted(path.name for path in bundle.iterdir()) == sorted([files.MANIFEST, *manifest.files])
    assert {"model.en.weights", "model.zh.weights"} < set(manifest.files)
    for network in manifest.networks:
        (language,) = network.languages
        weights = (bundle / f"model.{language}.weights").stat().st_size
        assert all((bundle / graph).stat().st_size < weights + 60_000 for graph in network.graphs.values())


def test_one_language_is_exported_anew_and_the_others_stay(
    runs: list[Path], bundle: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other language's files, recipe and what its precisions lost are those of the bundle they come from."""
    monkeypatch.setattr(precision, "MAX_LOSS", 0.2)
    other = train(data, "zh", tmp_path / "run", seed=5)
    manifest = export([other], data, tmp_path / "deep", bundle)
    before = files.read(bundle).manifest
    same = {name for name in before.files if manifest.files[name] == before.files[name]}
    assert {"model.en.weights", "model.en.int8.onnx", "model.en.fp16.onnx", "tokenizer.en.json"} <= same
    assert "model.zh.weights" not in same
    assert [run[-1]["seed"] for run in manifest.recipe["runs"]] == [5, before.recipe["runs"][0][-1]["seed"]]
    lost = [name for name in before.scores if name.startswith("precision/") and "/en/" in name]
    assert lost and all(manifest.scores[name] == before.scores[name] for name in lost)
    assert manifest.languages == ("en", "zh")
    assert evaluate(Scorer.load(tmp_path / "deep", device="cpu"), data)["tweeteval_sentiment/macro_recall"] > 0.9


def test_what_each_precision_loses_stands_in_the_manifest_and_the_card(bundle: Path) -> None:
    scores = files.read(bundle).manifest.scores
    for name in ("int8", "fp16"):
        for task in ("sentiment", "key_terms", "key_term_sentiment"):
            assert abs(scores[f"precision/{name}/en/{task}"]) <= 0.2
    assert "| int8 |" in (bundle / files.CARD).read_text(encoding="utf-8")


def test_a_precision_that_loses_too_much_is_not_exported(
    runs: list[Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "MAX_LOSS", -1.0)
    with pytest.raises(Misconfigured, match=r"loses -?\d\.\d\d points"):
        export(runs, data, tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_graphs_that_say_something_else_than_pytorch_are_not_exported(
    runs: list[Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "MAX_LOSS", 0.2)
    monkeypatch.setattr(exporting, "AGREED", 0.0)
    with pytest.raises(Misconfigured, match=r"golden texts: a graph is wrong, not rounded"):
        export(runs, data, tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_one_language_alone_is_a_bundle_that_supports_no_other(
    runs: list[Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "MAX_LOSS", 0.2)
    export(runs[:1], data, tmp_path / "english")
    english, chinese = Scorer.load(tmp_path / "english", device="cpu").score(["the pizza is great", "这个火锅很好"])
    assert english["sentiment"] is not None
    assert chinese["sentiment"] is None and not chinese["language"]["supported"]


def test_runs_that_make_no_bundle_together_are_refused(runs: list[Path], data: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="each language in one of them alone"):
        export([runs[0], runs[0]], data, tmp_path / "deep")


def test_the_weights_are_checked_as_every_file_is(bundle: Path) -> None:
    weights = bundle / "model.en.weights"
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Misconfigured, match=r"model\.en\.weights does not match its digest"):
            Scorer.load(bundle, device="cpu")
    finally:
        weights.write_bytes(whole)


def test_a_bundle_teaches_as_its_runs_do(runs: list[Path], bundle: Path, data: Path, tmp_path: Path) -> None:
    """Whoever has the bundle alone gets the same rows with the same logits, and goes on with no shards of others."""
    few = Choice(most={}, augmented=0, variants=0, splices=0, crops=0, blends=0)
    choices = {"en": few, "zh": few}
    for name, teachers in (("runs", runs), ("bundle", [bundle])):
        distil(data, teachers, tmp_path / name, choices=choices)
    for language in choices:
        by_runs, by_bundle = (dict(read_shard(tmp_path / name / language / "000.npz")) for name in ("runs", "bundle"))
        assert by_runs.keys() == by_bundle.keys() != set()
        for row, one in by_runs.items():
            assert np.allclose(one.sentiment, by_bundle[row].sentiment, atol=0.02)
            assert np.allclose(one.tokens, by_bundle[row].tokens, atol=0.02)
    with pytest.raises(Misconfigured, match="holds what other teachers said"):
        distil(data, [bundle], tmp_path / "runs", choices=choices)


def constants(graph: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    return {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_training_goes_on_from_a_bundle(language: str, bundle: Path, runs: list[Path], tmp_path: Path) -> None:
    """Its network comes back with all that ships of it: written again, no integer and no head is another."""
    found = begun(bundle, tmp_path / "out", (language,))
    assert found.recipe == load(runs[language == "zh"]).recipe and found.units == load(runs[language == "zh"]).units
    before = constants(onnx.load(bundle / f"model.{language}.int8.onnx"))
    after = constants(build(found.network, "int8"))
    assert before.keys() == after.keys()
    for name, value in before.items():
        exact = not name.endswith("_s")
        assert np.array_equal(value, after[name]) if exact else np.allclose(value, after[name], rtol=1e-6), name


def test_its_heads_learn_reports_and_nothing_else_moves(
    bundle: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the bundle alone: what it made of texts stays, in the file of weights to the byte, and so do key terms."""
    recipe = replace(RECIPES["deep-zh-heads"], experts=4, reports=600, share=1.0, epochs=40, learning_rate=2e-2)
    train_heads(begun(bundle, tmp_path / "run", ("zh",)), data, recipe, tmp_path / "run")
    after = load(tmp_path / "run")
    before = begun(bundle, tmp_path, ("zh",))
    old, new = before.network.state_dict(), after.network.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old if not name.startswith("sentiment."))
    assert after.before == (*before.before, before.recipe)
    assert right(after, made("zh", 120, seed=1)) > right(before, made("zh", 120, seed=1)) + 0.1
    collected = [row for row in read_test(data) if row.lang == "zh" and row.label]
    assert right(after, collected) >= right(before, collected) - 0.05
    monkeypatch.setattr(precision, "MAX_LOSS", 0.2)
    manifest = export([tmp_path / "run"], data, tmp_path / "deep", bundle)
    assert manifest.files["model.zh.weights"] == files.read(bundle).manifest.files["model.zh.weights"]


def right(run: Run, rows: Sequence[Row]) -> float:
    """The share of the rows whose label the run gives first."""
    tokens = run.tokenise(100)([row.text for row in rows])
    said = score(tokens, padded(run.infer)).sentiment.argmax(1)
    return float(np.mean([LABELS[label] == row.label for label, row in zip(said.tolist(), rows, strict=True)]))


def test_chinese_persons_are_read_alike(bundle: Path) -> None:
    """Another name, or the other gender, is the same text to the network, and a name is one token."""
    scorer = Scorer.load(bundle, device="cpu")
    one, other, third = scorer.score(["王小明说她的火锅很好", "李娜说他的火锅很好", "欧阳修文说他的火锅很好"])
    assert one["sentiment"] == other["sentiment"] == third["sentiment"] is not None
    assert [tokens.count for tokens in scorer.tokenise(["王小明说好", "欧阳修文说好"])] == [3, 3]


def test_networks_that_cut_texts_in_two_ways_are_no_bundle(runs: list[Path], bundle: Path, data: Path, tmp_path: Path) -> None:
    """Calibration reads each by itself, the service all texts in one way: neither export nor loading takes them together."""
    older = Path(shutil.copytree(bundle, tmp_path / "older"))
    path = older / "tokenizer.en.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"persons_alike": False}))
    manifest = json.loads((older / files.MANIFEST).read_text())
    manifest["files"][path.name] = files.digest(path.read_bytes())
    (older / files.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Misconfigured, match="cut texts in two ways"):
        files.read(older)
    run = Path(shutil.copytree(runs[0], tmp_path / "run"))
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(told | {"recipe": told["recipe"] | {"persons_alike": False}}))
    with pytest.raises(Misconfigured, match="or a --base that was made as they were"):
        export([run], data, tmp_path / "deep", bundle)


def test_a_bundle_that_has_no_network_for_a_language_is_no_beginning(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no network of .* reads en\+zh \(they read en, zh\): name another bundle"):
        begun(bundle, tmp_path / "out", ("en", "zh"))


def test_a_teacher_is_named_once(bundle: Path, data: Path, tmp_path: Path) -> None:
    """Twice, it would count twice in what they say together; and a folder that holds none is told."""
    with pytest.raises(Misconfigured, match="a teacher of en is named twice"):
        distil(data, [bundle, bundle], tmp_path / "soft", choices={"en": Choice(most={})})
    with pytest.raises(Misconfigured, match=r"holds neither a run .* nor a bundle"):
        distil(data, [tmp_path / "nothing"], tmp_path / "soft")


def test_a_bundle_teaches_whoever_made_it(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifest need not say what trained it, and a folder may have the name of a packaged bundle."""
    other = Path(shutil.copytree(bundle, tmp_path / "swift"))
    manifest = json.loads((other / files.MANIFEST).read_text())
    (other / files.MANIFEST).write_text(json.dumps(manifest | {"recipe": {"base": {}}}))
    monkeypatch.chdir(tmp_path)
    assert [one.digest for one in teachers_in(Path("swift"))] == [one.digest for one in teachers_in(bundle)]
