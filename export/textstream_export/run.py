"""A run: a recipe, the vocabulary it reads and the network it trains, from data to a folder and back.

train(data, recipe, out)   gold rows, or what a teacher said of many texts (`distil`) → weights in `out`
load(folder)               what a finished run left
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from textstream.errors import Misconfigured
from textstream.model import text as prepare
from textstream.model.pieces import PieceTokeniser, WordPieces
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export import grammar, twins
from textstream_export.data import Row, in_share, read_train, split_held_out, text_hash, unseen_hashes
from textstream_export.encode import Lot, build_lexicon, encode, lots_of, with_chinese_words
from textstream_export.encoders import encoder_of
from textstream_export.network import Network, Words
from textstream_export.place import writable, writing
from textstream_export.pretrain import start_vectors, unlabelled
from textstream_export.pretrained import read
from textstream_export.recipe import Recipe
from textstream_export.skipgram import skipgram_vectors
from textstream_export.soft import Soft, Tokenise, read_shard, shards_in, texts_of
from textstream_export.spelling import Spelling
from textstream_export.train import RUN, UNFIT, WEIGHTS, first_line, fit, read_curve, read_saved, save
from textstream_export.transformer import Shape, Transformer
from textstream_export.workers import shared_out

_CHARACTER = re.compile(f"[{prepare.HAN}]").fullmatch
TABLE = "encoder.table.weight"
"""The embedding table's name among the weights of a network that reads words."""
Vocabulary = Mapping[str, Any]
"""What a checkpoint says of the units: `words` of a lexicon and its `chinese` words, or the `pieces` of a pretrained encoder
with its shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A trained network with what it reads."""

    recipe: Recipe
    vocabulary: Vocabulary
    network: Network
    before: tuple[Recipe, ...] = ()
    """Recipes of the runs that it went on from, the first one first."""
    curve: tuple[tuple[int, float], ...] = ()
    """Its learning curve: (step, mean loss of the last steps)."""

    def tokenise(self, max_tokens: int) -> Tokenise:
        """From texts to this network's units."""
        return tokeniser(self.vocabulary, self.recipe, max_tokens)

    @property
    def units(self) -> Lexicon | WordPieces:
        """The vocabulary as a bundle holds it."""
        return units_of(self.vocabulary, self.recipe)

    def infer(self, ids: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One pass over a padded batch (see `packing.padded`): sentiment (batch, 3), units (batch, units, OUTPUTS)."""
        device = self.network.sentiment.weight.device
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.bf16):
            sentiment, units = self.network(torch.from_numpy(ids).to(device).long())
        return sentiment.cpu().numpy(), units.cpu().numpy()


def train(
    data: Path,
    recipe: Recipe,
    out: Path,
    *,
    packages: Path | None = None,
    words: Path | None = None,
    soft: Path | None = None,
    begin: Run | None = None,
    device: str = "cpu",
    workers: int = 1,
) -> None:
    """Train by `recipe` and leave recipe, vocabulary and weights in `out`.

    Rows are the train rows of `data` that are not held out; with `soft` also what a teacher has labelled there, in place of
    the gold row of the same text. `packages` is the folder of the package a pretrained encoder comes in, `words` what
    `find_words` wrote, `begin` a finished run to go on from (`restore.begun`): its vocabulary and weights, but for what it
    knows of sources.
    """
    if words is not None and (begin is not None or recipe.is_pretrained):
        raise Misconfigured("a run that goes on from another, or from a pretrained encoder, has its words: leave --words out")
    if recipe.chinese_alone and begin is None:
        raise Misconfigured(f"recipe {recipe.name} trains rows of a finished run: name it with --from")
    if begin is not None:
        refuse_unlike(begin, recipe)
    if recipe.soft_share == 1 and soft is None:
        raise Misconfigured("the recipe learns of texts what a teacher says of them: name the folder with --soft")
    shards = shards_in(soft, recipe.trained_languages) if soft else []
    writable(out)
    gold = [row for row in gold_rows(data, recipe) if in_share(row.text, recipe.share)]
    torch.manual_seed(recipe.seed)
    before = None if begin is None else _with_their_rows(begin, recipe)
    if before is None:
        encoder, vocabulary = start(data, gold, recipe, packages, words)
    else:
        encoder, vocabulary = before.network.encoder, before.vocabulary
    if isinstance(encoder, Transformer):
        freeze(encoder, recipe.frozen_layers)
        encoder.drop_out(recipe.encoder_dropout)
    else:
        assert isinstance(encoder, Words)
        encoder.leave_out(recipe)
    tokenise = tokeniser(vocabulary, recipe, recipe.max_train_tokens)
    encoded = encode(_lots(gold, shards, recipe, workers), tokenise, recipe, workers)
    network = Network(encoder, _width(recipe, encoder), len(encoded.sources), recipe.dropout, recipe.experts)
    if before is not None:
        old = before.network.state_dict()
        network.load_state_dict({name: old[name] for name in old if not name.startswith("source_bias")}, strict=False)
    if recipe.chinese_alone:
        keep_all_but(network, chinese_rows(lexicon_of(vocabulary, recipe)).to(device))
    pairs = twins.chosen(gold, tokenise, recipe) if recipe.twins else None
    log = fit(network, encoded, recipe, out, pairs, device)
    if isinstance(encoder, Words):
        encoder.fold()
    save(out, network, vocabulary, recipe, log, () if before is None else (*before.before, before.recipe))


def gold_rows(data: Path, recipe: Recipe) -> list[Row]:
    """What a recipe trains on that is labelled: train rows that are not held out, and those that a grammar makes."""
    collected, _ = split_held_out(row for row in read_train(data) if row.lang in recipe.trained_languages)
    return [*collected, *grammar.drawn_by(recipe)]


def refuse_unlike(run: Run, recipe: Recipe) -> None:
    """Raises Misconfigured where the network to go on from is not one that the recipe makes."""
    own, wanted = _made_of(run.recipe), _made_of(recipe)
    if recipe.heads_alone:
        del wanted["experts"]  # it makes more of them
    if unlike := [f"{name} {own[name]}, not {wanted[name]}" for name in wanted if name in own and own[name] != wanted[name]]:
        raise Misconfigured(
            f"recipe {recipe.name} cannot go on from that run ({'; '.join(unlike)}): name another run with --from"
        )


def _with_their_rows(run: Run, recipe: Recipe) -> Run:
    """The run with rows for Chinese words, if it has none and the recipe wants some: they begin as the row that a character has
    had in their place, so that all it says stays."""
    if run.recipe.is_pretrained or run.vocabulary.get("chinese") or not recipe.chinese_words:
        return run
    old = lexicon_of(run.vocabulary, run.recipe)
    new = with_chinese_words(old.words, recipe)
    weights = run.network.state_dict()
    shapes = weights[TABLE][old.first_shape + prepare.shape("中")].repeat(len(new.chinese), 1)
    weights[TABLE] = torch.cat([weights[TABLE], shapes])
    wanted, vocabulary = replace(run.recipe, chinese_words=len(new.chinese)), vocabulary_of(new)
    return replace(run, recipe=wanted, vocabulary=vocabulary, network=network_of(wanted, vocabulary, weights))


def _made_of(recipe: Recipe) -> dict[str, Any]:
    """What two recipes share where one can go on with the weights of the other."""
    sizes = ("encoder", "layers", "heads", "width", "near", "windows", "weighed", "affix_rows", "bigram_rows")
    names = ("languages", "is_pretrained", "experts", *(("start",) if recipe.is_pretrained else sizes))
    return {name: getattr(recipe, name) for name in names}


def _lots(gold: Sequence[Row], shards: Sequence[Path], recipe: Recipe, workers: int) -> list[Lot]:
    """What teachers have labelled, shard by shard, and the gold rows of whose texts they have not spoken."""
    with shared_out(texts_of, shards, workers) as found:
        labelled = set[int]().union(*found)
    alone = [row for row in gold if hash(row.text) not in labelled]
    return [*(partial(_in_share, path, recipe.share) for path in shards), *lots_of(alone)]


def _in_share(path: Path, share: float) -> Iterator[tuple[Row, Soft | None]]:
    yield from (pair for pair in read_shard(path) if in_share(pair[0].text, share))


def start(
    data: Path, gold: Sequence[Row], recipe: Recipe, packages: Path | None, words: Path | None = None
) -> tuple[nn.Module, Vocabulary]:
    """The encoder before training, and its vocabulary."""
    if recipe.is_pretrained:
        if packages is None:
            raise Misconfigured(f"the recipe starts from {recipe.start}: name the folder of its package with --packages")
        found = read(recipe.start, packages)
        return found.encoder, {"pieces": list(found.vocabulary), "shape": found.encoder.shape.as_json()}
    lexicon, vectors = found_words(data, gold, recipe) if words is None else _words_for(recipe, words)
    spelling = Spelling(lexicon.words, recipe.gram_rows, recipe.width) if recipe.gram_rows else None
    encoder = encoder_of(recipe, lexicon.rows, spelling)
    if vectors is not None:
        with torch.no_grad():
            encoder.table.weight[1 : 1 + len(vectors)] = torch.from_numpy(vectors)
    return encoder, vocabulary_of(lexicon)


def found_words(data: Path, gold: Sequence[Row], recipe: Recipe) -> tuple[Lexicon, NDArray[np.float32] | None]:
    """The words of all texts but those that score a model, and the vectors they start from; none where those are random."""
    tests = unseen_hashes(data)
    messages = (text for text in unlabelled(data, recipe.languages) if text_hash(text) not in tests)
    texts = [*(row.text for row in gold), *messages]
    lexicon = build_lexicon(texts, recipe)
    if recipe.start == "random":
        return lexicon, None
    trained = {"vectors": start_vectors, "skipgram": skipgram_vectors}[recipe.start]
    return lexicon, trained(texts, lexicon, recipe.width, recipe.seed)


def find_words(data: Path, recipe: Recipe, out: Path) -> None:
    """Write words and vectors for several runs of a recipe to start from: they take minutes of one core."""
    if recipe.is_pretrained:
        raise Misconfigured(f"a recipe that starts from {recipe.start} brings its own vocabulary: name one of words")
    gold, _ = split_held_out(row for row in read_train(data) if row.lang in recipe.languages)
    lexicon, vectors = found_words(data, gold, recipe)
    saved = {"words": list(lexicon.words), "vectors": None if vectors is None else torch.from_numpy(vectors).half()}
    with writing(out):
        torch.save(saved, out)


def read_words(path: Path) -> tuple[list[str], NDArray[np.float32] | None]:
    """What `find_words` wrote: words, and their vectors (words, width). Raises Misconfigured where it is something else."""
    try:
        saved = read_saved(path)
        words, vectors = saved["words"], saved["vectors"]
        return words, None if vectors is None else vectors.float().numpy()
    except UNFIT as error:
        raise Misconfigured(f"{path} holds no words ({first_line(error)}): write it with textstream-export words") from None


def _words_for(recipe: Recipe, path: Path) -> tuple[Lexicon, NDArray[np.float32] | None]:
    """Lexicon and vectors of `read_words`. Raises Misconfigured where they do not fit the recipe."""
    words, vectors = read_words(path)
    if vectors is not None and vectors.shape != (len(words), recipe.width):
        wide = f"its vectors are {vectors.shape}, the recipe's {recipe.width} wide"
        raise Misconfigured(f"{path} holds no words for this recipe ({wide}): write it with textstream-export words")
    return with_chinese_words(words, recipe), vectors


def freeze(encoder: Transformer, layers: int) -> None:
    """Word embeddings stay as they are, they are most of the weights and few are seen often; so do the lowest layers."""
    encoder.words.requires_grad_(False)
    for layer in encoder.layers[:layers]:
        layer.requires_grad_(False)
    if layers:
        encoder.positions.requires_grad_(False)
        encoder.norm.requires_grad_(False)


def keep_all_but(network: Network, rows: torch.Tensor) -> None:
    """All stays as it is but the rows of the table that `rows` (rows,) is true of, and what is known of sources."""
    assert isinstance(network.encoder, Words)  # what a pretrained encoder is not
    network.requires_grad_(False).source_bias.requires_grad_(True)
    network.encoder.train_alone(rows)


def tokeniser(vocabulary: Vocabulary, recipe: Recipe, max_tokens: int) -> Tokenise:
    """From texts to the units that the vocabulary has."""
    return tokeniser_of(units_of(vocabulary, recipe), max_tokens)


def tokeniser_of(units: Lexicon | WordPieces, max_tokens: int) -> Tokenise:
    """From texts to units, by their vocabulary as a bundle holds it."""
    return Tokeniser(units, max_tokens) if isinstance(units, Lexicon) else PieceTokeniser(units, max_tokens)


def units_of(vocabulary: Vocabulary, recipe: Recipe) -> Lexicon | WordPieces:
    """The vocabulary as a bundle holds it."""
    if recipe.is_pretrained:
        return WordPieces(tuple(vocabulary["pieces"]), recipe.persons_alike)
    return lexicon_of(vocabulary, recipe)


def lexicon_of(vocabulary: Vocabulary, recipe: Recipe) -> Lexicon:
    """The lexicon of a network that reads words."""
    return Lexicon(tuple(vocabulary["words"]), recipe.affix_rows, recipe.bigram_rows, tuple(vocabulary.get("chinese", ())))


def chinese_rows(lexicon: Lexicon) -> torch.Tensor:
    """(rows,): which are those of Chinese characters and words; no other text has them. Those of persons, which English shares,
    are not among them."""
    own = torch.zeros(lexicon.rows, dtype=torch.bool)
    own[1 : 1 + len(lexicon.words)] = torch.tensor([bool(_CHARACTER(word)) for word in lexicon.words])
    own[lexicon.first_chinese :] = True
    return own


def vocabulary_of(lexicon: Lexicon) -> Vocabulary:
    """What a checkpoint says of a lexicon, beside its recipe."""
    return {"words": list(lexicon.words), "chinese": list(lexicon.chinese)}


def load(folder: Path) -> Run:
    """What `train` left in a folder. Raises Misconfigured where it is not a finished run."""
    try:
        told = json.loads((folder / RUN).read_text(encoding="utf-8"))
        recipe = Recipe.from_json(told["recipe"])
        before = tuple(map(Recipe.from_json, told.get("before", ())))
        saved = read_saved(folder / WEIGHTS)
        return Run(
            recipe, saved["vocabulary"], network_of(recipe, saved["vocabulary"], saved["weights"]), before, read_curve(folder)
        )
    except UNFIT as error:
        what = f"{folder} is not a finished run, whose {RUN} and {WEIGHTS} belong together"
        raise Misconfigured(f"{what} ({first_line(error)}): train it with textstream-export train") from None


def network_of(recipe: Recipe, vocabulary: Vocabulary, weights: Mapping[str, torch.Tensor]) -> Network:
    """The network that a recipe makes for this vocabulary, with its weights."""
    encoder: nn.Module
    if recipe.is_pretrained:
        encoder = Transformer(Shape(**vocabulary["shape"]), vocabulary["pieces"].index("[CLS]"))
    else:
        encoder = encoder_of(recipe, lexicon_of(vocabulary, recipe).rows)
    network = Network(encoder, _width(recipe, encoder), len(weights["source_bias.weight"]), recipe.dropout, recipe.experts)
    network.load_state_dict(weights)
    return network.eval()


def _width(recipe: Recipe, encoder: nn.Module) -> int:
    return encoder.width if isinstance(encoder, Transformer) else recipe.width
