"""A model bundle: a folder with a manifest, refused unless every file is what the manifest says.

This file is the only one that knows a bundle's format; training writes through the same classes that the service reads.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textstream.drift import Reference
from textstream.errors import Misconfigured
from textstream.event import KINDS, LABELS, Kind, Label, ModelInfo
from textstream.model.pieces import WordPieces
from textstream.model.spans import EVIDENCE
from textstream.model.text import TEXT_VERSION
from textstream.model.tokens import Lexicon

FORMAT_VERSION = 3
MANIFEST, GOLDEN, CARD = "manifest.json", "golden.jsonl", "MODEL_CARD.md"
PACKAGED = Path(__file__).parent.parent / "bundles"

Kernel = Literal["cpu", "cuda"]
"""What runs a graph."""
Vocabulary = Lexicon | WordPieces
"""What the units of a network are: words of a lexicon, or the word pieces of an encoder that others trained."""
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""Of a file in the bundle's own folder, and nowhere else."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkFiles(_Part):
    """One network of a bundle: the languages it answers for, what it reads, and its graph for each device."""

    languages: tuple[str, ...] = Field(min_length=1)
    tokenizer: FileName
    graphs: dict[Kernel, FileName]


class SentimentCalibration(_Part):
    """probabilities = softmax(logits / temperature + bias)."""

    temperature: float = Field(gt=0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)


class TermCalibration(_Part):
    """salience = sigmoid(weights · evidence + offset), see `spans.EVIDENCE`."""

    weights: tuple[float, ...] = Field(min_length=EVIDENCE, max_length=EVIDENCE)
    offset: float


class Calibration(_Part):
    """Fitted for each language on train rows that no weight was trained on."""

    sentiment: dict[str, SentimentCalibration]
    towards: dict[str, SentimentCalibration]
    terms: dict[str, dict[Kind, TermCalibration]]
    min_salience: float = Field(ge=0, le=1)


class TrainingSource(_Part):
    """A data set the weights were trained on, with the licence its own source states."""

    name: str
    origin: str
    licence: str
    rows: int


class Manifest(_Part):
    """`manifest.json`: what the bundle is, and the digest of everything in it."""

    format_version: Literal[3]
    name: str
    version: str
    tasks: tuple[Literal["sentiment", "key_terms", "key_term_sentiment"], ...]
    labels: tuple[Label, ...] = LABELS
    kinds: tuple[Kind, ...] = KINDS
    languages: tuple[str, ...]
    text_version: int
    max_tokens: int = Field(ge=1)
    networks: tuple[NetworkFiles, ...]
    files: dict[FileName, str]
    """Name → digest of every file but the manifest: those named above, and the weights that graphs share."""
    calibration: Calibration
    golden_tolerance: dict[Kernel, Annotated[float, Field(ge=0, lt=1)]]
    """Largest difference of a probability that is still rounding: 1 would let everything pass."""
    weights_licence: str
    sources: tuple[TrainingSource, ...]
    recipe: dict[str, Any]
    scores: dict[str, float]
    reference: Reference | None = None
    """What messages were like when the bundle was measured; without it, a worker tells no drift."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle on disk."""

    folder: Path
    manifest: Manifest
    info: ModelInfo
    vocabularies: tuple[Vocabulary, ...]
    """One for each network, in their order."""


def read(bundle: str | Path) -> Bundle:
    """The bundle called `bundle`, or in the folder of that name; every digest checked. Raises Misconfigured."""
    folder = locate(bundle)
    raw = _read(folder, MANIFEST)
    manifest = _manifest(folder, raw)
    named = (name for network in manifest.networks for name in (network.tokenizer, *network.graphs.values()))
    for name in dict.fromkeys((GOLDEN, CARD, *named, *manifest.files)):
        _check(folder, name, manifest.files.get(name))
    info: ModelInfo = {"name": manifest.name, "version": manifest.version, "digest": digest(raw)}
    vocabularies = tuple(_vocabulary(folder, network.tokenizer) for network in manifest.networks)
    if len(vocabularies) > 1 and any(isinstance(vocabulary, Lexicon) for vocabulary in vocabularies):
        raise damaged(folder, MANIFEST, "has a network that reads words beside others: one of those reads all languages")
    if len({each.persons_alike for each in vocabularies if isinstance(each, WordPieces)}) > 1:
        raise damaged(folder, MANIFEST, "has networks that cut texts in two ways: persons are alike to all of them, or to none")
    return Bundle(folder, manifest, info, vocabularies)


def locate(bundle: str | Path) -> Path:
    """The folder of a packaged bundle's name or of a path."""
    if not str(bundle):
        raise Misconfigured(f"the name of the model bundle is empty: name a folder that holds {MANIFEST}, or swift")
    packaged = PACKAGED / str(bundle)
    folder = packaged if str(bundle).isidentifier() and packaged.is_dir() else Path(bundle)
    if not folder.is_dir():
        raise Misconfigured(f"no model bundle at {folder}: name a folder that holds {MANIFEST}, or a packaged model (swift)")
    return folder


def golden(folder: Path) -> list[dict[str, Any]]:
    """The rows of golden.jsonl. Raises Misconfigured where a line is not JSON in UTF-8."""
    raw = _read(folder, GOLDEN)
    try:
        return [json.loads(line) for line in raw.decode("utf-8").splitlines()]
    except ValueError as error:
        raise damaged(folder, GOLDEN, f"is not JSON lines in UTF-8 ({error})") from None


def digest(content: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return "sha256:" + sha256(content).hexdigest()


def damaged(folder: Path, name: str, what: str) -> Misconfigured:
    """The error for a bundle that is not what it says."""
    return Misconfigured(f"model bundle {folder}: {name} {what}; install textstream or export the bundle again")


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise damaged(folder, name, f"cannot be read ({error.strerror})") from None


def _manifest(folder: Path, raw: bytes) -> Manifest:
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise damaged(folder, MANIFEST, f"is not JSON ({error})") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise damaged(folder, MANIFEST, f"has format version {version!r}, this textstream reads {FORMAT_VERSION}")
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise damaged(folder, MANIFEST, f"is wrong at {where} ({first['msg']})") from None
    if manifest.text_version != TEXT_VERSION:
        raise damaged(folder, MANIFEST, f"wants text preparation {manifest.text_version}, this textstream has {TEXT_VERSION}")
    if (manifest.labels, manifest.kinds) != (LABELS, KINDS):
        raise damaged(folder, MANIFEST, "has other labels or kinds than this textstream")
    answered = [language for network in manifest.networks for language in network.languages]
    if sorted(answered) != sorted(manifest.languages):
        raise damaged(folder, MANIFEST, "does not have exactly one network for each of its languages")
    if any(set(network.graphs) != {"cpu", "cuda"} for network in manifest.networks):
        raise damaged(folder, MANIFEST, "does not name a graph for each of cpu and cuda")
    if lacking := _lacking(manifest):
        raise damaged(folder, MANIFEST, f"lacks {', '.join(lacking)}")
    return manifest


def _lacking(manifest: Manifest) -> list[str]:
    """What a scorer of the manifest's languages would look up, on whatever device, and not find."""
    known = manifest.calibration
    fitted = {
        "sentiment": known.sentiment.keys(),
        "towards": known.towards.keys(),
        **{f"terms of kind {kind}": {code for code, kinds in known.terms.items() if kind in kinds} for kind in KINDS},
    }
    lacking = [f"the calibration of {what} in {code}" for what, codes in fitted.items() for code in manifest.languages
               if code not in codes]  # fmt: skip
    return lacking + [f"golden_tolerance for {kernel}" for kernel in ("cpu", "cuda") if kernel not in manifest.golden_tolerance]


def _check(folder: Path, name: str, expected: str | None) -> None:
    if expected is None:
        raise damaged(folder, MANIFEST, f"has no digest for {name}")
    if digest(_read(folder, name)) != expected:
        raise damaged(folder, name, "does not match its digest in the manifest")


def _vocabulary(folder: Path, name: str) -> Vocabulary:
    try:
        raw = json.loads(_read(folder, name))
        if "pieces" in raw:
            return WordPieces(_words(raw["pieces"]), raw.get("persons_alike", False) is True)
        affix_rows, bigram_rows = int(raw["affix_rows"]), int(raw["bigram_rows"])
        if min(affix_rows, bigram_rows) < 1:
            raise ValueError("affix_rows and bigram_rows are 1 at least")
        return Lexicon(_words(raw["words"]), affix_rows, bigram_rows, _words(raw.get("chinese", [])))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder, name, f"is not a tokenizer ({type(error).__name__}: {error})") from None


def _words(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(word, str) for word in raw):
        raise ValueError("words are a list of strings")
    return tuple(raw)
