"""A bundle that is not what its manifest says is refused, in one line that names the file."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.bundles import SHIPPED, TRAINED, each_shipped
from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.golden import verify
from textstream.model.scorer import MAX_TERMS, Scorer
from textstream.model.session import Session

NETWORK, TOKENIZER = "model.onnx", "tokenizer.json"
FILES = (NETWORK, TOKENIZER, files.GOLDEN, files.CARD)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(files.PACKAGED / "swift", tmp_path / "copy"))


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Scorer.load(folder, device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(folder), *words):
        assert word in message


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / files.MANIFEST).read_text())
    edit(manifest)
    (folder / files.MANIFEST).write_text(json.dumps(manifest))


def change_golden(folder: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    rows = files.golden(folder)
    edit(rows)
    (folder / files.GOLDEN).write_text("".join(json.dumps(row) + "\n" for row in rows))
    change(folder, lambda m: m["files"].update({files.GOLDEN: files.digest((folder / files.GOLDEN).read_bytes())}))


def test_bundles_in_the_repository_stay_small() -> None:
    """No file above 95 MB, which a repository's host may refuse; all together below 200 MB; in the package below 40 MB."""
    sizes = {path: path.stat().st_size for place in (files.PACKAGED, TRAINED) for path in place.rglob("*") if path.is_file()}
    assert max(sizes.values()) < 95e6
    assert sum(sizes.values()) < 200e6
    assert sum(size for path, size in sizes.items() if files.PACKAGED in path.parents) < 40e6


def test_every_bundle_in_the_repository_is_tested_here() -> None:
    assert {path for place in (files.PACKAGED, TRAINED) for path in place.iterdir()} == set(SHIPPED.values())


def test_a_graph_that_says_no_numbers_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that overflows on a device: one line, before a worker reads anything."""
    run = Session._run

    def overflowing(session: Session, feed: Any) -> Any:
        sentiment, tokens = run(session, feed)
        return sentiment * np.float32("nan"), tokens

    monkeypatch.setattr(Session, "_run", overflowing)
    refused(copy, "no numbers")


@each_shipped
def test_a_shipped_bundle_repeats_its_golden_outputs_in_both_languages(name: str) -> None:
    """Loading checks every digest and golden output; then it answers."""
    events = Scorer.load(SHIPPED[name], device="cpu").score(["I love this phone", "这部手机很好用"])
    assert [(event["language"]["code"], event["sentiment"] and event["sentiment"]["label"]) for event in events] == [
        ("en", "positive"), ("zh", "positive"),
    ]  # fmt: skip


@each_shipped
def test_the_graphs_for_a_gpu_repeat_the_golden_outputs_too(name: str) -> None:
    """Within what a GPU is allowed. Run on the CPU, which rounds a product of halves otherwise than a GPU, but no less."""
    found = files.read(SHIPPED[name])
    manifest = found.manifest
    sessions = [Session({"cpu": found.folder / network.graphs["cuda"]}, "cpu") for network in manifest.networks]
    scorer = Scorer(found, sessions, MAX_TERMS, manifest.calibration.min_salience, manifest.max_tokens)
    scorer.device = "cuda"
    verify(scorer, found.folder)


def test_a_copy_elsewhere_is_the_same_model(copy: Path) -> None:
    assert Scorer.load(copy, device="cpu").info == Scorer.load("swift", device="cpu").info


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_named(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b" ")
    refused(copy, name, "digest")


@pytest.mark.parametrize("name", [files.MANIFEST, *FILES])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    refused(copy, name)


def test_a_manifest_that_is_not_json(copy: Path) -> None:
    (copy / files.MANIFEST).write_text("{")
    refused(copy, files.MANIFEST, "JSON")


def test_another_format_version(copy: Path) -> None:
    change(copy, lambda m: m.update(format_version=2))
    refused(copy, files.MANIFEST, "format version 2")


def test_another_text_preparation(copy: Path) -> None:
    change(copy, lambda m: m.update(text_version=999))
    refused(copy, files.MANIFEST, "text preparation 999")


def test_a_manifest_without_calibration(copy: Path) -> None:
    change(copy, lambda m: m.pop("calibration"))
    refused(copy, files.MANIFEST, "calibration")


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda network: network.update(languages=["en"]), "exactly one network for each of its languages"),
        (lambda network: network.update(languages=["en", "zh", "zh"]), "exactly one network for each of its languages"),
        (lambda network: network["graphs"].pop("cuda"), "a graph for each of cpu and cuda"),
        (lambda network: network.update(tokenizer="../tokenizer.json"), "networks.0.tokenizer"),
        (lambda network: network["graphs"].update(cpu="other.onnx"), "no digest for other.onnx"),
    ],
)
def test_a_network_that_does_not_say_what_it_needs(copy: Path, edit: Callable[[dict[str, Any]], None], what: str) -> None:
    change(copy, lambda m: edit(m["networks"][0]))
    refused(copy, files.MANIFEST, what)


def test_a_network_of_words_beside_another(copy: Path) -> None:
    def split(manifest: dict[str, Any]) -> None:
        (network,) = manifest["networks"]
        manifest["networks"] = [network | {"languages": ["en"]}, network | {"languages": ["zh"]}]

    change(copy, split)
    refused(copy, files.MANIFEST, "reads words beside others")


@pytest.mark.parametrize(
    ("change_to", "what"),
    [
        ({"affix_rows": 0}, "affix_rows and bigram_rows are 1 at least"),
        ({"bigram_rows": 0}, "affix_rows and bigram_rows are 1 at least"),
        ({"words": "word"}, "words are a list of strings"),
        ({"chinese": ["没有", 3]}, "words are a list of strings"),
        ({"chinese": None}, "words are a list of strings"),
    ],
)
def test_a_tokenizer_that_cannot_be_read(copy: Path, change_to: dict[str, Any], what: str) -> None:
    """What is looked up by a remainder needs something to divide by, and words are strings."""
    name = files.read(str(copy)).manifest.networks[0].tokenizer
    content = json.dumps(json.loads((copy / name).read_text()) | change_to).encode()
    (copy / name).write_bytes(content)
    change(copy, lambda m: m["files"].update({name: files.digest(content)}))
    refused(copy, name, what)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda m: m["calibration"]["sentiment"].pop("zh"), "lacks the calibration of sentiment in zh"),
        (lambda m: m["calibration"]["towards"].pop("en"), "lacks the calibration of towards in en"),
        (lambda m: m["calibration"]["terms"].pop("zh"), "lacks the calibration of terms of kind phrase in zh"),
        (lambda m: m["calibration"]["terms"]["en"].pop("aspect"), "lacks the calibration of terms of kind aspect in en"),
        (lambda m: m["calibration"]["sentiment"]["en"].update(bias=[float("nan"), 0, 0]), "calibration.sentiment.en.bias"),
        (lambda m: m["golden_tolerance"].pop("cuda"), "lacks golden_tolerance for cuda"),
        (lambda m: m["golden_tolerance"].update(cpu=float("nan")), "golden_tolerance.cpu"),
        (lambda m: m["golden_tolerance"].update(cpu=float("inf")), "golden_tolerance.cpu"),
        (lambda m: m["golden_tolerance"].update(cuda=-0.01), "golden_tolerance.cuda"),
        (lambda m: m["golden_tolerance"].update(cuda=1), "golden_tolerance.cuda"),
    ],
)
def test_what_scoring_would_look_up_or_reckon_with_is_there_and_a_number(
    copy: Path, edit: Callable[[dict[str, Any]], None], what: str
) -> None:
    """A bundle that would fail at its first text of a language, or whose golden check would pass anything, is not loaded."""
    change(copy, edit)
    refused(copy, files.MANIFEST, what)


@pytest.mark.parametrize("content", [b'{"text": "caf\xe9"}\n', b"{\n"])
def test_golden_inputs_that_are_not_json_in_utf_8(copy: Path, content: bytes) -> None:
    (copy / files.GOLDEN).write_bytes(content)
    change(copy, lambda m: m["files"].update({files.GOLDEN: files.digest(content)}))
    refused(copy, files.GOLDEN, "is not JSON lines in UTF-8")


def test_a_golden_probability_that_is_no_number_matches_nothing(copy: Path) -> None:
    change_golden(copy, lambda rows: rows[3]["analysis"]["sentiment"]["probabilities"].update(neutral=float("nan")))
    refused(copy, files.GOLDEN, "input 3 scores differently")


def test_a_manifest_without_a_digest(copy: Path) -> None:
    change(copy, lambda m: m["files"].pop(NETWORK))
    refused(copy, files.MANIFEST, NETWORK)


def test_golden_outputs_that_this_machine_does_not_repeat(copy: Path) -> None:
    def other(rows: list[dict[str, Any]]) -> None:
        rows[3]["analysis"]["sentiment"]["probabilities"] = {"negative": 0.0, "neutral": 0.0, "positive": 1.0}

    change_golden(copy, lambda rows: other(rows) if rows[3]["analysis"]["sentiment"]["label"] != "positive" else rows.clear())
    refused(copy, files.GOLDEN)


def test_a_golden_term_that_is_not_found_here(copy: Path) -> None:
    def other(rows: list[dict[str, Any]]) -> None:
        surest = max((t for row in rows for t in row["analysis"]["key_terms"]), key=lambda t: t["salience"])
        surest["begin"] += 1

    change_golden(copy, other)
    refused(copy, files.GOLDEN, "differently")


def test_too_few_golden_inputs(copy: Path) -> None:
    change_golden(copy, lambda rows: rows.__delitem__(slice(100, None)))
    refused(copy, files.GOLDEN, "100 inputs")


def test_a_graph_that_onnxruntime_cannot_read(copy: Path) -> None:
    (copy / NETWORK).write_bytes(b"not a graph")
    change(copy, lambda m: m["files"].update({NETWORK: files.digest(b"not a graph")}))
    with pytest.raises(Misconfigured, match="onnxruntime cannot load"):
        Scorer.load(copy, device="cpu")


@pytest.mark.parametrize("name", ["no/such/folder", "missing"])
def test_a_name_that_is_no_folder(name: str) -> None:
    with pytest.raises(Misconfigured, match="no model bundle at"):
        Scorer.load(name)


def test_an_empty_name_is_not_the_folder_that_one_stands_in() -> None:
    with pytest.raises(Misconfigured, match="the name of the model bundle is empty"):
        Scorer.load("")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Misconfigured, match="no model bundle at"):
        Scorer.load(tmp_path / "file")


@each_shipped
def test_the_card_names_every_source_and_the_weights_licence(name: str) -> None:
    bundle = files.read(SHIPPED[name])
    card = (bundle.folder / files.CARD).read_text(encoding="utf-8")
    assert "Licence of the weights" in card
    for source in bundle.manifest.sources:
        assert f"| {source.name} |" in card
        assert source.licence in card
    assert len(files.golden(bundle.folder)) >= 200


def test_the_packaged_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in (files.PACKAGED / "swift").iterdir()) <= 16_000_000


def test_the_better_bundle_names_the_licences_of_the_encoders_that_it_started_from() -> None:
    licence = files.read(SHIPPED["deep"]).manifest.weights_licence
    assert "bge-small-en (MIT" in licence
    assert "bge-small-zh (MIT" in licence
