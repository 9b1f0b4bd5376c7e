"""BERT's encoder on one page, to be started from pretrained weights (see `pretrained`) or at random.

    ids (batch, units, 1)  →  [CLS] in front  →  embeddings + positions  →  layers of attention and feed-forward
      → x (batch, units, width), pooled (batch, 2 · width): the first token's state and the mean of all

Padding is id 0 and is masked in attention and in the mean, so a message's numbers do not depend on its batch.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

EPSILON = 1e-12
"""BERT's own, in every normalisation."""
MASKED = -1e4
"""Added to the score of padding: far below any real one, also in half precision."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    positions: int = 512

    @property
    def inner(self) -> int:
        """Units of the feed-forward part."""
        return 4 * self.width

    def as_json(self) -> dict[str, int]:
        """Plain values, as they stand in a checkpoint."""
        return asdict(self)


class Layer(nn.Module):
    """Attention, then feed-forward, each added to its input and normalised after."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.drop = nn.Dropout(0.0)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.attended_norm = nn.LayerNorm(width, eps=EPSILON)
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)
        self.outer_norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, units, width) → the same; `mask` (batch, 1, 1, units) is 0, or far below where there is nothing."""
        batch, units, width = x.shape
        parts = self.query_key_value(x).view(batch, units, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        # Plain products: torch's fused attention takes a third of a training step on the CPU with texts this short.
        scores = parts[0] @ parts[1].transpose(-1, -2) * (width // self.heads) ** -0.5
        seen = self.drop(F.softmax(scores if mask is None else scores + mask, dim=-1)) @ parts[2]
        x = self.attended_norm(x + self.drop(self.attended(seen.transpose(1, 2).reshape(batch, units, width))))
        out: Tensor = self.outer_norm(x + self.drop(self.outer(F.gelu(self.inner(x)))))
        return out


class Transformer(nn.Module):
    """Ids to a state for each unit and one for the message."""

    def __init__(self, shape: Shape, first: int) -> None:
        super().__init__()
        self.shape, self.first, self.width = shape, first, shape.width
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=EPSILON)
        self.layers = nn.ModuleList(Layer(shape.width, shape.heads, shape.inner) for _ in range(shape.layers))
        self.drop = nn.Dropout(0.0)
        for embedding in (self.words, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def drop_out(self, share: float) -> None:
        """While training, leave out so much of embeddings, attention and what each layer adds, as BERT does."""
        for part in self.modules():
            if isinstance(part, nn.Dropout):
                part.p = share

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, units, 1) → x (batch, units, width), pooled (batch, 2 · width)."""
        ids = F.pad(ids[..., 0], (1, 0), value=self.first)  # (batch, 1 + units)
        real = ids != 0
        x = self.drop(self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]]))
        mask = None if not ids.is_cuda and bool(real.all()) else torch.where(real, 0.0, MASKED)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        weight = real.to(x.dtype).unsqueeze(-1)
        mean = (x * weight).sum(1) / weight.sum(1)
        return x[:, 1:], torch.cat([x[:, 0], mean], 1)
