"""Who labels texts for a student: the network of a run, or one of a bundle's, each with what it reads."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.packing import GPU, Infer, padded
from textstream.model.pieces import WordPieces
from textstream.model.scorer import open_sessions
from textstream.model.tokens import Lexicon
from textstream_export.restore import found_in
from textstream_export.run import Run, tokeniser_of
from textstream_export.soft import Tokenise
from textstream_export.train import WEIGHTS
from textstream_export.transformer_onnx import int8

TEACHER_TOKENS = 192
"""A teacher reads no further: attention costs the square of the length, and no recipe of one trains on more."""
BUNDLE_SEED = 0
"""Of the texts that a bundle labels: what it was trained by may be another bundle's, or not be told."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A network that labels texts."""

    languages: tuple[str, ...]
    units: Lexicon | WordPieces
    """The vocabulary it reads by."""
    digest: str
    """SHA-256 of a run's weights, or of the files of a bundle's network."""
    seed: int
    """Of the order of the texts it labels."""
    tokenise: Tokenise
    on: Callable[[str], Infer]
    """The network itself on a device, "cpu" or "cuda"."""


def teachers_in(folder: Path) -> Iterator[Teacher]:
    """Those of a bundle or of a run. Raises Misconfigured where there is neither."""
    found = found_in(folder)
    if isinstance(found, Run):
        yield _of_run(found, folder)
    else:
        yield from _of_bundle(found)


def _of_run(run: Run, folder: Path) -> Teacher:
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    recipe = run.recipe
    return Teacher(recipe.languages, run.units, digest, recipe.seed, run.tokenise(TEACHER_TOKENS), partial(_run_on, run))


def _run_on(run: Run, device: str) -> Infer:
    """By numbers of 8 bits on a CPU, which has none of 16 that are as fast."""
    if device == "cpu":
        return padded(int8(run.network) if run.recipe.is_pretrained else run.infer)
    run.network.to(torch.device(device))
    return padded(run.infer, GPU)


def _of_bundle(bundle: files.Bundle) -> Iterator[Teacher]:
    """Each network of the bundle, in the numbers that a device has for it."""
    for network, units in zip(bundle.manifest.networks, bundle.vocabularies, strict=True):
        on = partial(_bundle_on, bundle.folder, network)
        tokenise = tokeniser_of(units, TEACHER_TOKENS)
        yield Teacher(network.languages, units, _digest(bundle.manifest, network), BUNDLE_SEED, tokenise, on)


def _digest(manifest: files.Manifest, network: files.NetworkFiles) -> str:
    """Of the network's own files alone: scores, or another language's network, may have changed since."""
    language = "-".join(network.languages)
    weights = [name for name in manifest.files if name.endswith(f".{language}.weights")]
    named = sorted({network.tokenizer, *network.graphs.values(), *weights})
    return hashlib.sha256("\n".join(manifest.files[name] for name in named).encode()).hexdigest()


def _bundle_on(folder: Path, network: files.NetworkFiles, device: str) -> Infer:
    if device == "cpu":
        return open_sessions(folder, [network], "cpu")[0].infer
    try:
        return open_sessions(folder, [network], "cuda")[0].infer
    except Misconfigured as error:
        what = "a bundle teaches by onnxruntime, which found no usable CUDA (pip install 'textstream[gpu]')"
        raise Misconfigured(f"{what}: say --device cpu, or name the run that it was made of ({error})") from None
