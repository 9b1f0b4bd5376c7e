"""Trains the heads of sentiment alone, on what a finished run's encoder makes of labelled texts: a minute or two of a network
of words, a quarter of an hour of a transformer, which is read in the 8 bits that it ships in.

A source's mix of classes is a habit of its annotators that texts give away: plain cross-entropy learns it, and a reader of
other texts pays for it. Here the classes of a source weigh alike, binary sources less, and a text's own heads, of which there
are several, are told apart by it. No other weight moves: what is said of key terms stays, as long as texts are read as before.

So a large encoder learns messages that report (`grammar`) without a GPU: what it makes of them tells good news from bad, and
its one head, which has seen none, calls both neutral.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)
from tqdm import tqdm

from textstream.errors import Fatal, Misconfigured
from textstream.event import LABELS
from textstream.model.packing import CORE, Logits, Padded, Passes, padded, score
from textstream_export import transformer_onnx
from textstream_export.data import Row, in_share
from textstream_export.loss import divergence, masked_mean, sentiment_targets
from textstream_export.network import Network
from textstream_export.place import writable
from textstream_export.recipe import Recipe
from textstream_export.run import Run, gold_rows, refuse_unlike, tokeniser
from textstream_export.soft import Tokenise
from textstream_export.sources import BINARY, REPORTS
from textstream_export.train import LOG, LOG_STEPS, RUN, SCHEDULES, newest_share, save
from textstream_export.transformer import Transformer

BATCH_ROWS = 1024
READ_AT_ONCE = 4096
"""Texts."""
WORDS = Passes(most_units=8192, costs_units=1024)
"""How PyTorch reads a network of words."""
APART = 0.02
"""Standard deviation of what tells heads apart that begin alike."""
SIZE_COUNTS = 0.75
"""A source weighs as this power of its rows."""
BINARY_COUNTS = 0.3
"""So much of that weight a source has that knows no neutral."""


def train_heads(run: Run, data: Path, recipe: Recipe, out: Path) -> None:
    """Go on from a finished run (`restore.begun`) with its heads of sentiment alone, and leave a run in `out`.

    Rows are drawn by weight, in so many passes as the recipe has epochs. `soft_share` of the loss is the distance from what the
    run said before; a label counts for what that leaves of it, times `label_weight`. Of a report, whose run's word is what is
    to be unlearnt, the label counts whole, times that weight. Raises Misconfigured where the run is not of the recipe's shape.
    """
    refuse_unlike(run, recipe)
    writable(out)
    network = _with_heads(run.network, recipe)
    drawn = (row for row in gold_rows(data, recipe) if row.label and recipe.sources.get(row.source, 0) > 0)
    rows = [row for row in drawn if in_share(row.text, recipe.share)]
    if not rows:
        raise Misconfigured(f"no row of {data} has a label that the recipe draws: name another folder with --data")
    rows, pooled = _pooled(run.network, tokeniser(run.vocabulary, recipe, recipe.max_train_tokens), rows)
    with torch.no_grad():
        said = run.network.mood(pooled)
    out.mkdir(parents=True, exist_ok=True)
    (out / RUN).unlink(missing_ok=True)  # whoever ends this midway must not export what was finished there
    told = torch.tensor([row.source != REPORTS for row in rows])
    log = _fit(network, pooled, said, told, _targets(rows, recipe), _weights(rows, recipe), recipe, out / LOG)
    save(out, network, run.vocabulary, recipe, log, (*run.before, run.recipe))


def _with_heads(network: Network, recipe: Recipe) -> Network:
    """The network with as many heads as the recipe has: each of those before begins several, a little apart.

    Raises Misconfigured where that does not come out even.
    """
    times, left = divmod(recipe.experts, network.experts)
    if left or recipe.experts == 1:
        what = f"the recipe has {recipe.experts} heads, the run {network.experts}"
        raise Misconfigured(f"{what}, which is no divisor of them, or there is one alone: name another run with --from")
    torch.manual_seed(recipe.seed)
    more = Network(
        network.encoder, network.token.in_features, network.source_bias.num_embeddings, recipe.dropout, recipe.experts
    )
    weights = network.state_dict()
    for name in [name for name in weights if name.startswith(("sentiment.", "expert."))]:
        repeated = torch.cat([weights[name]] * times)
        weights[name] = repeated + (APART * torch.randn_like(repeated) if times > 1 else 0.0)
    more.load_state_dict(weights, strict=network.experts > 1)  # one head alone had no share to give
    return more.eval()


def _pooled(network: Network, tokenise: Tokenise, rows: Sequence[Row]) -> tuple[list[Row], Tensor]:
    """The rows that have a token, and (rows, 2 · width) what the encoder makes of them."""
    infer = padded(*_reading(network))
    tokens = tokenise([row.text for row in rows])
    order = sorted((i for i, each in enumerate(tokens) if each.count), key=lambda i: len(tokens[i].features))
    parts = list[Logits]()
    with tqdm(total=len(order), desc="read", unit="text", mininterval=10) as bar:
        for start in range(0, len(order), READ_AT_ONCE):
            some = order[start : start + READ_AT_ONCE]
            parts.append(score([tokens[i] for i in some], infer).sentiment)
            bar.update(len(some))
    return [rows[i] for i in order], torch.from_numpy(np.concatenate(parts))


def _reading(network: Network) -> tuple[Padded, Passes]:
    """What stands where a network says the sentiment of texts, and gives what its head reads in place of it."""
    if isinstance(network.encoder, Transformer):
        return transformer_onnx.pooled(network), CORE

    def read(ids: NDArray[np.int32]) -> tuple[Logits, Logits]:
        with torch.inference_mode():
            pooled = network.encoder(torch.from_numpy(ids).long())[1].numpy()
        return pooled, np.zeros((*ids.shape[:2], 0), np.float32)

    return read, WORDS


def _targets(rows: Sequence[Row], recipe: Recipe) -> Tensor:
    """(rows, 3), as in all training."""
    label = torch.tensor([LABELS.index(row.label or "") for row in rows])
    return sentiment_targets(label, torch.tensor([row.source in BINARY for row in rows]), recipe)


def _weights(rows: Sequence[Row], recipe: Recipe) -> Tensor:
    """(rows,): how often a row is drawn. Languages weigh alike, and so do the classes of a source."""
    languages, sources, labels = (np.array([getattr(row, name) for row in rows]) for name in ("lang", "source", "label"))
    weights = np.zeros(len(rows))
    for source in np.unique(sources):
        own = sources == source
        counts = dict(zip(*np.unique(labels[own], return_counts=True), strict=True))
        of_source = (recipe.sources[source] * own.sum()) ** SIZE_COUNTS * (BINARY_COUNTS if source in BINARY else 1.0)
        weights[own] = [of_source / len(counts) / counts[label] for label in labels[own]]
    for language in np.unique(languages):
        weights[languages == language] /= weights[languages == language].sum()
    return torch.from_numpy(weights)


def _fit(
    network: Network, pooled: Tensor, said: Tensor, told: Tensor, targets: Tensor, weights: Tensor, recipe: Recipe, log: Path
) -> dict[str, float]:
    """Train the heads in place, to averaged weights; returns what it took. `told` (rows,) is whether `said` counts."""
    shares = recipe.label_weight * torch.where(told, 1 - recipe.soft_share, 1.0)
    heads = [*network.sentiment.parameters(), *(network.expert.parameters() if network.expert else ())]
    optimiser = torch.optim.AdamW(heads, lr=recipe.learning_rate, weight_decay=0.0)
    average = [head.detach().clone() for head in heads]
    draws = torch.Generator().manual_seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    until = weights.cumsum(0)
    steps = max(1, recipe.epochs * len(pooled) // BATCH_ROWS)
    lines = []
    loss = torch.zeros(())
    for step in tqdm(range(steps), desc="heads", unit="batch", mininterval=10):
        drawn = torch.rand(BATCH_ROWS, generator=draws, dtype=torch.float64) * until[-1]
        own = torch.searchsorted(until, drawn).clamp(max=len(pooled) - 1)
        mood = network.mood(F.dropout(pooled[own], recipe.dropout))
        gold = (F.cross_entropy(mood, targets[own], reduction="none") * shares[own]).mean()
        loss = gold + recipe.soft_share * masked_mean(divergence(mood, said[own]), told[own].float())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * SCHEDULES[recipe.schedule](step / steps)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, heads, newest_share(step, recipe))
        if (step + 1) % LOG_STEPS == 0:
            lines.append(json.dumps({"step": step + 1, "loss": round(loss.item(), 4)}) + "\n")
    if not math.isfinite(loss.item()):
        raise Fatal(f"the loss is no number any more: lower learning_rate ({recipe.learning_rate:g}) in the recipe")
    with torch.no_grad():
        for head, mean in zip(heads, average, strict=True):
            head.copy_(mean)
    log.write_text("".join(lines), encoding="utf-8")
    return {"rows": len(pooled), "steps": steps, "loss": loss.item()}
