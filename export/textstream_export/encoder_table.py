"""One table of the encoders, each trained on the same rows: what it scores, and how many messages it reads a second.

The recipes differ in the encoder and in where its word vectors start, and in the learning rate that an encoder needs. Each run
becomes a bundle, with calibration and thresholds of its own, and is judged by its events as any bundle is.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from textstream.errors import Misconfigured
from textstream.model.scorer import Scorer
from textstream_export.data import Row, read_train, split_held_out
from textstream_export.evaluate import judge, scores_of
from textstream_export.export import export
from textstream_export.pretrain import unlabelled
from textstream_export.recipe import Recipe
from textstream_export.report import table
from textstream_export.run import load, train
from textstream_export.train import RUN

_PLAIN = Recipe(name="encoder", epochs=3, twins=0)
COMPARED: dict[str, Recipe] = {
    "windows": _PLAIN,
    "windows, random": replace(_PLAIN, start="random"),
    "windows, skip-gram": replace(_PLAIN, start="skipgram"),
    "GRU": replace(_PLAIN, encoder="gru"),
    "LSTM": replace(_PLAIN, encoder="lstm"),
    "transformer, 2 layers": replace(_PLAIN, encoder="transformer", layers=2, learning_rate=1e-3),
}
"""Word vectors start from the singular value decomposition of `pretrain` where nothing else is said."""

MEASURES = {
    "tweeteval_sentiment/macro_recall": "tweeteval macro-recall",
    "sst2/pos_neg_accuracy": "sst2 accuracy",
    "smp2020_usual/macro_f1": "smp2020 macro-F1",
    "chnsenticorp/pos_neg_accuracy": "chnsenticorp accuracy",
    "absa_mams/own/offset_f1": "absa_mams aspects F1",
    "aste_zh_dianping/own/offset_f1": "aste_zh aspects F1",
    "tnews_kw/own/f1": "tnews_kw phrases F1",
}
"""What is shown of the scores: two sources of sentiment a language, and of key terms what has gold on short texts."""
EVERY = 400
"""Of the unlabelled messages every so many is one of those that are timed: 4,200 of all there are."""
PARTS = 3
"""The messages are timed in so many parts, each met once; the median counts."""


def compare_encoders(data: Path, out: Path, share: float, names: Sequence[str]) -> str:
    """Train, export, judge and time each of `names` (of COMPARED) in `out`, which may hold some already; returns the table."""
    _, kept = split_held_out(read_train(data))
    messages = list(islice(unlabelled(data), 0, None, EVERY))
    if not messages:
        raise Misconfigured(
            f"no unlabelled.en.jsonl.gz or unlabelled.zh.jsonl.gz in {data}: those are the messages that are timed"
        )
    lines = [_line(name, replace(COMPARED[name], share=share), data, kept, messages, out) for name in names]
    return table(("encoder", *MEASURES.values(), "weights beside the table", "messages/s"), lines)


def _line(name: str, recipe: Recipe, data: Path, kept: Sequence[Row], messages: Sequence[str], out: Path) -> list[str]:
    folder = out / name.replace(",", "").replace(" ", "-")
    run, bundle = folder / "run", folder / "bundle"
    if not (run / RUN).exists():
        train(data, recipe, run)
    trained = load(run)
    if trained.recipe != recipe:
        raise Misconfigured(f"{run} is of another recipe or --share: name another --out")
    if not bundle.exists():
        export([run], data, bundle)
    scorer = Scorer.load(bundle, device="cpu")
    rows = [row for row in kept if any(measure.startswith(f"{row.source}/") for measure in MEASURES)]
    sources = {row.source for row in rows}
    of_source = {source: [at for at, row in enumerate(rows) if row.source == source] for source in sources}
    held_out, dev = scores_of(judge(scorer, rows), of_source), scorer.manifest.scores
    tables = ("encoder.table.weight", "source_bias.weight")
    weights = sum(value.numel() for part, value in trained.network.state_dict().items() if part not in tables)
    rate = messages_per_second(scorer, messages)
    return [name, *(_both(held_out, dev, measure) for measure in MEASURES), f"{weights:,}", f"{rate:,.0f}"]


def _both(held_out: Mapping[str, float], dev: Mapping[str, float], measure: str) -> str:
    return " / ".join(f"{scores[measure]:.3f}" if measure in scores else "–" for scores in (held_out, dev))


def messages_per_second(scorer: Scorer, texts: Sequence[str]) -> float:
    """From text to event, in one thread's own time: what else the machine does costs little of it. The median of PARTS."""
    scorer.score(texts[:8])
    rates = []
    for part in (texts[at::PARTS] for at in range(PARTS)):
        if part:
            started = time.process_time()
            scorer.score(part)
            rates.append(len(part) / max(time.process_time() - started, 1e-9))
    return sorted(rates)[len(rates) // 2]
