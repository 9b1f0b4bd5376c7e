"""What messages are like, measured into a bundle, and what a stream of others does to the index."""

import json
import random
import shutil
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.support.bundles import SHIPPED, each_shipped
from tests.unit.export_fixture import write
from textstream import samples
from textstream.bench.run import _text
from textstream.drift import WINDOW_MESSAGES, Drift, Reference
from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.scorer import BATCH, Scorer
from textstream.quality import OTHER, quality
from textstream_export import reference
from textstream_export.cli import main

MESSAGES = [text for line in samples.values() if (text := _text(line)) is not None]


def drawn(seed: int, count: int) -> list[str]:
    """So many messages of the bundled sample."""
    return random.Random(seed).choices(MESSAGES, k=count)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Swift with a reference measured on messages drawn from the bundled sample."""
    folder = tmp_path_factory.mktemp("own")
    bundle = Path(shutil.copytree(SHIPPED["swift"], folder / "bundle"))
    lines = (json.dumps({"text": text}) + "\n" for text in drawn(1, 2 * WINDOW_MESSAGES))
    (folder / "messages.jsonl").write_text("".join(lines))
    main(["reference", "--bundle", str(bundle), "--data", str(folder / "messages.jsonl")])
    return bundle


def drift(scorer: Scorer, texts: list[str]) -> dict[tuple[str, str], float]:
    """The last index of each feature and language, after enough messages for two windows of all."""
    judge, found = Drift(scorer.reference), dict[tuple[str, str], float]()
    endless = cycle(texts)
    for _ in range(0, 5 * WINDOW_MESSAGES, BATCH):
        tokens = scorer.tokenise(list(islice(endless, BATCH)))
        found |= judge.add(quality(zip(tokens, scorer.analyse(tokens), strict=True)))
    return found


def test_messages_of_the_same_kind_do_not_drift_and_others_do(own: Path) -> None:
    """Others drawn from the sample are below 0.1 in every feature; shouted anger and gibberish are above 0.25 in theirs."""
    scorer = Scorer.load(own, device="cpu")
    same = drift(scorer, drawn(2, 5 * WINDOW_MESSAGES))
    features = {(feature, code) for code in ("en", "zh") for feature in ("sentiment", "confidence", "length", "unknown")}
    assert same.keys() == features | {("language", "all")}
    assert max(same.values()) < 0.1, same
    angry = drift(scorer, ["THIS IS THE WORST, I HATE IT!!!", "TERRIBLE!!! NEVER AGAIN", "awful awful AWFUL service"])
    assert angry["sentiment", "en"] > 0.25
    assert angry["language", "all"] > 0.25
    gibberish = drift(
        scorer, ["the qwzxv plomf is grubbelnix", "I vronked a zzyblat and the flurbotz", "my snorfwix is blarghy"]
    )
    assert gibberish["unknown", "en"] > 0.25


def test_a_reference_changes_nothing_but_the_manifest(own: Path) -> None:
    """Digests and golden outputs hold, and every other key of the manifest is what it was."""
    old, new = (json.loads((folder / files.MANIFEST).read_text()) for folder in (SHIPPED["swift"], own))
    told = new.pop("reference")
    old.pop("reference", None)
    assert old == new
    assert told["source"] == reference.OWN
    assert told["texts"] == 2 * WINDOW_MESSAGES


@each_shipped
def test_a_shipped_bundle_has_a_reference(name: str) -> None:
    """Of all its languages and features, measured on thousands of messages of each."""
    found = files.read(SHIPPED[name]).manifest
    assert found.reference is not None
    assert found.reference.features.keys() == set(found.languages)
    assert all(len(features) == 4 for features in found.reference.features.values())
    assert found.reference.texts >= 2 * reference.MOST_TEXTS
    assert found.reference.languages.keys() == {*found.languages, OTHER}


def test_it_is_measured_on_the_unlabelled_messages_of_a_folder(tmp_path: Path) -> None:
    """As `export` does: of each language, and no row with gold."""
    told = reference.measured(Scorer.load("swift", device="cpu"), write(tmp_path))
    assert told.texts == 100
    assert told.source == reference.UNLABELLED


def test_a_bundle_without_a_reference_tells_no_drift() -> None:
    """Nothing is held against nothing."""
    assert Drift(None).add(quality([])) == {}


def test_a_cascade_is_not_judged_by_what_only_one_of_its_models_says(own: Path) -> None:
    """What the second model has a say in was measured by nobody."""
    told = Scorer.load(own, device="cpu").reference
    assert told is not None
    assert all(
        features.keys() == {"length", "unknown"} for features in told.without("sentiment", "confidence").features.values()
    )


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda told: told["features"]["en"].update(length=[0.5, 0.5]), "length has 2 bins"),
        (lambda told: told["languages"].update(en=0.9), "sum to 1"),
        (lambda told: told.update(source=1), "source"),
    ],
)
def test_a_reference_that_no_message_can_be_held_against_is_refused(own: Path, tmp_path: Path, edit, said: str) -> None:
    """Other bins, shares that are none: the bundle is refused and says what to run."""
    folder = Path(shutil.copytree(own, tmp_path / "bundle"))
    manifest = json.loads((folder / files.MANIFEST).read_text())
    edit(manifest["reference"])
    (folder / files.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Misconfigured, match=f"reference.*{said}"):
        files.read(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [('{"text": "fine"}\n{"words": 1}\n', ":2 is not like"), ('{"text": "fine"}\n', "fewer than a worker compares")],
)
def test_messages_that_cannot_be_measured_are_told(tmp_path: Path, content: str, said: str) -> None:
    """With the line that is wrong, or how many are needed."""
    (tmp_path / "mine.jsonl").write_text(content)
    with pytest.raises(Misconfigured, match=said):
        reference.measured(Scorer.load("swift", device="cpu"), tmp_path / "mine.jsonl")


def test_shares_survive_the_manifest() -> None:
    """What is written is what is read."""
    told = Reference(source="x", texts=1, languages={"en": 1.0}, features={"en": {"sentiment": (0.2, 0.3, 0.5)}})
    assert Reference.model_validate_json(told.model_dump_json()) == told
