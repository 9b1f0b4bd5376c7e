"""The plots: small files, the same on every run, and a clear error where they cannot be written."""

from pathlib import Path

import numpy as np
import pytest

from textstream.errors import Misconfigured
from textstream_export.plots import Point, confusion, learning_curves, quality_against_rate, reliability

SURE = np.linspace(0.34, 0.99, 400)
RIGHT = np.arange(400) % 3 != 0


def draw_all(folder: Path, suffix: str) -> list[Path]:
    """One of each."""
    paths = [folder / f"{name}{suffix}" for name in ("confusion", "reliability", "curves", "rate")]
    confusion(np.array([[30, 5, 1], [4, 60, 9], [0, 7, 1200]]), "made", paths[0])
    reliability(SURE, RIGHT, "made", paths[1])
    learning_curves(
        {"seed 1": [(0, 1.0), (10, 0.5)], "seed 2": [(0, 1.1), (10, 0.4)], "none": []}, "step", "loss", "made", paths[2]
    )
    points = [Point("ours", 30_000, 0.72, ours=True), Point("theirs", 900, 0.55)]
    quality_against_rate({"English": points, "Chinese": points, "both": points}, paths[3])
    return paths


def test_plots_are_small_files_in_either_form(tmp_path: Path) -> None:
    """SVG and PNG, each below 100 kB, with the names in the SVG as text that a search finds."""
    for suffix in (".svg", ".png"):
        assert all(2000 < path.stat().st_size < 100_000 for path in draw_all(tmp_path, suffix))
    assert "theirs" in (tmp_path / "rate.svg").read_text()


def test_a_plot_of_the_same_numbers_is_the_same_file(tmp_path: Path) -> None:
    """A plot in the repository changes only when its numbers do."""
    here, there = (draw_all(tmp_path / name, ".svg") for name in ("a", "b"))
    assert [path.read_bytes() for path in here] == [path.read_bytes() for path in there]


def test_a_plot_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    """A file in place of its folder is an error that names the plot."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot write the plot"):
        reliability(SURE, RIGHT, "made", tmp_path / "file" / "plot.svg")
