"""What training goes on from: a finished run, or a network of a bundle, read back from its ONNX graph.

So whoever has a bundle can train on from it. Tables, and the matrices of a transformer, stand there in 8 bits and everything
else as it was trained; the graph of a restored network is the same graph again.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from textstream.model.pieces import WordPieces
from textstream.model.tokens import Lexicon
from textstream_export.recipe import Recipe, passes_in
from textstream_export.run import TABLE, Run, Vocabulary, load, network_of, vocabulary_of
from textstream_export.train import RUN
from textstream_export.transformer import Shape

Constants = Mapping[str, NDArray[np.float32]]


def begun(folder: Path, out: Path, languages: Sequence[str]) -> Run:
    """The run in `folder`, or that of the bundle there which reads these languages, for one in `out` to go on from.

    Raises Misconfigured where there is none, and where the new run would take the place of the one that it needs.
    """
    if folder.resolve() == out.resolve():
        raise Misconfigured(f"the run at {folder} cannot go on into its own folder: name another with --out")
    found = found_in(folder)
    if isinstance(found, Run):
        return found
    if "runs" not in found.manifest.recipe:
        raise Misconfigured(f"{folder} was trained on labels of your own: name the one that it was made from with --from")
    passes = {made[-1].languages: made for made in passes_in(found.manifest.recipe)}
    for network, vocabulary in zip(found.manifest.networks, found.vocabularies, strict=True):
        if set(network.languages) == set(languages):
            *before, last = passes[network.languages]
            if isinstance(vocabulary, Lexicon):
                return replace(restore(found, last), before=tuple(before))
            try:
                return replace(_transformer(found, network, vocabulary, last), before=tuple(before))
            except KeyError as error:
                what = f"{folder} has a graph of another textstream, which lacks {error}"
                raise Misconfigured(f"{what}: export the bundle again, or name another with --from") from None
    each = ", ".join("+".join(network.languages) for network in found.manifest.networks)
    raise Misconfigured(
        f"no network of {folder} reads {'+'.join(languages)} (they read {each}): name another bundle with --from"
    )


def found_in(folder: Path) -> files.Bundle | Run:
    """The bundle or the run that the folder holds. Raises Misconfigured where there is neither."""
    if (folder / files.MANIFEST).is_file():
        return files.read(folder.resolve())  # a bare name would be one that is packaged
    if (folder / RUN).is_file():
        return load(folder)
    what = f"{folder} holds neither a run ({RUN}) nor a bundle ({files.MANIFEST})"
    raise Misconfigured(f"{what}: name a folder that textstream-export train or export wrote")


def restore(bundle: files.Bundle, recipe: Recipe) -> Run:
    """The bundle's network of words, to be trained on by `recipe`; the shape is the bundle's, and it knows of no source.

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
        experts=len(weights["sentiment.bias"]) // len(LABELS),
    )
    return _run(recipe, vocabulary_of(lexicon), weights)


def _weights(constants: Constants, windows: int) -> dict[str, NDArray[np.float32]]:
    """By the names that the network has for them; a matrix stands transposed in the graph. Raises KeyError."""
    names = {"encoder.beside": "beside", "token": "token"}
    names |= {f"encoder.windows.{at}": f"{WINDOW}{at}" for at in range(windows)}
    names |= {"encoder.weigh": "weigh"} if "weigh_w" in constants else {}
    return {
        TABLE: constants["table_int8"] * constants["table_scale"].astype(np.float32).reshape(-1, 1),
        "token.bias": constants["message_b"],  # added once a message, to all its units
        **{f"{ours}.weight": constants[f"{theirs}_w"].T for ours, theirs in names.items()},
        **_of_messages(constants),
    }


def _of_messages(constants: Constants) -> dict[str, NDArray[np.float32]]:
    """The heads that read a whole message, alike in all networks. Raises KeyError."""
    names = {"sentiment": "sentiment"} if "sentiment_w" in constants else {"sentiment": "said", "expert": "expert"}
    biases = {f"{ours}.bias": constants[f"{theirs}_b"] for ours, theirs in names.items()}
    names["message"] = "message"
    return biases | {f"{ours}.weight": constants[f"{theirs}_w"].T for ours, theirs in names.items()}


def _run(recipe: Recipe, vocabulary: Vocabulary, weights: Mapping[str, NDArray[np.float32]]) -> Run:
    """As `load` gives one; what it knew of sources was left behind at export."""
    tensors = {name: torch.tensor(value) for name, value in weights.items()}
    tensors["source_bias.weight"] = torch.zeros(0, len(LABELS))
    return Run(recipe, vocabulary, network_of(recipe, vocabulary, tensors))


def _transformer(bundle: files.Bundle, network: files.NetworkFiles, units: WordPieces, recipe: Recipe) -> Run:
    """The network of word pieces, made by `recipe` last; its weights are the integers that ship, and their scales."""
    graph = onnx.load(bundle.folder / network.graphs["cpu"]).graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    attention = [node for node in graph.node if node.op_type == "MultiHeadAttention"]
    heads = {each.name: each.i for node in attention for each in node.attribute}["num_heads"]
    positions, width = constants["positions_all"].shape
    shape = Shape(len(units.pieces), width, len(attention), heads, positions)
    weights = dict(_of_transformer(constants, shape.layers)) | _of_messages(constants)
    return _run(recipe, {"pieces": list(units.pieces), "shape": shape.as_json()}, weights)


def _of_transformer(constants: Constants, layers: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """As `_weights`, of what `transformer_onnx` writes."""
    yield "encoder.words.weight", constants["words_w"] * constants["words_s"]
    yield "encoder.positions.weight", constants["positions_all"]
    yield "token.weight", constants["each_w"].T
    yield "token.bias", constants["each_b"]
    norms = {"encoder.norm": "norm"}
    for at in range(layers):
        ours, theirs = f"encoder.layers.{at}", f"layer{at}"
        for part, name in (("query_key_value", "qkv"), ("attended", "attended"), ("inner", "inner"), ("outer", "outer")):
            yield f"{ours}.{part}.weight", (constants[f"{theirs}_{name}_w"] * constants[f"{theirs}_{name}_s"]).T
            yield f"{ours}.{part}.bias", constants[f"{theirs}_{name}_b"]
        norms |= {f"{ours}.{name}": f"{theirs}_{name}" for name in ("attended_norm", "outer_norm")}
    for own, name in norms.items():
        yield f"{own}.weight", constants[f"{name}_g"]
        yield f"{own}.bias", constants[f"{name}_b"]


def _another(bundle: files.Bundle) -> Misconfigured:
    what = "holds another network than swift's: train from swift, or from a bundle that was made from it"
    return Misconfigured(f"model bundle {bundle.folder} {what}")
