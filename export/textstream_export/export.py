"""From a finished run to a bundle: ONNX graph, calibration, golden outputs, scores and card, renamed into place at the end."""

import json
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from textstream.errors import Misconfigured
from textstream.event import KINDS, ModelInfo
from textstream.model import bundle as files
from textstream.model.packing import WINDOW
from textstream.model.scorer import MAX_TERMS, Scorer
from textstream.model.session import Session
from textstream.model.text import TEXT_VERSION
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export import calibrate, encoders_onnx, to_onnx
from textstream_export.card import card
from textstream_export.data import HELD_OUT_PER_CENT, LANGUAGES, Row, read_train, split_held_out
from textstream_export.evaluate import evaluate, score_rows
from textstream_export.golden import texts
from textstream_export.network import Network, Windows
from textstream_export.recipe import Recipe
from textstream_export.run import lexicon_of, load
from textstream_export.sources import CHANNELS, LICENCES, OUTSIDE_WEIGHT

MAX_PARITY_GAP = 5e-3
"""Largest difference of a logit between PyTorch and onnxruntime that is still rounding, to 16 bits: 0.1 % of a probability."""
GOLDEN_TOLERANCE = 0.01
MAX_TOKENS = 2048
WEIGHTS_LICENCE = (
    "The code of textstream is Apache-2.0. The weights are offered for research and evaluation: they were trained on the "
    "sources listed in the model card, several of which state no licence or restrict use to research. Whoever uses the "
    "weights must judge whether those terms allow it."
)


def export(run: Path, data: Path, out: Path) -> files.Manifest:
    """Write the bundle of a run to `out`. An existing bundle there stays until the new one is complete and verified."""
    trained = load(run)
    recipe, network, lexicon = trained.recipe, trained.network, lexicon_of(trained.vocabulary, trained.recipe)
    train, kept = split_held_out(read_train(data))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            manifest = _fill(beside, recipe, lexicon, network, train, kept, data)
            Scorer.load(beside, device="cpu")
            beside.chmod(0o755)  # mkdtemp's folders are for their owner alone
            swap(beside, out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise Misconfigured(f"cannot write the bundle to {out}: {error.strerror}; what stood there is untouched") from None
    return manifest


def _fill(
    folder: Path, recipe: Recipe, lexicon: Lexicon, network: Network, train: list[Row], kept: list[Row], data: Path
) -> files.Manifest:
    """Every file of the bundle into `folder`, the manifest last."""
    write_graph(folder / files.NETWORK, network, lexicon)
    calibration = calibrate_on(kept, lexicon, Session(folder / files.NETWORK, "cpu"))
    draft = _manifest(recipe, calibration, train)
    least = calibrate.choose_min_salience(
        lambda rows: score_rows(_scorer(folder, lexicon, draft, 0.0), rows),
        [r for r in kept if r.source in CHANNELS and r.source not in OUTSIDE_WEIGHT],
    )
    calibration = calibration.model_copy(update={"min_salience": least})
    draft = draft.model_copy(update={"calibration": calibration})
    scorer = _scorer(folder, lexicon, draft, least)
    draft = draft.model_copy(update={"scores": evaluate(scorer, data)})
    golden = zip(texts(), scorer.analyse(scorer.tokenise(texts())), strict=True)
    _write(folder / files.GOLDEN, "".join(json.dumps({"text": t, "analysis": a}) + "\n" for t, a in golden))
    _write(folder / files.TOKENIZER, json.dumps(asdict(lexicon), ensure_ascii=False))
    _write(folder / files.CARD, card(draft))
    digests = {name: files.digest((folder / name).read_bytes()) for name in files.FILES}
    manifest = draft.model_copy(update={"files": digests})
    _write(folder / files.MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def write_graph(path: Path, network: Network, lexicon: Lexicon) -> None:
    """The ONNX graph, once it says what PyTorch says on the golden texts."""
    passes = [tokens.features for tokens in Tokeniser(lexicon, WINDOW)(texts()) if tokens.count]
    if isinstance(network.encoder, Windows):
        model = to_onnx.build(network, lexicon.first_shape)
        gap = to_onnx.parity(network, model, passes)
    else:
        model = encoders_onnx.build(network)
        gap = encoders_onnx.parity(network, model, passes)
    if not gap <= MAX_PARITY_GAP:
        raise Misconfigured(f"PyTorch and onnxruntime differ by {gap:.2g} in a logit, at most {MAX_PARITY_GAP:g} is rounding")
    to_onnx.write(model, path)


def calibrate_on(kept: list[Row], lexicon: Lexicon, session: Session) -> files.Calibration:
    """Calibration of each language on the held-out rows; the threshold of salience is chosen later."""
    tokeniser = Tokeniser(lexicon, MAX_TOKENS)
    outputs = {lang: calibrate.run(rows, tokeniser, session.infer) for lang, rows in calibrate.by_language(kept).items()}
    return files.Calibration(
        sentiment={lang: calibrate.fit_sentiment(o.sentiment, o.label, True) for lang, o in outputs.items()},
        towards={lang: calibrate.fit_sentiment(o.towards, o.towards_label, False) for lang, o in outputs.items()},
        terms={
            lang: {kind: calibrate.fit_salience(*o.spans.get(kind, calibrate.NOTHING)) for kind in KINDS}
            for lang, o in outputs.items()
        },
        min_salience=0.0,
    )


def swap(new: Path, place: Path) -> None:
    """Put `new` where `place` stands; the old folder goes only after."""
    old = place.with_name(f".{place.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _scorer(folder: Path, lexicon: Lexicon, manifest: files.Manifest, least: float) -> Scorer:
    """A scorer of a bundle that is not finished yet."""
    info: ModelInfo = {"name": manifest.name, "version": manifest.version, "digest": files.digest(b"")}
    bundle = files.Bundle(folder, manifest, info, lexicon)
    return Scorer(bundle, Session(folder / files.NETWORK, "cpu"), MAX_TERMS, least, manifest.max_tokens)


def _manifest(recipe: Recipe, calibration: files.Calibration, train: list[Row]) -> files.Manifest:
    counts = Counter(row.source for row in train if row.source in recipe.sources or row.source in recipe.terms)
    sources = [(name, *LICENCES.get(name, ("unknown", "not known")), rows) for name, rows in sorted(counts.items())]
    return files.Manifest(
        format_version=1,
        name=f"textstream-{recipe.name}",
        version=recipe.version,
        tasks=("sentiment", "key_terms", "key_term_sentiment"),
        languages=LANGUAGES,
        text_version=TEXT_VERSION,
        max_tokens=MAX_TOKENS,
        files={},
        calibration=calibration,
        golden_tolerance=GOLDEN_TOLERANCE,
        weights_licence=WEIGHTS_LICENCE,
        sources=tuple(files.TrainingSource(name=n, origin=o, licence=li, rows=r) for n, o, li, r in sources),
        recipe={**asdict(recipe), "held_out_per_cent": HELD_OUT_PER_CENT},
        scores={},
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
