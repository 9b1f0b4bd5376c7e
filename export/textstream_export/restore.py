"""The network of a bundle, read back from its ONNX graph: the inverse of `to_onnx` and of `transformer_onnx`.

So whoever has a bundle can train on from it. The graph holds swift's table, or deep's matrices, in 8 bits with their scales,
and all else as it was trained; the graph of a restored network is the same graph again, but for rounding in deep's matrices.
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
from textstream.model.tokens import Lexicon
from textstream_export.network import Network, Windows
from textstream_export.recipe import Recipe
from textstream_export.run import Run
from textstream_export.transformer import Shape, Transformer

Constants = Mapping[str, NDArray[np.float32]]


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
        affix_rows=lexicon.affix_rows,
        bigram_rows=lexicon.bigram_rows,
        weighed="weigh_w" in constants,
        experts=weights["sentiment.weight"].shape[0] // len(LABELS),
    )
    weights["source_bias.weight"] = np.zeros((0, len(LABELS)), np.float32)  # left behind at export
    restored = Network(Windows(recipe, lexicon.rows), recipe.width, 0, recipe.dropout, recipe.experts)
    restored.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return Run(recipe, {"words": list(lexicon.words)}, restored.eval())


def _weights(constants: Constants, windows: int) -> dict[str, NDArray[np.float32]]:
    """By the names that the network has for them; a matrix stands transposed in the graph. Raises KeyError."""
    head = "said" if "said_w" in constants else "sentiment"  # of several experts, or of one
    names = {"encoder.beside": "beside", "sentiment": head, "token": "token", "message": "message"}
    names |= {f"encoder.windows.{at}": f"{WINDOW}{at}" for at in range(windows)}
    names |= {ours: theirs for ours, theirs in (("encoder.weigh", "weigh"), ("expert", "expert")) if f"{theirs}_w" in constants}
    biases = {"expert.bias": constants["expert_b"]} if "expert_b" in constants else {}
    return {
        "encoder.table.weight": constants["table_int8"] * constants["table_scale"],
        "sentiment.bias": constants[f"{head}_b"],
        **biases,
        "token.bias": constants["message_b"],  # added once a message, to all its units
        **{f"{ours}.weight": constants[f"{theirs}_w"].T for ours, theirs in names.items()},
    }


def restore_of(bundle: files.Bundle, language: str) -> Run:
    """The network that answers for `language`, with the recipes that it was made by. Raises Misconfigured where none does."""
    networks = [network for network in bundle.manifest.networks if language in network.languages]
    if not networks:
        raise Misconfigured(f"model bundle {bundle.folder} has no network for {language}: name another with --from")
    made = [tuple(map(Recipe.from_json, run)) for run in bundle.manifest.recipe["runs"]]
    *before, recipe = next(run for run in made if language in run[-1].languages)
    if not recipe.is_pretrained:
        return replace(restore(bundle, recipe), before=tuple(before))
    return _transformer(bundle, networks[0], recipe, tuple(before))


def _transformer(bundle: files.Bundle, network: files.NetworkFiles, recipe: Recipe, before: tuple[Recipe, ...]) -> Run:
    vocabulary = bundle.vocabularies[bundle.manifest.networks.index(network)]
    if isinstance(vocabulary, Lexicon):
        raise _another(bundle)
    pieces: tuple[str, ...] = vocabulary
    model = onnx.load(bundle.folder / network.graphs["cpu"])
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    heads = next(a.i for node in model.graph.node for a in node.attribute if a.name == "num_heads")
    layers = sum(name.endswith("_qkv_w") for name in constants)
    width = constants["norm_g"].shape[0]
    shape = Shape(len(pieces), width, layers, heads, constants["positions_all"].shape[0])
    weights = {name: torch.tensor(value) for name, value in _transformer_weights(constants, layers).items()}
    experts = weights["sentiment.weight"].shape[0] // len(LABELS)
    encoder = Transformer(shape, int(constants["first_id"]))
    restored = Network(encoder, width, 0, recipe.dropout, experts)
    restored.load_state_dict(weights)
    recipe = replace(recipe, experts=experts)
    return Run(recipe, {"pieces": list(pieces), "shape": shape.as_json()}, restored.eval(), before)


def _transformer_weights(constants: Constants, layers: int) -> dict[str, NDArray[np.float32]]:
    """By the names that the network has for them. Raises KeyError for another graph."""
    norms = {"encoder.norm": "norm"}
    linears: dict[str, str] = {}
    for i in range(layers):
        ours, theirs = f"encoder.layers.{i}", f"layer{i}"
        norms |= {f"{ours}.{name}_norm": f"{theirs}_{name}_norm" for name in ("attended", "outer")}
        linears |= {f"{ours}.{name}": f"{theirs}_{name}" for name in ("attended", "inner", "outer")}
        linears[f"{ours}.query_key_value"] = f"{theirs}_qkv"
    head = "said" if "said_w" in constants else "sentiment"  # of several experts, or of one
    plain = {"sentiment": head, "token": "each"} | ({"expert": "expert"} if "expert_w" in constants else {})
    return {
        "encoder.words.weight": constants["words_w"] * constants["words_s"],
        "encoder.positions.weight": constants["positions_all"],
        "message.weight": constants["message_w"].T,
        "source_bias.weight": np.zeros((0, len(LABELS)), np.float32),
        **{f"{ours}.weight": constants[f"{theirs}_g"] for ours, theirs in norms.items()},
        **{f"{ours}.weight": (constants[f"{theirs}_w"] * constants[f"{theirs}_s"]).T for ours, theirs in linears.items()},
        **{f"{ours}.weight": constants[f"{theirs}_w"].T for ours, theirs in plain.items()},
        **{f"{ours}.bias": constants[f"{theirs}_b"] for ours, theirs in (norms | linears | plain).items()},
    }


def _another(bundle: files.Bundle) -> Misconfigured:
    what = "holds another network than swift's: train from swift, or from a bundle that was made from it"
    return Misconfigured(f"model bundle {bundle.folder} {what}")
