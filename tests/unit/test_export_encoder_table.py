"""The table of encoders: trained on the same rows, judged by the events of their bundles, timed on the same messages."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit import export_fixture
from tests.unit.test_export_encoders import TINY
from textstream.errors import Misconfigured
from textstream_export import cli, encoder_table
from textstream_export.encoder_table import COMPARED, MEASURES, compare_encoders
from textstream_export.encoders import ENCODERS
from textstream_export.run import load

SMALL = {name: (replace(TINY, encoder=recipe.encoder, layers=1, epochs=3),) for name, (recipe, *_) in COMPARED.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return export_fixture.write(tmp_path_factory.mktemp("data"), rows=200)


def test_every_encoder_and_every_start_of_its_vectors_is_compared() -> None:
    every = [recipe for recipes in COMPARED.values() for recipe in recipes]
    assert {recipe.encoder for recipe in every} == set(ENCODERS)
    assert {recipe.start for recipe in every} == {"random", "vectors", "skipgram", "bge-small-en", "bge-small-zh"}


def test_an_encoder_is_trained_calibrated_judged_and_timed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each, held-out rows beside dev rows; what stands is not made again, and another share is refused."""
    monkeypatch.setattr(encoder_table, "COMPARED", SMALL)
    cli.main(["encoders", "--data", str(data), "--out", str(tmp_path), "--share", "0.9", "--only", "windows", "GRU"])
    said = (tmp_path / "encoders.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == said.strip()
    head, _, *lines = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in said.strip().splitlines())
    assert head == ["encoder", *MEASURES.values(), "weights beside the table", "messages/s"]
    assert [line[0] for line in lines] == ["windows", "GRU"]
    for _, tweets, sst2, *_, weights, rate in lines:
        assert all(0 < float(value) <= 1 for value in tweets.split(" / "))
        assert sst2 == "– / –"
        assert int(weights.replace(",", "")) > 1000
        assert int(rate.replace(",", "")) > 0
    run = tmp_path / "en-zh-gru-random"
    made = (run / "weights.pt").stat().st_mtime_ns
    compare_encoders(data, tmp_path, 0.9, ["GRU"])
    assert (run / "weights.pt").stat().st_mtime_ns == made
    assert load(run).recipe.share == 0.9
    with pytest.raises(Misconfigured, match="another recipe or --share"):
        compare_encoders(data, tmp_path, 0.5, ["GRU"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "CNN"], "no encoder CNN: --only takes 'windows'"),
        (["--share", "0"], "--share is 0.0"),
        (["--only", "bge-small, pretrained"], "with --packages"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    data: Path, tmp_path: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["encoders", "--data", str(data), "--out", str(tmp_path), *flags])
    assert caught.value.code == 78
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_messages_to_time_it_says_which_files_are_missing(data: Path, tmp_path: Path) -> None:
    for path in data.iterdir():
        if not path.name.startswith("unlabelled"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(Misconfigured, match="unlabelled"):
        compare_encoders(tmp_path, tmp_path / "out", 1.0, ["windows"])
