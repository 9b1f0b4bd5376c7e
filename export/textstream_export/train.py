"""Trains a network by a recipe: rows drawn by the weight of their source, batches of like length, averaged weights."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)
from tqdm import tqdm

from textstream.errors import Fatal
from textstream.event import KINDS, LABELS
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export.data import read_train, split_held_out
from textstream_export.encode import UNKNOWN, Encoded, build_lexicon, encode
from textstream_export.network import TAGS, Network
from textstream_export.pretrain import start_vectors
from textstream_export.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
WARM_UP = 0.03
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows: (rows, tokens, …), -1 where there is no target."""

    ids: Tensor
    label: Tensor
    binary: Tensor
    source: Tensor
    outside: Tensor
    tags: Tensor
    towards: Tensor


def train(data: Path, recipe: Recipe, out: Path) -> None:
    """Train by `recipe` on the train rows of `data` that are not held out; leave recipe, lexicon and weights in `out`."""
    torch.manual_seed(recipe.seed)
    rows, _ = split_held_out(read_train(data))
    lexicon = build_lexicon(rows, recipe)
    encoded = encode(rows, Tokeniser(lexicon, recipe.max_train_tokens), recipe)
    out.mkdir(parents=True, exist_ok=True)
    start = start_vectors(data, rows, lexicon, recipe.width, recipe.seed) if recipe.pretrained else None
    network, log = fit(encoded, lexicon, recipe, start)
    save(out, network, lexicon, recipe, log)


def fit(
    data: Encoded, lexicon: Lexicon, recipe: Recipe, start: NDArray[np.float32] | None = None
) -> tuple[Network, dict[str, float]]:
    """The averaged network and what the run took. Raises Fatal when the loss is no longer a number."""
    rng = np.random.default_rng(recipe.seed)
    network = Network(recipe, lexicon.rows, len(data.sources))
    if start is not None:
        with torch.no_grad():
            network.table.weight[1 : 1 + len(start)] = torch.from_numpy(start)
    dense = [p for name, p in network.named_parameters() if not name.startswith("table.")]
    optimisers = [
        torch.optim.SparseAdam([network.table.weight], lr=recipe.learning_rate),
        torch.optim.AdamW(dense, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
    ]
    plan = [batches(data, recipe, rng) for _ in range(recipe.epochs)]
    steps = sum(map(len, plan))
    average = {name: p.detach().clone() for name, p in network.named_parameters() if not name.startswith("table.")}
    started, step, running = time.monotonic(), 0, math.nan
    for epoch, chosen in enumerate(plan):
        bar = tqdm(chosen, desc=f"epoch {epoch + 1}/{recipe.epochs}", unit="batch", mininterval=10)
        for rows in bar:
            step += 1
            rate = recipe.learning_rate * schedule(step / steps)
            loss = one_step(network, make_batch(data, rows), recipe, optimisers, rate)
            if not math.isfinite(loss):
                raise Fatal(f"the loss is {loss} at step {step}: lower learning_rate ({recipe.learning_rate}) in the recipe")
            running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
            bar.set_postfix(loss=f"{running:.3f}", refresh=False)
            for name, value in average.items():
                value.lerp_(network.get_parameter(name).detach(), 1 - min(recipe.average_decay, step / (step + 10)))
    with torch.no_grad():
        for name, value in average.items():
            network.get_parameter(name).copy_(value)
    minutes = (time.monotonic() - started) / 60
    return network, {"rows": float(len(data)), "steps": float(steps), "minutes": round(minutes, 2), "loss": running}


def schedule(progress: float) -> float:
    """Factor of the learning rate: a short rise, then a straight fall to nothing, where the weights settle."""
    return min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))


def batches(data: Encoded, recipe: Recipe, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """One epoch: each row drawn as often as its source's weight says, sorted into batches of like length, shuffled."""
    copies = np.floor(data.weight + rng.random(len(data))).astype(np.int64)
    drawn = rng.permutation(np.repeat(np.arange(len(data)), copies))
    lengths = np.diff(data.bounds)
    out: list[NDArray[np.int64]] = []
    for pool in np.array_split(drawn, max(1, len(drawn) // 20_000)):  # like lengths within a pool, order random across pools
        ordered = pool[np.argsort(lengths[pool], kind="stable")]
        out += _split(ordered, lengths[ordered], recipe)
    return [out[i] for i in rng.permutation(len(out))]


def _split(rows: NDArray[np.int64], lengths: NDArray[np.int64], recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Cut rows in order of length into batches within `batch_rows` and, padded, `batch_tokens`."""
    start = 0
    while start < len(rows):
        stop = start + 1  # rows are sorted: the last is the longest, and sets the padding of all
        most = min(len(rows), start + recipe.batch_rows)
        while stop < most and (stop + 1 - start) * lengths[stop] <= recipe.batch_tokens:
            stop += 1
        yield rows[start:stop]
        start = stop


def make_batch(data: Encoded, rows: NDArray[np.int64]) -> Batch:
    """The rows as padded tensors."""
    lengths = (data.bounds[rows + 1] - data.bounds[rows]).astype(np.int64)
    longest = int(lengths.max())
    inside = np.arange(longest) < lengths[:, None]  # (rows, tokens)
    at = (data.bounds[rows][:, None] + np.arange(longest))[inside]
    ids = np.zeros((len(rows), longest, data.features.shape[1]), np.int64)
    tags = np.full((len(rows), longest, len(KINDS)), UNKNOWN, np.int64)
    towards = np.full((len(rows), longest), UNKNOWN, np.int64)
    ids[inside], tags[inside], towards[inside] = data.features[at], data.tags[at], data.towards[at]
    per_row = (data.label, data.binary, data.source, data.outside)
    label, binary, source, outside = (torch.from_numpy(a[rows]) for a in per_row)
    return Batch(torch.from_numpy(ids), label, binary, source, outside, torch.from_numpy(tags), torch.from_numpy(towards))


def one_step(network: Network, batch: Batch, recipe: Recipe, optimisers: list[torch.optim.Optimizer], rate: float) -> float:
    """Forward, backward, one update; returns the loss."""
    loss = total_loss(network, batch, recipe)
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    return loss.item()


def total_loss(network: Network, batch: Batch, recipe: Recipe) -> Tensor:
    """Sentiment + key terms + sentiment towards terms, each a mean over what is labelled in this batch."""
    sentiment, tokens = network(batch.ids)
    sentiment = sentiment + network.source_bias(batch.source)
    tags = tokens[..., : len(KINDS) * TAGS].unflatten(-1, (len(KINDS), TAGS))
    towards = tokens[..., len(KINDS) * TAGS :]
    mood = F.cross_entropy(sentiment, sentiment_targets(batch, recipe.binary_neutral), reduction="none")
    loss = masked_mean(mood, (batch.label >= 0).float())
    weight = torch.where(batch.tags == 0, batch.outside[:, None, None], 1.0) * (batch.tags >= 0)
    per_tag = F.cross_entropy(tags.flatten(0, 2), batch.tags.clamp(min=0).flatten(), reduction="none")
    loss = loss + recipe.tag_weight * masked_mean(per_tag, weight.flatten())
    per_term = F.cross_entropy(towards.flatten(0, 1), batch.towards.clamp(min=0).flatten(), reduction="none")
    return loss + recipe.term_sentiment_weight * masked_mean(per_term, (batch.towards >= 0).float().flatten())


def sentiment_targets(batch: Batch, binary_neutral: float) -> Tensor:
    """(rows, 3): the label; in a binary source the neutral class, which nobody could choose, keeps a part."""
    targets = F.one_hot(batch.label.clamp(min=0), len(LABELS)).float()
    smoothed = targets * (1 - binary_neutral)
    smoothed[:, LABELS.index("neutral")] += binary_neutral
    return torch.where(batch.binary[:, None], smoothed, targets)


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """The mean where there is something to average, else 0."""
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def save(out: Path, network: Network, lexicon: Lexicon, recipe: Recipe, log: dict[str, float]) -> None:
    """Recipe and log as JSON, weights and lexicon as a checkpoint, each written beside and renamed into place."""
    part = out / (CHECKPOINT + ".part")
    torch.save({"weights": network.state_dict(), "words": list(lexicon.words)}, part)
    part.rename(out / CHECKPOINT)
    text = json.dumps({"recipe": recipe.as_json(), "log": log}, indent=1)
    part = out / "run.json.part"
    part.write_text(text, encoding="utf-8")
    part.rename(out / "run.json")
