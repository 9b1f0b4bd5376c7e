"""From a bundle and a user's own labels to a bundle of the user's own: nothing else of ours is needed.

train(data, bundle, out)        the bundle's network, trained on by the labels → a run in `out`
export(run, data, out)          that run → a bundle, calibrated on the labels that were held out
recalibrate(bundle, data, out)  the bundle as it is, calibrated on all labels

A few hundred labels say little of what the network knows already, so it learns them while it goes on saying what it said:
the distance to its own outputs before is part of the loss, on the same texts and on the bundle's golden ones, of both
languages and all tasks. It counts half, and so does the label of a message; tags and sentiment of marked terms count whole.
The vocabulary stays.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream.model import bundle as files
from textstream.model.packing import padded
from textstream.model.scorer import Scorer
from textstream_export import own
from textstream_export.calibrate import refit
from textstream_export.card import own_card
from textstream_export.data import Row
from textstream_export.encode import encode
from textstream_export.evaluate import group, judge, scores_of
from textstream_export.export import Draft, agreed, finish, write_network
from textstream_export.golden import texts
from textstream_export.place import placed, writable, writing
from textstream_export.recipe import Recipe
from textstream_export.restore import restore
from textstream_export.run import load
from textstream_export.soft import label
from textstream_export.sources import LICENCES, OWN, OWN_ASPECTS, OWN_TERMS
from textstream_export.train import fit, save

RECIPE = Recipe(
    name="own",
    start="bundle",
    gram_rows=0,
    twins=0,
    epochs=10,
    batch_rows=32,
    learning_rate=5e-4,
    feature_dropout=0.1,
    dropout=0.2,
    average_decay=0.99,
    soft_share=0.5,
    sources={OWN: 1.0},
    terms={OWN_TERMS: 1.0, OWN_ASPECTS: 1.0},
)
"""Rate, epochs and share: on 1,021 labelled snippets of news, a source that no bundle has seen, four times the rate or less of
its own former word cost 1 to 2 points of macro-F1 on others; a quarter of the rate half a point."""
BASE = "base.json"
"""The manifest of the bundle that a run began from."""
REPLAYED = "golden"
SUFFIX = "-own"
"""Behind the name of the bundle that it was made from."""
TRAINED_FURTHER = "Trained further on labels of whoever made this bundle. Of the weights before that: "


def train(data: Path, bundle: str | Path, out: Path, recipe: Recipe = RECIPE) -> None:
    """Train the network of `bundle` on the labels in `data`, but for those held out, and leave a run in `out`."""
    writable(out)
    base = files.read(bundle)
    run = restore(base, recipe)
    tokenise = run.tokenise(recipe.max_train_tokens)
    taught, _ = own.read_to_train(data, run.tokenise(base.manifest.max_tokens), base.manifest.languages)
    torch.manual_seed(recipe.seed)
    rows = [*taught, *(Row(text, own.NOWHERE, REPLAYED) for text in texts())]
    told = [(row, tokens) for row, tokens in zip(rows, tokenise([row.text for row in rows]), strict=True) if tokens.count]
    before = label([tokens for _, tokens in told], [padded(run.infer)])
    pairs = [(row, soft) for (row, _), soft in zip(told, before, strict=True)]
    encoded = encode([partial(list, pairs)], tokenise, run.recipe)
    # As many as there are: a bundle has left its own behind, and which tasks are labelled is seen here first.
    run.network.source_bias = nn.Embedding(len(encoded.sources), len(LABELS))
    nn.init.zeros_(run.network.source_bias.weight)
    log = fit(run.network, encoded, run.recipe, out)
    shutil.copyfile(base.folder / files.MANIFEST, out / BASE)
    save(out, run.network, run.vocabulary, run.recipe, log)


def export(run: Path, data: Path, out: Path) -> files.Manifest:
    """Write the bundle of a run that `train` left. What stood at `out` stays until the new one is complete and verified."""
    with placed(out) as folder:
        trained, base = load(run), _base(run)
        taught, kept = own.read_to_train(data, trained.tokenise(base.max_tokens), base.languages)
        draft = Draft(folder, (trained.units,), base.model_copy(update={"networks": (write_network(folder, trained),)}))
        draft.update(
            name=_own_name(base),
            weights_licence=TRAINED_FURTHER + base.weights_licence.removeprefix(TRAINED_FURTHER),
            sources=(*base.sources, *_sources(taught)),
            recipe=_made_from(base) | {"own": asdict(trained.recipe), "held_out_per_cent": own.HELD_OUT_PER_CENT},
        )
        return _finish(draft, kept, data)


def recalibrate(bundle: str | Path, data: Path, out: Path) -> files.Manifest:
    """Write `bundle` with its calibration moved to the labels in `data`. Its weights stay."""
    with placed(out) as folder:
        found, scorer = files.read(bundle), Scorer.load(bundle, device="cpu")
        rows = own.read_to_calibrate(data, scorer.tokenise, found.manifest.languages)
        for name in found.manifest.files.keys() - {files.GOLDEN, files.CARD}:
            content = (found.folder / name).read_bytes()
            with writing(folder / name):
                (folder / name).write_bytes(content)
        draft = Draft(folder, found.vocabularies, found.manifest)
        draft.update(name=_own_name(found.manifest), recipe=_made_from(found.manifest) | {"held_out_per_cent": 100})
        return _finish(draft, rows, data)


def _finish(draft: Draft, kept: Sequence[Row], data: Path) -> files.Manifest:
    """Calibrate on `kept`, score it, and write the rest of the bundle.

    What the bundle before said of messages holds no longer, and labelled ones are no picture of them: it has no reference until
    `textstream-export reference` has measured one.
    """
    draft.update(calibration=refit(draft.manifest.calibration, draft.outputs(kept)), reference=None)
    scorer = draft.scorer()
    golden = agreed(scorer, [draft.scorer("cuda")])
    draft.update(scores=scores_of(judge(scorer, kept), group(kept, data)))
    return finish(draft, golden, own_card(draft.manifest))


def _base(run: Path) -> files.Manifest:
    try:
        return files.Manifest.model_validate_json((run / BASE).read_bytes())
    except OSError as error:
        why = str(error.strerror)
    except ValidationError as error:
        first = error.errors()[0]
        why = ": ".join([*map(str, first["loc"]), first["msg"]])
    raise Misconfigured(f"{run / BASE} is not the manifest of a bundle ({why}): train the run again")


def _own_name(base: files.Manifest) -> str:
    """The name of what was made from a bundle; it does not grow where that was one's own already."""
    return base.name.removesuffix(SUFFIX) + SUFFIX


def _made_from(base: files.Manifest) -> dict[str, Any]:
    """What the new manifest says of the bundle that it was made from."""
    return {"base": {"name": base.name, "version": base.version, "files": base.files, "recipe": base.recipe}}


def _sources(taught: Sequence[Row]) -> list[files.TrainingSource]:
    counts = Counter(row.source for row in taught)
    return [
        files.TrainingSource(name=name, origin=origin, licence=licence, rows=rows)
        for name, rows in sorted(counts.items())
        for origin, licence in [LICENCES[name]]
    ]
