"""Encoders that read the same words as swift's, to be compared with it: by recurrence, or by attention.

    ids (batch, units, FEATURES)  →  sum of the rows of a token's features  →  cells or layers
      → x (batch, units, width), pooled (batch, 2 · width): mean and maximum over the tokens

`encoder_table` trains them all at equal data.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textstream_export.network import Windows, Words, pool, token_mask
from textstream_export.recipe import Encoder, Recipe
from textstream_export.spelling import Spelling
from textstream_export.transformer import EPSILON, MASKED, Layer


class Recurrent(Words):
    """Gated cells that read from both ends, half of the width each way (GRU: Cho et al. 2014; LSTM: Hochreiter 1997)."""

    def __init__(self, recipe: Recipe, rows: int, spelling: Spelling | None = None) -> None:
        super().__init__(recipe, rows, spelling)
        kind = nn.LSTM if recipe.encoder == "lstm" else nn.GRU
        self.cells = kind(recipe.width, recipe.width // 2, recipe.layers, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, tokens, FEATURES), at least one token each → x (batch, tokens, width), pooled (batch, 2 · width)."""
        mask = token_mask(ids)
        word, rest = self.looked_up(ids)
        lengths = mask.sum((1, 2)).long()
        packed = pack_padded_sequence(self.drop(word + rest), lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.cells(packed)[0], batch_first=True, total_length=ids.shape[1])
        return x, pool(x, mask)


class Attention(Words):
    """A small transformer: layers as BERT's (`transformer.Layer`), started at random, with sinusoids for positions."""

    def __init__(self, recipe: Recipe, rows: int, spelling: Spelling | None = None) -> None:
        super().__init__(recipe, rows, spelling)
        self.norm = nn.LayerNorm(recipe.width, eps=EPSILON)
        self.layers = nn.ModuleList(Layer(recipe.width, recipe.heads, 4 * recipe.width) for _ in range(recipe.layers))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, tokens, FEATURES) → x (batch, tokens, width), pooled (batch, 2 · width)."""
        mask = token_mask(ids)
        word, rest = self.looked_up(ids)
        x = self.norm(self.drop(word + rest) * math.sqrt(self.width) + sinusoids(ids.shape[1], self.width))
        far = torch.where(mask.bool(), 0.0, MASKED).transpose(1, 2).unsqueeze(1)  # (batch, 1, 1, tokens)
        for layer in self.layers:
            x = layer(x, far)
        x = x * mask
        return x, pool(x, mask)


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width): what tells positions apart, of any length and without training (Vaswani et al. 2017)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(length)[:, None] * rate  # (length, width / 2)
    return torch.cat([angle.sin(), angle.cos()], 1)


ENCODERS: Mapping[Encoder, type[Words]] = {
    "windows": Windows,
    "gru": Recurrent,
    "lstm": Recurrent,
    "transformer": Attention,
}


def encoder_of(recipe: Recipe, rows: int, spelling: Spelling | None = None) -> Words:
    """The encoder that a recipe names, before training."""
    return ENCODERS[recipe.encoder](recipe, rows, spelling)
