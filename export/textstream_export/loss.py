"""What a network is asked for: gold labels where a source has them, a teacher's logits where there are some.

Every part is a mean over what is labelled in the batch, so no part grows with the batch or with its padding.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from textstream.event import KINDS, LABELS
from textstream_export.encode import TAGS, UNKNOWN, Encoded
from textstream_export.network import Network
from textstream_export.recipe import Recipe

TEMPERATURE = 2.0
"""Softens both sides of the distilled sentiment (Hinton et al. 2015, arXiv 1503.02531), whose loss is scaled by its square."""
_ASPECT = KINDS.index("aspect")


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows: (rows, units, …), -1 or NaN where there is no target. All on one device."""

    ids: Tensor  # (rows, units, features)
    label: Tensor  # (rows,)
    binary: Tensor  # (rows,)
    source: Tensor  # (rows,)
    outside: Tensor  # (rows,) weight of an O tag
    tags: Tensor  # (rows, units, 3)
    towards: Tensor  # (rows, units)
    soft_sentiment: Tensor  # (rows, 3) a teacher's logits
    soft_units: Tensor  # (rows, units, OUTPUTS) its logits; (rows, 0) where no teacher speaks of any row


class DeviceRows:
    """Encoded rows where the network is trained, so that a batch is a few look-ups there."""

    def __init__(self, data: Encoded, device: torch.device) -> None:
        self._bounds, self._device = data.bounds, device
        self._features, self._tags, self._towards, self._soft_units = (
            torch.from_numpy(each).to(device) for each in (data.features, data.tags, data.towards, data.soft_units)
        )
        self._per_row = [torch.from_numpy(a).to(device) for a in (data.label, data.binary, data.source, data.outside)]
        self._soft_sentiment = torch.from_numpy(data.soft_sentiment).to(device)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The rows by their numbers (rows,), padded to the longest of them."""
        starts, lengths = self._bounds[rows], self._bounds[rows + 1] - self._bounds[rows]
        begin, length, own = (torch.from_numpy(a).to(self._device) for a in (starts, lengths, rows))
        ahead = torch.arange(int(lengths.max()), device=self._device)
        inside = ahead < length[:, None]  # (rows, units)
        at = torch.where(inside, begin[:, None] + ahead, 0)

        def spread(values: Tensor, nothing: float) -> Tensor:
            return values[at].masked_fill(~inside[..., None], nothing)

        towards = torch.where(inside, self._towards[at].long(), UNKNOWN)
        label, binary, source, outside = (each[own] for each in self._per_row)
        return Batch(
            spread(self._features, 0).long(),
            label,
            binary,
            source,
            outside,
            spread(self._tags, UNKNOWN).long(),
            towards,
            self._soft_sentiment[own],
            spread(self._soft_units, math.nan).float() if len(self._soft_units) else self._soft_units.new_zeros(len(rows), 0),
        )


def losses(network: Network, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """The weighted parts of the loss by name; their sum is what is minimised."""
    sentiment, units = network(batch.ids)
    biased = sentiment + network.source_bias(batch.source)
    tags, towards = by_channel(units[..., : len(KINDS) * TAGS]), units[..., len(KINDS) * TAGS :]
    gold = gold_losses(biased, tags, towards, batch, recipe)
    if not batch.soft_units.shape[1]:
        return gold
    soft = soft_losses(biased if recipe.soft_per_source else sentiment, tags, towards, batch, recipe)
    return gold | {name: part * recipe.soft_share for name, part in soft.items()}


def gold_losses(sentiment: Tensor, tags: Tensor, towards: Tensor, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """Cross-entropy with the labels of the sources; what a source could not say is masked.

    The label of a message of which a teacher speaks too counts for what the teacher leaves of it. Terms that annotators have
    marked count whole.
    """
    told = batch.soft_sentiment.isfinite().all(-1)
    share = torch.where(told, 1 - recipe.soft_share, 1.0)  # (rows,)
    mood = F.cross_entropy(sentiment, sentiment_targets(batch.label, batch.binary, recipe), reduction="none")
    weight = torch.where(batch.tags == 0, batch.outside[:, None, None], 1.0) * (batch.tags >= 0)
    per_tag = F.cross_entropy(tags.flatten(0, 2), batch.tags.clamp(min=0).flatten(), reduction="none")
    per_term = F.cross_entropy(towards.flatten(0, 1), batch.towards.clamp(min=0).flatten(), reduction="none")
    return {
        "sentiment": recipe.label_weight * masked_mean(mood * share, (batch.label >= 0).float()),
        "tags": recipe.tag_weight * masked_mean(per_tag, weight.flatten()),
        "towards": recipe.term_sentiment_weight * masked_mean(per_term, (batch.towards >= 0).float().flatten()),
    }


def soft_losses(sentiment: Tensor, tags: Tensor, towards: Tensor, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """KL divergence from the teacher's distributions, in channels of which annotators have not said all; towards terms only
    where the teacher sees an aspect, and annotators have not spoken."""
    told = batch.soft_sentiment.isfinite().all(-1)
    mood = divergence(sentiment / TEMPERATURE, batch.soft_sentiment / TEMPERATURE) * TEMPERATURE**2
    known = batch.soft_units.isfinite().all(-1)  # (rows, units)
    soft_tags = by_channel(batch.soft_units[..., : len(KINDS) * TAGS])
    unsaid = (batch.tags < 0) | (batch.outside < 1)[:, None, None]  # (rows, units, channels)
    per_unit = (divergence(tags, soft_tags) * unsaid).sum(-1)
    within = 1 - soft_tags[..., _ASPECT, :].nan_to_num().softmax(-1)[..., 0]
    per_term = divergence(towards, batch.soft_units[..., len(KINDS) * TAGS :])
    return {
        "soft_sentiment": masked_mean(mood, told.float()),
        "soft_tags": recipe.tag_weight * masked_mean(per_unit, known.float()),
        "soft_towards": recipe.term_sentiment_weight * masked_mean(per_term, known * within * (batch.towards < 0)),
    }


def by_channel(tags: Tensor) -> Tensor:
    """(…, 9) → (…, 3 channels, 3 tags)."""
    return tags.reshape(*tags.shape[:-1], len(KINDS), TAGS)


def divergence(said: Tensor, told: Tensor) -> Tensor:
    """KL(told ‖ said) of two sets of logits over the last axis; 0 where `told` is not a number."""
    target = told.nan_to_num().log_softmax(-1)
    return (target.exp() * (target - said.float().log_softmax(-1))).sum(-1)


def sentiment_targets(label: Tensor, binary: Tensor, recipe: Recipe) -> Tensor:
    """(rows, 3): the labels (rows,), smoothed; where `binary` (rows,), neutral, which nobody could choose, keeps a part."""
    targets = F.one_hot(label.clamp(min=0), len(LABELS)).float()
    shared = targets * (1 - recipe.binary_neutral)
    shared[:, LABELS.index("neutral")] += recipe.binary_neutral
    targets = torch.where(binary[:, None], shared, targets)
    return torch.lerp(targets, torch.full_like(targets, 1 / len(LABELS)), recipe.label_smoothing)


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """The mean where there is something to average, else 0."""
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
