"""Every encoder keeps the one interface: windows, GRU, LSTM, transformer, wherever its word vectors start."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit import export_fixture
from textstream.model.packing import WINDOW
from textstream.model.tokens import FEATURES, Lexicon, Tokeniser
from textstream_export import encoders_onnx
from textstream_export.data import in_share, read_train, split_held_out
from textstream_export.encode import OUTPUTS, build_lexicon, encode, lots_of
from textstream_export.encoders import ENCODERS, encoder_of, sinusoids
from textstream_export.golden import texts
from textstream_export.loss import DeviceRows, losses
from textstream_export.network import Network
from textstream_export.recipe import RECIPES, Encoder, Recipe
from textstream_export.run import load, train
from textstream_export.skipgram import skipgram_vectors, write_words
from textstream_export.spelling import Spelling
from textstream_export.train import State, _dense, one_step, optimisers

TINY = replace(
    RECIPES["swift"],
    width=24,
    layers=2,
    max_words=500,
    affix_rows=64,
    bigram_rows=256,
    gram_rows=64,
    epochs=2,
    batch_tokens=512,
    twins=0,
    start="random",
)
EACH: tuple[Encoder, ...] = get_args(Encoder)
ROWS = 200
each_encoder = pytest.mark.parametrize("encoder", EACH)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return export_fixture.write(tmp_path_factory.mktemp("data"), rows=120)


def network(recipe: Recipe, rows: int = ROWS) -> Network:
    torch.manual_seed(3)
    return Network(encoder_of(recipe, rows), recipe.width, 40, recipe.dropout, recipe.experts)


def some_ids(texts: int, units: int) -> Tensor:
    return torch.randint(1, ROWS, (texts, units, len(FEATURES)), generator=torch.Generator().manual_seed(5))


def test_every_name_that_a_recipe_may_have_is_an_encoder() -> None:
    assert set(EACH) == set(ENCODERS)


@each_encoder
def test_units_and_the_message_have_their_shapes(encoder: Encoder) -> None:
    made = network(replace(TINY, encoder=encoder)).eval()
    x, pooled = made.encoder(some_ids(3, 7))
    assert (x.shape, pooled.shape) == ((3, 7, TINY.width), (3, 2 * TINY.width))
    sentiment, units = made(some_ids(3, 7))
    assert (sentiment.shape, units.shape) == ((3, 3), (3, 7, OUTPUTS))


@each_encoder
def test_padding_changes_nothing(encoder: Encoder) -> None:
    """A text says the same alone and beside a longer one; at padding an encoder says nothing."""
    made = network(replace(TINY, encoder=encoder)).eval()
    ids = some_ids(2, 20)
    ids[0, 8:] = 0
    with torch.no_grad():
        alone, beside = made(ids[:1, :8]), made(ids)
        x, _ = made.encoder(ids)
    assert torch.allclose(alone[0], beside[0][:1], atol=1e-5)
    assert torch.allclose(alone[1], beside[1][:1, :8], atol=1e-5)
    assert not x[0, 8:].any()


@each_encoder
def test_units_see_their_neighbours(encoder: Encoder) -> None:
    """The same token says something else where another stands beside it, before or after."""
    made = network(replace(TINY, encoder=encoder)).eval()
    ids = some_ids(1, 5).repeat(3, 1, 1)
    ids[1, 1], ids[2, 3] = 7, 7
    with torch.no_grad():
        x, _ = made.encoder(ids)
    assert not torch.allclose(x[0, 2], x[1, 2], atol=1e-4)
    assert not torch.allclose(x[0, 2], x[2, 2], atol=1e-4)


@each_encoder
def test_one_step_lowers_the_loss_of_its_batch(encoder: Encoder, data: Path) -> None:
    recipe = replace(
        TINY, encoder=encoder, dropout=0.0, feature_dropout=0.0, pair_dropout=0.0, average_decay=0.0, schedule="constant"
    )
    rows, _ = split_held_out(read_train(data))
    lexicon = build_lexicon((row.text for row in rows), recipe)
    encoded = encode(lots_of(rows), Tokeniser(lexicon, 100), recipe)
    made = network(recipe, lexicon.rows).train()
    batch = DeviceRows(encoded, torch.device("cpu")).batch(np.arange(60))
    before = sum(part.item() for part in losses(made, batch, recipe).values())
    one_step(State(made, optimisers(made, recipe), _dense(made)), batch, recipe, progress=0.5)
    assert sum(part.item() for part in losses(made, batch, recipe).values()) < before


@each_encoder
def test_what_was_trained_is_loaded_again(encoder: Encoder, data: Path, tmp_path: Path) -> None:
    """A finished run gives a network of the same kind with the same weights, and their spelling folded into the words."""
    recipe = replace(TINY, encoder=encoder, share=0.5)
    train(data, recipe, tmp_path)
    first, second = load(tmp_path), load(tmp_path)
    assert first.recipe == recipe
    assert type(first.network.encoder) is ENCODERS[encoder]
    ids = first.tokenise(50)(["the pizza is superb"])[0].features[None]
    for one, other in zip(first.infer(ids), second.infer(ids), strict=True):
        assert np.isfinite(one).all()
        assert np.array_equal(one, other)


@pytest.mark.parametrize("encoder", ["gru", "lstm", "transformer"])
def test_the_graph_of_an_encoder_says_what_pytorch_says(encoder: Encoder) -> None:
    """Texts of one token and of as many as a pass takes, all in one padded pass."""
    lexicon = Lexicon(("the", "of"), 50, 50)
    made = network(replace(TINY, encoder=encoder), lexicon.rows).eval()
    passes = [tokens.features for tokens in Tokeniser(lexicon, WINDOW)([*texts()[::9], "x", "很好 " * WINDOW]) if tokens.count]
    assert max(map(len, passes)) == WINDOW
    assert encoders_onnx.parity(made, encoders_onnx.build(made), passes) < 1e-4


@each_encoder
def test_folding_the_spelling_changes_no_number(encoder: Encoder) -> None:
    recipe = replace(TINY, encoder=encoder)
    made = encoder_of(recipe, ROWS, Spelling(["spelling", "spelt", "read"], 64, recipe.width)).eval()
    ids = some_ids(2, 6) % 4 + torch.tensor([1, 10, 20])  # a word's row is no other feature's
    with torch.no_grad():
        before = made(ids)
        made.fold()
        after = made(ids)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(before, after, strict=True))


def test_sinusoids_tell_every_position_apart() -> None:
    every = sinusoids(WINDOW, 24)
    apart = torch.cdist(every, every) + torch.eye(WINDOW) * 9
    assert apart.min() > 0.1


def test_skip_gram_vectors_are_the_same_on_every_run(data: Path) -> None:
    """One for each word, of the spread that rows at random have."""
    said = [row.text for row in split_held_out(read_train(data))[0]]
    lexicon = build_lexicon(said, TINY)
    first, second = (skipgram_vectors(said, lexicon, 16, seed=1) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (len(lexicon.words), 16)
    assert np.isfinite(first).all() and first.std() == pytest.approx(0.1, rel=0.05)


def test_skip_gram_reads_a_text_a_line_without_unknown_words(tmp_path: Path) -> None:
    """Unknown words are passed over; no window reaches from one text into the next."""
    write_words(tmp_path / "words", np.array([3, 0, 4, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0], np.int32))
    assert (tmp_path / "words").read_text() == "3 4\n5 6\n7\n"


def test_a_network_starts_from_skip_gram_vectors(data: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, start="skipgram", epochs=1, share=0.3)
    train(data, recipe, tmp_path)
    assert load(tmp_path).recipe.start == "skipgram"


def test_a_share_of_the_rows_is_part_of_a_larger_share() -> None:
    """So that runs at more data have seen what runs at less have."""
    every = [f"message number {i}" for i in range(3000)]
    tenth, third = ([text for text in every if in_share(text, share)] for share in (0.1, 0.3))
    assert set(tenth) < set(third)
    assert len(tenth) == pytest.approx(300, abs=60) and len(third) == pytest.approx(900, abs=100)
    assert all(in_share(text, 1.0) for text in every)


def test_a_recipe_of_before_there_was_a_choice_is_of_windows() -> None:
    raw = asdict(TINY)
    del raw["encoder"], raw["layers"], raw["heads"], raw["share"]
    assert Recipe.from_json(raw).encoder == "windows"
