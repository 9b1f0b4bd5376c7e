"""From finished runs to a bundle: ONNX graphs, calibration, golden outputs, scores and card, renamed into place at the end.

One run that reads words gives a bundle of one network for all languages; runs that start from pretrained encoders give a
bundle of one network a language.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from textstream.errors import Misconfigured
from textstream.event import KINDS, Analysis, ModelInfo
from textstream.model import bundle as files
from textstream.model.golden import differs
from textstream.model.packing import WINDOW
from textstream.model.pieces import WordPieces
from textstream.model.scorer import MAX_TERMS, Scorer
from textstream.model.session import Session
from textstream.model.text import TEXT_VERSION
from textstream.model.tokens import Lexicon
from textstream_export import behaviour, calibrate, encoders_onnx, to_onnx, transformer_onnx
from textstream_export.card import CURVES, card
from textstream_export.data import HELD_OUT_PER_CENT, Row, read_train, split_held_out
from textstream_export.evaluate import evaluate, score_rows
from textstream_export.golden import texts
from textstream_export.measures import Scores
from textstream_export.network import Windows
from textstream_export.place import placed, writing
from textstream_export.plots import learning_curves
from textstream_export.precision import PREFIX, losses
from textstream_export.pretrained import PACKAGES
from textstream_export.recipe import Recipe, passes_in
from textstream_export.reference import measured
from textstream_export.run import Run, lexicon_of, load, tokeniser_of
from textstream_export.sources import CALIBRATED_ON, CHANNELS, LICENCES, OUTSIDE_WEIGHT, REPORTS

NETWORK = "model.onnx"
"""The graph of a network that reads words."""
MAX_PARITY_GAP = 5e-3
"""Largest difference of a logit between PyTorch and onnxruntime that is still rounding, to 16 bits: 0.1 % of a probability."""
GOLDEN_TOLERANCE: dict[files.Kernel, float] = {"cpu": 0.01, "cuda": 0.01}
GOLDEN_TOLERANCE_DEEP: dict[files.Kernel, float] = {"cpu": 0.03, "cuda": 0.08}
"""In 8 bits, activations on the edge of two integers fall to either side, by what the sums before them were rounded to. The
golden outputs are those of 8 bits, so a GPU also differs by what those lose."""
AGREED = 0.05
"""What shipped graphs may differ by from PyTorch's numbers on a golden text."""
MAX_ON_EDGE = 0.1
"""Part of the golden texts on which they may differ by more, most by another of two key terms that overlap. Those are no golden
texts: there, fewer bits decide, and a check could not tell that from a fault."""
Golden = Sequence[tuple[str, Analysis]]
"""Each golden text with what is said of it."""
MAX_TOKENS, MAX_TOKENS_DEEP = 2048, 1024
"""Of one text. A transformer takes 0.2 ms a unit on a core."""
WEIGHTS_LICENCE = (
    "The code of textstream is Apache-2.0. The weights are offered for research and evaluation: they were trained on the "
    "sources listed in the model card, several of which state no licence or restrict use to research. Whoever uses the "
    "weights must judge whether those terms allow it."
)


def export(runs: Sequence[Path], data: Path, out: Path, base: Path | None = None) -> files.Manifest:
    """Write the bundle of `runs` to `out`, with the networks of `base`, a bundle, for the languages that no run is of.

    An existing bundle at `out` stays until the new one is complete and verified.
    """
    with placed(out) as folder:
        trained = [load(run) for run in runs]
        others = _others(trained, base)
        _of_one_bundle(trained, others)
        train, kept = split_held_out(read_train(data))
        return _fill(folder, trained, others, train, kept, data)


@dataclass(frozen=True, slots=True)
class Other:
    """A network of a bundle that is taken over as it is."""

    bundle: files.Bundle
    network: files.NetworkFiles
    vocabulary: files.Vocabulary

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What it was made by, the first pass first."""
        return next(made for made in passes_in(self.bundle.manifest.recipe) if made[-1].languages == self.network.languages)

    @property
    def lost(self) -> Scores:
        """What its precisions lost when it was exported."""
        scores = self.bundle.manifest.scores.items()
        return {name: lost for name, lost in scores if name.startswith(PREFIX) and name.split("/")[2] in self.network.languages}

    def copy(self, folder: Path) -> None:
        """Its graphs, weights and tokenizer, which have its languages in their names."""
        for name in self.bundle.manifest.files:
            if f".{'-'.join(self.network.languages)}." in name:
                with writing(folder / name):
                    shutil.copyfile(self.bundle.folder / name, folder / name)


def _others(runs: Sequence[Run], base: Path | None) -> list[Other]:
    """The networks of `base` in none of the languages of the runs."""
    if base is None:
        return []
    found = files.read(base)
    taken = {language for run in runs for language in run.recipe.languages}
    each = zip(found.manifest.networks, found.vocabularies, strict=True)
    return [Other(found, network, vocabulary) for network, vocabulary in each if not taken & set(network.languages)]


def _of_one_bundle(runs: Sequence[Run], others: Sequence[Other]) -> None:
    """Raises Misconfigured where these make no bundle together."""
    languages = [language for run in runs for language in run.recipe.languages]
    if len({run.recipe.name for run in runs}) > 1 or len(set(languages)) < len(languages):
        raise Misconfigured("runs of one bundle have recipes of one name, and each language in one of them alone")
    words = [not run.recipe.is_pretrained for run in runs] + [isinstance(other.vocabulary, Lexicon) for other in others]
    if len(words) > 1 and any(words):
        raise Misconfigured("a network that reads words reads all languages: export its run alone")
    units = [*(run.units for run in runs), *(other.vocabulary for other in others)]
    if len({each.persons_alike for each in units if isinstance(each, WordPieces)}) > 1:
        what = "to one of these networks persons are alike, to another they are not, and texts are cut in one way"
        raise Misconfigured(f"{what}: export runs of all languages, or a --base that was made as they were")


def _fill(
    folder: Path, runs: Sequence[Run], others: Sequence[Other], train: list[Row], kept: list[Row], data: Path
) -> files.Manifest:
    """Every file of the bundle into `folder`, the manifest last."""
    draft = drafted(folder, runs, train, kept, others)
    scorer = draft.scorer()
    half, exact = draft.scorer("cuda"), draft.exact(runs) if runs[0].recipe.is_pretrained else None
    lost = losses(exact, {"int8": scorer, "fp16": half}, kept) if exact else {}
    for other in others:
        lost |= other.lost
    golden = agreed(scorer, [half, exact] if exact else [half])
    draft.update(reference=measured(scorer, data))
    draft.update(scores=evaluate(scorer, data) | behaviour.run(scorer, draft.manifest.languages).scores() | lost)
    curves = {", ".join(run.recipe.languages): run.curve for run in runs}
    learning_curves(curves, "step", "loss", "training", folder / CURVES)
    return finish(draft, golden, card(draft.manifest))


def drafted(
    folder: Path, runs: Sequence[Run], train: Sequence[Row], kept: Sequence[Row], others: Sequence[Other] = ()
) -> "Draft":
    """Graphs and tokenizers of runs and of other networks in `folder`, calibrated on rows that were kept from training."""
    for other in others:
        other.copy(folder)
    networks = (*(write_network(folder, run) for run in runs), *(other.network for other in others))
    vocabularies = (*(run.units for run in runs), *(other.vocabulary for other in others))
    recipes = [*((*run.before, run.recipe) for run in runs), *(other.recipes for other in others)]
    draft = Draft(folder, vocabularies, _manifest(recipes, networks, train))
    draft.update(calibration=calibrated(draft.outputs(kept)))
    least = calibrate.choose_min_salience(
        lambda rows: score_rows(draft.scorer(), rows),
        [row for row in kept if row.source in CHANNELS and row.source not in OUTSIDE_WEIGHT],
    )
    draft.update(calibration=draft.manifest.calibration.model_copy(update={"min_salience": least}))
    return draft


def finish(draft: "Draft", golden: Golden, text: str) -> files.Manifest:
    """Golden texts with their outputs, the card and, last, the manifest with the digest of every file."""
    lines = [json.dumps({"text": asked, "analysis": said}) + "\n" for asked, said in golden]
    _write(draft.folder / files.GOLDEN, "".join(lines))
    _write(draft.folder / files.CARD, text)
    draft.update(files={path.name: files.digest(path.read_bytes()) for path in sorted(draft.folder.iterdir())})
    _write(draft.folder / files.MANIFEST, draft.manifest.model_dump_json(indent=1) + "\n")
    return draft.manifest


@dataclass(slots=True)
class Draft:
    """A bundle that is not finished: scorers of it, whatever its manifest still lacks."""

    folder: Path
    vocabularies: tuple[files.Vocabulary, ...]
    manifest: files.Manifest

    def update(self, **values: object) -> None:
        """Set fields of the manifest."""
        self.manifest = self.manifest.model_copy(update=values)

    def scorer(self, kernel: files.Kernel = "cpu") -> Scorer:
        """With the graphs of one device, run on the CPU, which casts what it has no half precision for."""
        paths = [self.folder / network.graphs[kernel] for network in self.manifest.networks]
        return self._scorer([Session({"cpu": path}, "cpu") for path in paths])

    def outputs(self, rows: Sequence[Row]) -> dict[str, calibrate.Outputs]:
        """What the networks say of the rows of each language they answer for."""
        said: dict[str, calibrate.Outputs] = {}
        for network, vocabulary in zip(self.manifest.networks, self.vocabularies, strict=True):
            session = Session({"cpu": self.folder / network.graphs["cpu"]}, "cpu")
            tokenise = tokeniser_of(vocabulary, self.manifest.max_tokens)
            for language in network.languages:
                own = [r for r in rows if r.lang == language and (r.source in CALIBRATED_ON or r.source in CHANNELS)]
                said[language] = calibrate.run(own, tokenise, session.infer)
        return said

    def exact(self, runs: Sequence[Run]) -> Scorer:
        """With graphs of its runs in PyTorch's own numbers; networks that are of no run as they are."""
        with tempfile.TemporaryDirectory() as name:
            paths = [self.folder / network.graphs["cpu"] for network in self.manifest.networks]
            for at, run in enumerate(runs):  # the first networks are theirs
                paths[at] = Path(name, f"{at}.onnx")
                with writing(paths[at]):
                    paths[at].write_bytes(transformer_onnx.build(run.network, "float32").SerializeToString())
            return self._scorer([Session({"cpu": path}, "cpu") for path in paths])

    def _scorer(self, sessions: Sequence[Session]) -> Scorer:
        info: ModelInfo = {"name": self.manifest.name, "version": self.manifest.version, "digest": files.digest(b"")}
        bundle = files.Bundle(self.folder, self.manifest, info, self.vocabularies)
        return Scorer(bundle, sessions, MAX_TERMS, self.manifest.calibration.min_salience, self.manifest.max_tokens)


def write_network(folder: Path, run: Run) -> files.NetworkFiles:
    """The graphs and the tokenizer of one run, once the graph says what PyTorch says on the golden texts."""
    units = [tokens.features[:WINDOW] for tokens in run.tokenise(WINDOW)(texts()) if tokens.count]
    if run.recipe.is_pretrained:
        name = "-".join(run.recipe.languages)
        _check_parity(transformer_onnx.parity(run.network, units))
        with writing(folder):
            graphs = transformer_onnx.write(run.network, folder, name)
        return files.NetworkFiles(
            languages=run.recipe.languages,
            tokenizer=_tokenizer(folder / f"tokenizer.{name}.json", asdict(run.units)),
            graphs=graphs,
        )
    lexicon = lexicon_of(run.vocabulary, run.recipe)
    if isinstance(run.network.encoder, Windows):
        model = to_onnx.build(run.network, lexicon.first_shape)
        _check_parity(to_onnx.parity(run.network, model, units))
    else:
        model = encoders_onnx.build(run.network)
        _check_parity(encoders_onnx.parity(run.network, model, units))
    with writing(folder / NETWORK):
        to_onnx.write(model, folder / NETWORK)
    return files.NetworkFiles(
        languages=run.recipe.languages,
        tokenizer=_tokenizer(folder / "tokenizer.json", asdict(lexicon)),
        graphs={"cpu": NETWORK, "cuda": NETWORK},
    )


def _tokenizer(path: Path, raw: Mapping[str, object]) -> str:
    _write(path, json.dumps(raw, ensure_ascii=False))
    return path.name


def _check_parity(gap: float) -> None:
    if not gap <= MAX_PARITY_GAP:
        raise Misconfigured(f"PyTorch and onnxruntime differ by {gap:.2g} in a logit, at most {MAX_PARITY_GAP:g} is rounding")


def calibrated(outputs: Mapping[str, calibrate.Outputs]) -> files.Calibration:
    """Calibration of each language on what the network says of its held-out rows; the threshold is chosen later."""
    return files.Calibration(
        sentiment={lang: calibrate.fit_sentiment(o.sentiment, o.label) for lang, o in outputs.items()},
        towards={
            lang: calibrate.fit_sentiment(o.towards, o.towards_label, calibrate.TOWARDS_BALANCE) for lang, o in outputs.items()
        },
        terms={
            lang: {kind: calibrate.fit_salience(o.spans.get(kind, calibrate.NOTHING)) for kind in KINDS}
            for lang, o in outputs.items()
        },
        min_salience=0.0,
    )


def agreed(scorer: Scorer, others: Sequence[Scorer]) -> Golden:
    """The golden texts with what `scorer` says, where the others agree. Raises Misconfigured where too few are left."""
    asked = texts()
    said, *theirs = ([own.decoded() for own in each.analyse(each.tokenise(asked))] for each in (scorer, *others))
    golden = [
        (text, own)
        for text, own, *found in zip(asked, said, *theirs, strict=True)
        if not any(differs(own, other, AGREED, scorer.min_salience) for other in found)
    ]
    if len(golden) < (1 - MAX_ON_EDGE) * len(asked):
        raise Misconfigured(
            f"two precisions differ by more than {AGREED} on {len(asked) - len(golden)} of {len(asked)} golden texts: "
            "a graph is wrong, not rounded"
        )
    return golden


UNCALIBRATED = files.Calibration(sentiment={}, towards={}, terms={}, min_salience=0.0)


def _manifest(
    recipes: Sequence[tuple[Recipe, ...]], networks: tuple[files.NetworkFiles, ...], train: Sequence[Row]
) -> files.Manifest:
    """What is known before calibration; `recipes` are those of each network, the first pass first."""
    last = [passes[-1] for passes in recipes]
    recipe = last[0]
    every = [each for passes in recipes for each in passes]
    drawn = {(name, language) for each in every for name in each.drawn for language in each.trained_languages}
    counts = Counter(row.source for row in train if (row.source, row.lang) in drawn)
    reports = [max(round(each.share * each.reports) * len(each.trained_languages) for each in passes) for passes in recipes]
    counts += Counter({REPORTS: sum(reports)})  # none where there are none
    sources = [(name, *LICENCES.get(name, ("unknown", "not known")), rows) for name, rows in sorted(counts.items())]
    return files.Manifest(
        format_version=3,
        name=f"textstream-{recipe.name}",
        version=max((each.version for each in last), key=lambda version: [int(part) for part in version.split(".")]),
        tasks=("sentiment", "key_terms", "key_term_sentiment"),
        languages=tuple(sorted(language for network in networks for language in network.languages)),
        text_version=TEXT_VERSION,
        max_tokens=MAX_TOKENS_DEEP if recipe.is_pretrained else MAX_TOKENS,
        networks=networks,
        files={},
        calibration=UNCALIBRATED,
        golden_tolerance=GOLDEN_TOLERANCE_DEEP if recipe.is_pretrained else GOLDEN_TOLERANCE,
        weights_licence=WEIGHTS_LICENCE + _starts(last),
        sources=tuple(files.TrainingSource(name=n, origin=o, licence=li, rows=r) for n, o, li, r in sources),
        recipe={
            "runs": [[asdict(each) for each in passes] for passes in recipes],
            "held_out_per_cent": HELD_OUT_PER_CENT,
        },
        scores={},
    )


def _starts(recipes: Sequence[Recipe]) -> str:
    starts = [f"{name} ({PACKAGES[name].licence})" for name in (each.start for each in recipes) if name in PACKAGES]
    return f" They start from encoders that others trained, under their own licences: {', '.join(starts)}." if starts else ""


def _write(path: Path, text: str) -> None:
    with writing(path):
        path.write_text(text, encoding="utf-8")
