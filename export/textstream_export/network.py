"""The whole network on one page: an encoder, and the heads of all tasks on top of it.

    ids (batch, units, features)
      → encoder                         x (batch, units, width), pooled (batch, 2 · width)
      → pooled                          → sentiment (batch, 3)
      → each unit, and the message      → tags (batch, units, 9): O, B, I for phrase, aspect, entity
                                        → towards (batch, units, 3): sentiment of a term that holds this unit

Swift's encoder is here; `transformer` has the one that starts from pretrained weights.

Padding is id 0 in the first feature. It is masked after every step, so a message's numbers do not depend on its batch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from textstream.event import LABELS
from textstream_export.encode import OUTPUTS
from textstream_export.recipe import Recipe


class Window(nn.Module):
    """x + relu(W · taps(x)): each token sees `taps` neighbours, `dilation` apart."""

    def __init__(self, width: int, taps: int, dilation: int) -> None:
        super().__init__()
        assert taps % 2 == 1, "a window is centred on its token"
        self.dilation = dilation
        self.taps = nn.Parameter(torch.randn(taps, width) / taps**0.5)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        count, length = len(self.taps), x.shape[1]
        reach = count // 2 * self.dilation
        padded = F.pad(x, (0, 0, reach, reach))
        seen = sum(padded[:, i * self.dilation : i * self.dilation + length] * self.taps[i] for i in range(count))
        return (x + F.relu(self.mix(seen))) * mask


class Windows(nn.Module):
    """Sum of embedding rows → residual windows → mean and maximum over the tokens."""

    def __init__(self, recipe: Recipe, rows: int) -> None:
        super().__init__()
        self.width, self.feature_dropout = recipe.width, recipe.feature_dropout
        self.table = nn.Embedding(rows, recipe.width, padding_idx=0, sparse=True)
        nn.init.normal_(self.table.weight, std=0.1)
        nn.init.zeros_(self.table.weight[0])
        self.windows = nn.ModuleList(Window(recipe.width, *window) for window in recipe.windows)
        self.drop = nn.Dropout(recipe.dropout)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, tokens, 4) → x (batch, tokens, width), pooled (batch, 2 · width)."""
        mask = (ids[:, :, :1] != 0).float()  # (batch, tokens, 1)
        if self.training and self.feature_dropout:
            ids = ids * (torch.rand(ids.shape) >= self.feature_dropout)
        x = self.drop(self.table(ids).sum(2)) * mask
        for window in self.windows:
            x = window(x, mask)
        mean = x.sum(1) / mask.sum(1).clamp(min=1)
        top = (x - (1 - mask) * 1e4).amax(1)
        return x, torch.cat([mean, top], 1)


class Network(nn.Module):
    """Sentiment of a message, key terms, and the sentiment towards each, in one pass."""

    def __init__(self, encoder: nn.Module, width: int, sources: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.drop = nn.Dropout(dropout)
        self.sentiment = nn.Linear(2 * width, len(LABELS))
        self.token = nn.Linear(width, OUTPUTS)
        self.message = nn.Linear(2 * width, OUTPUTS, bias=False)
        # What is particular to a source (how often it says neutral) is learnt here and left behind at export.
        self.source_bias = nn.Embedding(sources, len(LABELS))
        nn.init.zeros_(self.source_bias.weight)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, units, features) → sentiment logits (batch, 3), unit logits (batch, units, OUTPUTS)."""
        x, pooled = self.encoder(ids)
        pooled = self.drop(pooled)
        units = self.token(self.drop(x)) + self.message(pooled).unsqueeze(1)
        return self.sentiment(pooled).float(), units.float()
