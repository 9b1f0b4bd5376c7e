"""The network of a bundle, read back from its ONNX graph: the inverse of `to_onnx`.

So whoever has a bundle can train on from it. The graph holds the table in 8 bits, one scale a row, and everything else as it
was trained; building the graph of a restored network gives the same graph again.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream.model import bundle as files
from textstream.model.flat import WINDOW, Offsets
from textstream_export.network import Network, Windows
from textstream_export.recipe import Recipe
from textstream_export.run import Run

Constants = Mapping[str, NDArray[np.float32]]


def restore(bundle: files.Bundle, recipe: Recipe, sources: int) -> Run:
    """The bundle's network, to be trained by `recipe` on rows of `sources` sources; its shape is the bundle's.

    Raises Misconfigured for a bundle of another kind of network.
    """
    model = onnx.load(bundle.folder / files.NETWORK)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    try:
        offsets = Offsets.of({each.key: each.value for each in model.metadata_props})
        weights = _weights(constants, len(offsets.windows)) | {"source_bias.weight": np.zeros((sources, len(LABELS)))}
    except (KeyError, ValueError):
        what = "holds another network than swift's: train from swift, or from a bundle that was made from it"
        raise Misconfigured(f"model bundle {bundle.folder} {what}") from None
    lexicon = bundle.lexicon
    recipe = replace(
        recipe,
        width=weights["encoder.table.weight"].shape[1],
        near=offsets.near,
        windows=offsets.windows,
        max_words=len(lexicon.words),
        affix_rows=lexicon.affix_rows,
        bigram_rows=lexicon.bigram_rows,
    )
    network = Network(Windows(recipe, lexicon.rows), recipe.width, sources, recipe.dropout)
    network.load_state_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()})
    return Run(recipe, {"words": list(lexicon.words)}, network.eval())


def _weights(constants: Constants, windows: int) -> dict[str, NDArray[np.float32]]:
    """By the names that the network has for them; a matrix stands transposed in the graph. Raises KeyError."""
    names = {"encoder.beside": "beside", "sentiment": "sentiment", "token": "token", "message": "message"}
    names |= {f"encoder.windows.{at}": f"{WINDOW}{at}" for at in range(windows)}
    return {
        "encoder.table.weight": constants["table_int8"] * constants["table_scale"],
        "sentiment.bias": constants["sentiment_b"],
        "token.bias": constants["message_b"],  # added once a message, to all its units
        **{f"{ours}.weight": constants[f"{theirs}_w"].T for ours, theirs in names.items()},
    }
