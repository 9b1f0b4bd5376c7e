"""What training goes on from: a finished run, or the network of a bundle, read back from its ONNX graph.

So whoever has a bundle can train on from it. The graph holds the table in 8 bits, one scale a row, and everything else as it
was trained; the graph of a restored network is the same graph again.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream.model import bundle as files
from textstream.model.flat import WINDOW, Offsets
from textstream.model.tokens import Lexicon
from textstream_export.network import Network, Windows
from textstream_export.recipe import Recipe, passes_in
from textstream_export.run import TABLE, Run, load, vocabulary_of
from textstream_export.train import RUN

Constants = Mapping[str, NDArray[np.float32]]


def begun(folder: Path, out: Path) -> Run:
    """The run in `folder`, or that of the bundle there, for one in `out` to go on from.

    Raises Misconfigured where there is neither, and where the new run would take the place of the one that it needs.
    """
    if folder.resolve() == out.resolve():
        raise Misconfigured(f"the run at {folder} cannot go on into its own folder: name another with --out")
    found = found_in(folder)
    if isinstance(found, Run):
        return found
    if "runs" not in found.manifest.recipe:
        raise Misconfigured(f"{folder} was trained on labels of your own: name the one that it was made from with --from")
    (*before, last), *_ = passes_in(found.manifest.recipe)
    return replace(restore(found, last), before=tuple(before))


def found_in(folder: Path) -> files.Bundle | Run:
    """The bundle or the run that the folder holds. Raises Misconfigured where there is neither."""
    if (folder / files.MANIFEST).is_file():
        return files.read(folder.resolve())  # a bare name would be one that is packaged
    if (folder / RUN).is_file():
        return load(folder)
    what = f"{folder} holds neither a run ({RUN}) nor a bundle ({files.MANIFEST})"
    raise Misconfigured(f"{what}: name a folder that textstream-export train or export wrote")


def restore(bundle: files.Bundle, recipe: Recipe) -> Run:
    """The bundle's network, to be trained on by `recipe`; the shape is the bundle's, and it knows of no source.

    Raises Misconfigured for a network of another kind.
    """
    (lexicon, *_), (network, *_) = bundle.vocabularies, bundle.manifest.networks
    if not isinstance(lexicon, Lexicon):
        raise _another(bundle)
    model = onnx.load(bundle.folder / network.graphs["cpu"])
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    try:
        offsets = Offsets.of({each.key: each.value for each in model.metadata_props})
        weights = _weights(constants, len(offsets.windows))
    except (KeyError, ValueError):
        raise _another(bundle) from None
    recipe = replace(
        recipe,
        width=constants["table_int8"].shape[1],
        near=offsets.near,
        windows=offsets.windows,
        max_words=len(lexicon.words),
        chinese_words=len(lexicon.chinese),
        affix_rows=lexicon.affix_rows,
        bigram_rows=lexicon.bigram_rows,
        weighed="weigh_w" in constants,
        experts=weights["sentiment.weight"].shape[0] // len(LABELS),
    )
    weights["source_bias.weight"] = np.zeros((0, len(LABELS)), np.float32)  # left behind at export
    restored = Network(Windows(recipe, lexicon.rows), recipe.width, 0, recipe.dropout, recipe.experts)
    restored.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return Run(recipe, vocabulary_of(lexicon), restored.eval())


def _weights(constants: Constants, windows: int) -> dict[str, NDArray[np.float32]]:
    """By the names that the network has for them; a matrix stands transposed in the graph. Raises KeyError."""
    head = "said" if "said_w" in constants else "sentiment"  # of several experts, or of one
    names = {"encoder.beside": "beside", "sentiment": head, "token": "token", "message": "message"}
    names |= {f"encoder.windows.{at}": f"{WINDOW}{at}" for at in range(windows)}
    names |= {ours: theirs for ours, theirs in (("encoder.weigh", "weigh"), ("expert", "expert")) if f"{theirs}_w" in constants}
    biases = {"expert.bias": constants["expert_b"]} if "expert_b" in constants else {}
    return {
        TABLE: constants["table_int8"] * constants["table_scale"].astype(np.float32).reshape(-1, 1),
        "sentiment.bias": constants[f"{head}_b"],
        **biases,
        "token.bias": constants["message_b"],  # added once a message, to all its units
        **{f"{ours}.weight": constants[f"{theirs}_w"].T for ours, theirs in names.items()},
    }


def _another(bundle: files.Bundle) -> Misconfigured:
    what = "holds another network than swift's: train from swift, or from a bundle that was made from it"
    return Misconfigured(f"model bundle {bundle.folder} {what}")
