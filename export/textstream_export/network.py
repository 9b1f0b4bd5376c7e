"""The whole network on one page: an encoder, and the heads of all tasks on top of it.

    ids (batch, units, features)
      → encoder                         x (batch, units, width), pooled (batch, 2 · width)
      → pooled                          → sentiment (batch, 3)
      → each unit, and the message      → tags (batch, units, 9): O, B, I for phrase, aspect, entity
                                        → towards (batch, units, 3): sentiment of a term that holds this unit

Swift's encoder is here, those it is compared with in `encoders`, the one that starts from pretrained weights in `transformer`.

Padding is id 0 in the first feature. It is masked after every step, so a message's numbers do not depend on its batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from textstream.event import LABELS
from textstream.model.tokens import FEATURES
from textstream_export.encode import OUTPUTS
from textstream_export.recipe import Recipe
from textstream_export.spelling import Spelling

MASKED = -1e4
"""A weight before its softmax that is none."""


class Words(nn.Module):
    """What an encoder of words begins with: one table, in which every feature of a token has a row."""

    left_out: Tensor

    def __init__(self, recipe: Recipe, rows: int, spelling: Spelling | None = None) -> None:
        super().__init__()
        self.spelling = spelling
        self.width = recipe.width
        self.register_buffer("left_out", torch.zeros(len(FEATURES)), persistent=False)
        self.table = nn.Embedding(rows, recipe.width, padding_idx=0, sparse=True)
        nn.init.normal_(self.table.weight, std=0.1)
        nn.init.zeros_(self.table.weight[0])
        self.drop = nn.Dropout(recipe.dropout)
        self.leave_out(recipe)

    def leave_out(self, recipe: Recipe) -> None:
        """While training, leave out so many words and features as a recipe says, which may be another than it began by."""
        self.drop.p = recipe.dropout
        shares = [recipe.pair_dropout if name == "bigram" else recipe.feature_dropout for name in FEATURES]
        self.left_out = torch.tensor(shares, device=self.left_out.device)

    def train_alone(self, rows: Tensor) -> None:
        """From here on nothing of the table changes but the rows that `rows` (rows,) is true of."""

        def own(gradient: Tensor) -> Tensor:
            at, values = gradient._indices(), gradient._values()
            return torch.sparse_coo_tensor(at, values * rows[at[0]].unsqueeze(1), gradient.shape, check_invariants=False)

        self.table.weight.requires_grad_(True).register_hook(own)  # type: ignore[no-untyped-call]

    def looked_up(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, tokens, FEATURES) → what the word says, and what its other features say, (batch, tokens, width) each."""
        rows = self.table(self._some(ids, self.left_out))  # (batch, tokens, FEATURES, width)
        word, rest = rows[:, :, 0], rows[:, :, 1:].sum(2)
        if self.spelling is not None:
            word = word + self.spelling(self._some(ids[:, :, 0], self.left_out[0]))
        return word, rest

    def _some(self, ids: Tensor, left_out: Tensor) -> Tensor:
        """While training, some features are left out, so that none is relied on alone."""
        return ids * (torch.rand(ids.shape, device=ids.device) >= left_out) if self.training else ids

    @torch.no_grad()
    def fold(self) -> None:
        """Give each word's row what its spelling says, and forget how it is spelt. The numbers stay as they are."""
        if self.spelling is not None:
            words = torch.arange(1, 1 + self.spelling.words)
            self.table.weight[words] += self.spelling(words)
            self.spelling = None


class Windows(Words):
    """Sum of embedding rows and of the words near by → residual windows → mean and maximum over the tokens.

    Neighbours are seen by shifting: each group of channels looks at the token so many places away. So a window costs one
    product, of the token's own width, however far it reaches.
    """

    def __init__(self, recipe: Recipe, rows: int, spelling: Spelling | None = None) -> None:
        super().__init__(recipe, rows, spelling)
        self.near, self.reaches = recipe.near, recipe.windows
        assert not any(recipe.width % len(one) for one in (self.near, *self.reaches)), "groups of channels are of one size"
        self.beside = nn.Linear(recipe.width, recipe.width, bias=False)
        # No bias: every token has a row of its shape, or of its suffix and shape, which is bias enough.
        self.windows = nn.ModuleList(nn.Linear(recipe.width, recipe.width, bias=False) for _ in self.reaches)
        self.weigh = nn.Linear(recipe.width, 1, bias=False) if recipe.weighed else None

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, tokens, FEATURES) → x (batch, tokens, width), pooled (batch, 2 · width)."""
        mask = token_mask(ids)
        word, rest = self.looked_up(ids)
        beside = self.beside(self.drop(word))  # of the word alone: a table at export, and no product
        x = (self.drop(word + rest) + shifted(beside, self.near)) * mask
        for window, reach in zip(self.windows, self.reaches, strict=True):
            x = (x + F.relu(window(shifted(x, reach)))) * mask
        return x, pool(x, mask, None if self.weigh is None else self.weigh(x))


def token_mask(ids: Tensor) -> Tensor:
    """(batch, tokens, 1): 1 where there is a token, 0 at padding."""
    return (ids[:, :, :1] != 0).float()


def pool(x: Tensor, mask: Tensor, weight: Tensor | None = None) -> Tensor:
    """(batch, 2 · width): mean and maximum over the tokens of each text; x (batch, tokens, width) is 0 at padding.

    With `weight` (batch, tokens, 1) the mean is a weighed one, by its softmax.
    """
    if weight is None:
        mean = x.sum(1) / mask.sum(1).clamp(min=1)
    else:
        mean = (x * weight.masked_fill(mask == 0, MASKED).softmax(1)).sum(1)
    top = F.relu(x.amax(1))  # at least 0, which is what padding has
    return torch.cat([mean, top], 1)


def shifted(x: Tensor, offsets: Sequence[int]) -> Tensor:
    """(batch, tokens, width): the channels in a group for each offset, each from the token so far away, 0 where none is."""
    length = x.shape[1]
    reach = max(map(abs, offsets))
    padded = F.pad(x, (0, 0, reach, reach))
    groups = zip(padded.chunk(len(offsets), 2), offsets, strict=True)
    return torch.cat([group[:, reach + offset : reach + offset + length] for group, offset in groups], 2)


class Network(nn.Module):
    """Sentiment of a message, key terms, and the sentiment towards each, in one pass."""

    def __init__(self, encoder: nn.Module, width: int, sources: int, dropout: float, experts: int = 1) -> None:
        super().__init__()
        self.encoder = encoder
        self.drop = nn.Dropout(dropout)
        self.experts = experts
        self.sentiment = nn.Linear(2 * width, experts * len(LABELS))
        self.expert = nn.Linear(2 * width, experts) if experts > 1 else None
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
        return self.mood(pooled).float(), units.float()

    def mood(self, pooled: Tensor) -> Tensor:
        """(batch, 3): what the experts say, each as much as the text is its."""
        said: Tensor = self.sentiment(pooled)
        if self.expert is None:
            return said
        share = self.expert(pooled).softmax(-1).unsqueeze(-1)  # (batch, experts, 1)
        mixed: Tensor = (said.reshape(-1, self.experts, len(LABELS)) * share).sum(1)
        return mixed
