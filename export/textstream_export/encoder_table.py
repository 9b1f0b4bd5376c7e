"""One table of the encoders, each trained on the same rows: what it scores, and how many messages it reads a second.

The recipes differ in the encoder, in where its word vectors start and in the learning rate that it needs. Each is calibrated
and given its thresholds as a bundle is, and judged by its events. What was pretrained reads the same rows, each once at most.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from textstream.errors import Misconfigured
from textstream.model.scorer import Scorer
from textstream_export.data import LANGUAGES, Row, read_test, read_train, split_held_out
from textstream_export.evaluate import judge, scores_of
from textstream_export.export import drafted
from textstream_export.measures import Scores
from textstream_export.pretrain import unlabelled
from textstream_export.recipe import RECIPES, Recipe
from textstream_export.report import table
from textstream_export.run import Run, load, train
from textstream_export.train import RUN

_PLAIN = Recipe(name="encoder", epochs=3, twins=0)
PRETRAINED = "bge-small, pretrained"
COMPARED: dict[str, tuple[Recipe, ...]] = {
    "windows": (_PLAIN,),
    "windows, random": (replace(_PLAIN, start="random"),),
    "windows, skip-gram": (replace(_PLAIN, start="skipgram"),),
    "GRU": (replace(_PLAIN, encoder="gru"),),
    "LSTM": (replace(_PLAIN, encoder="lstm"),),
    "transformer, 2 layers": (replace(_PLAIN, encoder="transformer", layers=2, learning_rate=1e-3),),
    PRETRAINED: (RECIPES["deep-en"], RECIPES["deep-zh"]),
}
"""Word vectors start from the singular value decomposition of `pretrain` where nothing else is said."""

MEASURES = {
    "tweeteval_sentiment/macro_recall": "tweeteval macro-recall",
    "sst2/pos_neg_accuracy": "sst2 accuracy",
    "smp2020_usual/macro_f1": "smp2020 macro-F1",
    "chnsenticorp/pos_neg_accuracy": "chnsenticorp accuracy",
    "absa_mams/own/offset_f1": "absa_mams aspects F1",
    "aste_zh_dianping/own/offset_f1": "aste_zh aspects F1",
    "tnews_kw/f1": "tnews_kw terms F1",
}
"""What is shown of the scores: two sources of sentiment a language, and of key terms those with gold on short texts."""
TABLES = ("encoder.table.weight", "encoder.words.weight", "source_bias.weight")
"""Weights of which a text reads a few rows."""
EVERY = 400
"""Of the unlabelled messages every so many is one of those that are timed: 3,200 of all there are."""
PARTS = 3
"""The messages are timed in so many parts, each met once; the median counts."""


def compare_encoders(data: Path, out: Path, share: float, names: Sequence[str], packages: Path | None = None) -> str:
    """Train, calibrate, judge and time each of `names` (of COMPARED), and return the table. Runs in `out` stay as they are."""
    train_rows, kept = split_held_out(read_train(data))
    shown = {measure.split("/")[0] for measure in MEASURES}
    asked = [[row for row in rows if row.source in shown] for rows in (kept, read_test(data))]
    messages = list(islice(unlabelled(data, LANGUAGES), 0, None, EVERY))
    if not messages:
        raise Misconfigured(f"no message in unlabelled.en.jsonl.gz and unlabelled.zh.jsonl.gz of {data}: those are timed")
    lines = []
    for name in names:
        runs = [_run(recipe, data, out, share, packages) for recipe in COMPARED[name]]
        with TemporaryDirectory() as folder:
            scorer = drafted(Path(folder), runs, train_rows, kept).scorer()
        held_out, dev = (_scores(scorer, rows) for rows in asked)
        parts = [(part, value.numel()) for run in runs for part, value in run.network.state_dict().items()]
        weights = sum(count for part, count in parts if part not in TABLES)
        rate = messages_per_second(scorer, messages)
        lines.append([name, *(_both(held_out, dev, measure) for measure in MEASURES), f"{weights:,}", f"{rate:,.0f}"])
    return table(("encoder", *MEASURES.values(), "weights beside the table", "messages/s"), lines)


def _run(recipe: Recipe, data: Path, out: Path, share: float, packages: Path | None) -> Run:
    recipe = replace(recipe, share=share)
    folder = out / "-".join((*recipe.languages, recipe.encoder, recipe.start))
    if not (folder / RUN).exists():
        train(data, recipe, folder, packages=packages)
    run = load(folder)
    if run.recipe != recipe:
        raise Misconfigured(f"{folder} is of another recipe or --share: name another --out")
    return run


def _scores(scorer: Scorer, rows: Sequence[Row]) -> Scores:
    sources = {row.source for row in rows}
    return scores_of(judge(scorer, rows), {s: [at for at, row in enumerate(rows) if row.source == s] for s in sources})


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
