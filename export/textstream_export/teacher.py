"""Who labels texts for a student: the network of a run, or one of a bundle's, each with what it reads."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from textstream.model import bundle as files
from textstream.model.packing import GPU, Infer, padded
from textstream.model.pieces import PieceTokeniser
from textstream.model.scorer import open_sessions
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export.run import Run, load
from textstream_export.soft import Tokenise
from textstream_export.train import WEIGHTS
from textstream_export.transformer_onnx import int8

TEACHER_TOKENS = 192
"""A teacher reads no further: attention costs the square of the length, and no recipe of one trains on more."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A network that labels texts."""

    languages: tuple[str, ...]
    units: Lexicon | tuple[str, ...]
    """The vocabulary it reads by."""
    digest: str
    """SHA-256 of the run's weights, or that of the whole bundle."""
    seed: int
    """Of its last training."""
    tokenise: Tokenise
    opened: Callable[[str], Infer]
    """The network itself, on a device: "cpu" or "cuda"."""


def teachers_in(folder: Path) -> Iterator[Teacher]:
    """Those of a bundle or of a run. Raises Misconfigured where there is neither."""
    if (folder / files.MANIFEST).is_file():
        yield from _of_bundle(files.read(folder))
    else:
        yield _of_run(load(folder), folder)


def _of_run(run: Run, folder: Path) -> Teacher:
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    recipe = run.recipe
    return Teacher(recipe.languages, run.units, digest, recipe.seed, run.tokenise(TEACHER_TOKENS), partial(_network, run))


def _network(run: Run, device: str) -> Infer:
    """By numbers of 8 bits on a CPU, which has none of 16 that are as fast."""
    if device == "cpu":
        return padded(int8(run.network) if run.recipe.is_pretrained else run.infer)
    run.network.to(torch.device(device))
    return padded(run.infer, GPU)


def _of_bundle(bundle: files.Bundle) -> Iterator[Teacher]:
    """Each network of the bundle, in the numbers that a device has for it."""
    manifest = bundle.manifest
    for network, units, passes in zip(manifest.networks, bundle.vocabularies, manifest.recipe["runs"], strict=True):
        read = Tokeniser(units, TEACHER_TOKENS) if isinstance(units, Lexicon) else PieceTokeniser(units, TEACHER_TOKENS)
        yield Teacher(
            network.languages, units, bundle.info["digest"], passes[-1]["seed"], read, partial(_opened, bundle.folder, network)
        )


def _opened(folder: Path, network: files.NetworkFiles, device: str) -> Infer:
    (session,) = open_sessions(folder, [network], "cpu" if device == "cpu" else "cuda")
    return session.infer
