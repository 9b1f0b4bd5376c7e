"""The training wing from labelled rows to a bundle that the service loads, on a small made data set."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit import export_fixture
from textstream.errors import Fatal, Misconfigured
from textstream.model import bundle as files
from textstream.model.scorer import Scorer
from textstream.model.tokens import Tokeniser
from textstream_export import cli
from textstream_export.data import read_train, split_held_out
from textstream_export.encode import build_lexicon, encode
from textstream_export.evaluate import evaluate
from textstream_export.export import export, load_run, swap
from textstream_export.golden import texts
from textstream_export.network import Network
from textstream_export.recipe import RECIPES, Recipe
from textstream_export.to_onnx import build, parity
from textstream_export.train import fit, train

TINY = replace(
    RECIPES["swift"], width=16, max_words=500, affix_rows=64, bigram_rows=256, epochs=6, batch_tokens=512, learning_rate=1e-2
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_fixture.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(data, TINY, out)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    export(run, data, out)
    return out


def test_what_was_trained_is_loaded_and_has_learnt_the_data(bundle: Path, data: Path) -> None:
    scores = evaluate(Scorer.load(bundle, device="cpu"), data)
    assert scores["tweeteval_sentiment/macro_recall"] > 0.9
    assert scores["smp2020_usual/macro_f1"] > 0.9
    assert scores["absa_mams/offset_f1"] > 0.8
    assert scores["aste_zh_dianping/offset_f1"] > 0.8


def test_the_manifest_holds_recipe_sources_scores_and_calibration(bundle: Path, data: Path) -> None:
    manifest = files.read(bundle).manifest
    assert manifest.recipe["width"] == TINY.width
    assert {source.name for source in manifest.sources} >= {"tweeteval_sentiment", "smp2020_usual", "absa_mams"}
    assert manifest.scores == evaluate(Scorer.load(bundle, device="cpu"), data)
    assert set(manifest.calibration.sentiment) == {"en", "zh"}
    assert "| tweeteval_sentiment |" in (bundle / files.CARD).read_text(encoding="utf-8")


def test_nothing_is_left_beside_the_bundle(bundle: Path) -> None:
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    assert sorted(path.name for path in bundle.iterdir()) == sorted([files.MANIFEST, *files.FILES])


def test_the_same_recipe_data_and_seed_give_the_same_weights(run: Path, data: Path, tmp_path: Path) -> None:
    train(data, TINY, tmp_path)
    here, there = (load_run(folder)[2].state_dict() for folder in (run, tmp_path))
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_the_graph_says_what_pytorch_says(run: Path) -> None:
    _, lexicon, network = load_run(run)
    model = build(network)
    passes = [tokens.features[None] for tokens in Tokeniser(lexicon, 300)(texts()) if tokens.count]
    assert parity(network, model, passes) < 1e-4


def test_padding_changes_nothing(run: Path) -> None:
    _, lexicon, network = load_run(run)
    network.eval()
    (tokens,) = Tokeniser(lexicon, 300)(["the front desk is great"])
    ids = torch.from_numpy(tokens.features.astype(np.int64))[None]
    padded = torch.cat([ids, torch.zeros(1, 9, ids.shape[2], dtype=torch.int64)], 1)
    with torch.no_grad():
        alone, beside = network(ids), network(padded)
    assert torch.allclose(alone[0], beside[0], atol=1e-5)
    assert torch.allclose(alone[1], beside[1][:, : ids.shape[1]], atol=1e-5)


def test_a_loss_that_is_not_a_number_ends_the_run(data: Path) -> None:
    wild = replace(TINY, learning_rate=1e30, epochs=1)
    rows, _ = split_held_out(read_train(data))
    lexicon = build_lexicon(rows, wild)
    with pytest.raises(Fatal, match="lower learning_rate"):
        fit(encode(rows, Tokeniser(lexicon, 100), wild), lexicon, wild)


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path: Path, data: Path) -> None:
    with pytest.raises(Misconfigured, match="not a finished run"):
        export(tmp_path, data, tmp_path / "out")


def test_the_last_good_bundle_stays_when_an_export_fails(bundle: Path, run: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(bundle, tmp_path / "place"))
    with pytest.raises(Misconfigured, match="no data folder"):
        export(run, tmp_path / "no data", place)
    assert Scorer.load(place, device="cpu").info == Scorer.load(bundle, device="cpu").info


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textstream_export import export as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_graph", full)
    with pytest.raises(Misconfigured, match="No space left on device"):
        export(run, data, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_swap_replaces_a_folder(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    swap(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "which").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_recipe_is_written_and_read_back_as_it_was(run: Path) -> None:
    assert load_run(run)[0] == TINY
    assert isinstance(load_run(run)[0], Recipe)


def test_one_network_stands_for_a_recipe() -> None:
    torch.manual_seed(1)
    assert sum(p.numel() for p in Network(TINY, 100, 3).parameters()) < 10_000


def test_the_commands_evaluate_and_verify(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["evaluate", "--bundle", str(bundle), "--data", str(data), "--json"])
    assert json.loads(capsys.readouterr().out)["absa_mams/rows"] > 0
    cli.main(["verify", "--bundle", str(bundle)])
    assert "golden outputs match" in capsys.readouterr().out


def test_a_wrong_command_line_is_one_line_and_an_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")])
    assert caught.value.code == 78
    assert capsys.readouterr().err.splitlines() == [
        f"textstream-export: no data folder at {tmp_path / 'none'}: "
        "name the folder that holds sentiment.en.train.jsonl.gz with --data"
    ]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "NEEDED", ("torch_that_is_not_there",))
    with pytest.raises(SystemExit) as caught:
        cli.main(["verify"])
    assert caught.value.code == 78
    assert "pip install 'textstream[export]'" in capsys.readouterr().err
