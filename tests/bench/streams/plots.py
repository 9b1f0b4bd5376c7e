"""Results as plots."""

from pathlib import Path


def comparison(results: Path, plot: Path) -> None:
    """Later."""


def curves(results: Path, plot: Path) -> None:
    """Later."""
