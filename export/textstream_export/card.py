"""MODEL_CARD.md, written from the manifest: what the model is, what it scored, and what it was made of."""

from collections.abc import Mapping

from textstream.model.bundle import Manifest
from textstream_export.precision import MAX_LOSS, PREFIX
from textstream_export.pretrained import PACKAGES
from textstream_export.report import headlines, tables
from textstream_export.sources import UNLABELLED

CURVES = "learning.svg"
"""The file beside the card with the learning curves."""


def card(manifest: Manifest) -> str:
    """The whole card."""
    columns = {manifest.name: manifest.scores}
    sources = "\n".join(f"| {s.name} | {s.rows:,} | {s.origin} | {s.licence} |" for s in manifest.sources)
    unlabelled = "\n".join(f"| {name} | {origin} | {licence} |" for name, (origin, licence) in sorted(UNLABELLED.items()))
    held_out = manifest.recipe["held_out_per_cent"]
    what, unseen = TRANSFORMERS if manifest.recipe["runs"][0][0]["start"] in PACKAGES else WINDOWS
    return f"""# {manifest.name} {manifest.version}

Sentiment (negative, neutral, positive), key terms (phrase, aspect, entity) and the sentiment towards aspects, for short
messages in English and Chinese. {what} Trained
in PyTorch by `textstream-export train`, run by onnxruntime.

## Licence of the weights
{manifest.weights_licence}

## Scores
From the events that `Scorer.score` emits with default settings, on the dev files; no dev row trained, stopped, calibrated
or set a threshold. The recipe itself was settled over a few runs with these scores in sight (export/LOG.md): they are a
little kinder than a test set. `textstream-export evaluate --bundle BUNDLE --data DIR` prints them again.

{headlines(columns)}
## How it was trained
The mean loss of the last steps, as training went; the recipe, and those of the runs that it went on from, are in the manifest.

![Loss against the step, a line for each network]({CURVES})

## How it was calibrated
On {held_out} % of the train rows, chosen by a hash of their text and never trained on: a temperature and class biases for
each language, fitted on the sources that have all three classes, each class weighing the same; salience by a logistic
regression for each language and kind. Terms below a salience of {manifest.calibration.min_salience:g} are not emitted.

{precision_section(manifest.scores)}{behaviour_section(manifest.scores)}## What it is not good at
{unseen}
The sentiment of a `phrase` or `entity` is that of its message; only aspects have their own. Gold key phrases of tweets and
titles are incomplete, so the salience of phrases is low for many that a reader would accept. Neutral is scarce in the
Chinese sources (about 16,000 rows). Not for decisions about people.

## Training sources
Each with its licence as its own source states it; several state none. The texts are not part of this bundle.

| source | rows | collected from (GitHub) | licence as stated there |
|---|---|---|---|
{sources}

Texts without labels, of which word vectors were learnt, and which teachers labelled (transformers that began as
bge-small-en-v1.5 and bge-small-zh-v1.5, whose weights are under the MIT licence):

| source | collected from (GitHub) | licence as stated there |
|---|---|---|
{unlabelled}

## All scores
{tables(columns)}"""


WINDOWS = (
    "One small network: embeddings of words,\nChinese characters and hashed pairs, windows over neighbours, mean and maximum.",
    "It sees a few tokens to each side: long-range negation, sarcasm and contrast across clauses escape it.",
)
TRANSFORMERS = (
    "One transformer a language, from an\nencoder that others trained on text of all kinds.",
    "Sarcasm often escapes it, and a message costs about a hundred times what it costs `swift`.",
)
"""What a model is, and what it does not see."""


def own_card(manifest: Manifest) -> str:
    """The card of a bundle that a user made from another, by training or calibration on labels of their own."""
    base = manifest.recipe["base"]
    trained = "own" in manifest.recipe
    how = "trained further and calibrated" if trained else "calibrated"
    on = f"{manifest.recipe['held_out_per_cent']} % of those labels, which trained nothing," if trained else "those labels"
    sources = "\n".join(f"| {s.name} | {s.rows:,} | {s.origin} | {s.licence} |" for s in manifest.sources)
    return f"""# {manifest.name} {manifest.version}

{base["name"]} {base["version"]}, {how} on labels of whoever made this bundle, by `textstream-export`.

## Licence of the weights
{manifest.weights_licence}

## How it was calibrated
From the calibration of {base["name"]}, moved to what makes {on} likely: the more labels of a language and task, the
further. Where there were none it is as it was. Terms below a salience of {manifest.calibration.min_salience:g} are not emitted.

## Scores
On the labels that calibrated it, so they are a little kind; compare it with {base["name"]} on others:
`textstream-export compare`.

{tables({manifest.name: manifest.scores})}
## Training sources
Each with its licence as its own source states it; several state none. The texts are not part of this bundle.

| source | rows | collected from (GitHub) | licence as stated there |
|---|---|---|---|
{sources}
"""


BEHAVIOUR = "behaviour/"
"""Scores of the behaviour suite begin with this, then language, capability, and for swaps how far the score moved."""


def behaviour_section(scores: Mapping[str, float]) -> str:
    """The behaviour suite's rates as a section of the card; nothing where a bundle was not asked."""
    found = {tuple(name.split("/")[1:]): value for name, value in scores.items() if name.startswith(BEHAVIOUR)}
    capabilities = dict.fromkeys(name[1] for name in found)
    if not capabilities:
        return ""
    rows = "\n".join(f"| {c} | {_percent(found.get(('en', c)))} | {_percent(found.get(('zh', c)))} |" for c in capabilities)
    moved = "\n".join(
        f"| {c} | {_moved(found, 'en', c)} | {_moved(found, 'zh', c)} |"
        for c in capabilities
        if ("en", c, "mean_shift") in found
    )
    return f"""## How it behaves
Share of hand-written cases that it fails, by what they ask of a reader (50 cases a template, about 50 templates a language;
`textstream-export behaviour --bundle BUNDLE --failures 3` prints each template and what failed).

| capability | English | Chinese |
|---|---|---|
{rows}

How far `score` (−1…1) moves when only a name or a gender is swapped, mean and 95th percentile:

| swapped | English | Chinese |
|---|---|---|
{moved}

"""


def precision_section(scores: Mapping[str, float]) -> str:
    """What a network's scores lose in fewer bits; nothing where it is shipped as it was trained."""
    found = {name.removeprefix(PREFIX): value for name, value in scores.items() if name.startswith(PREFIX)}
    if not found:
        return ""
    names = dict.fromkeys(name.split("/")[0] for name in found)
    tasks = dict.fromkeys(name.partition("/")[2] for name in found)
    rows = "\n".join(
        f"| {name} | " + " | ".join(f"{100 * found[f'{name}/{task}']:+.2f}" for task in tasks) + " |" for name in names
    )
    return f"""## What fewer bits cost
Points lost on held-out train rows, against the numbers that PyTorch trained: int8 is what a CPU runs, fp16 what a GPU runs.
At most {100 * MAX_LOSS:g} of any may go. Both run on the same weights of 8 bits.
The graph in half precision was measured on a CPU, not on a GPU.

| precision | {" | ".join(tasks)} |
|---|{"---|" * len(tasks)}
{rows}

"""


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.0%}"


def _moved(found: Mapping[tuple[str, ...], float], language: str, capability: str) -> str:
    shifts = [found.get((language, capability, name)) for name in ("mean_shift", "p95_shift")]
    return " / ".join("–" if shift is None else f"{shift:.3f}" for shift in shifts)
