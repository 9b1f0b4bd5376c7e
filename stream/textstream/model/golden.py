"""The golden check: a bundle must still say, on this machine and this onnxruntime, what it said when it was exported."""

from pathlib import Path
from typing import Any, Protocol

from textstream.analysis import EncodedAnalysis
from textstream.event import Analysis
from textstream.model import bundle as files
from textstream.model.tokens import Tokens

LEAST = 200
"""Golden inputs a bundle needs."""


class _Scores(Protocol):
    manifest: files.Manifest
    device: files.Kernel
    min_salience: float

    def tokenise(self, texts: list[str]) -> list[Tokens]: ...
    def analyse(self, batch: list[Tokens]) -> list[EncodedAnalysis]: ...


def verify(scorer: _Scores, folder: Path) -> None:
    """Score the golden inputs. Raises Misconfigured naming the first that is off by more than the tolerance."""
    rows = files.golden(folder)
    if len(rows) < LEAST:
        raise files.damaged(folder, files.GOLDEN, f"holds {len(rows)} inputs, at least {LEAST} are needed")
    try:
        texts = [row["text"] for row in rows]
        expected = [row["analysis"] for row in rows]
        found = [said.decoded() for said in scorer.analyse(scorer.tokenise(texts))]
        tolerance, least = scorer.manifest.golden_tolerance[scorer.device], scorer.min_salience
        pairs = enumerate(zip(expected, found, strict=True))
        wrong = [i for i, (a, b) in pairs if differs(a, b, tolerance, least)]
    except FloatingPointError as error:
        raise files.damaged(folder, files.GOLDEN, f"cannot be repeated ({error})") from None
    except (KeyError, TypeError) as error:
        raise files.damaged(folder, files.GOLDEN, f"is not a golden set ({type(error).__name__}: {error})") from None
    if wrong:
        what = f"input {wrong[0]} scores differently here ({len(wrong)} of {len(rows)} do)"
        raise files.damaged(folder, files.GOLDEN, what)


def differs(expected: Analysis, found: Analysis, tolerance: float, min_salience: float) -> bool:
    """Whether two analyses of one text differ by more than rounding on another machine explains."""
    if expected["language"]["code"] != found["language"]["code"] or expected["truncated"] != found["truncated"]:
        return True
    if _far(expected["sentiment"], found["sentiment"], tolerance):
        return True
    clear = min_salience + tolerance  # a term at the threshold may fall on either side of it
    here, there = ({(t["begin"], t["end"], t["kind"]): t for t in a["key_terms"]} for a in (expected, found))
    missing = [t for key, t in [*here.items(), *there.items()] if key not in here or key not in there]
    if any(term["salience"] > clear for term in missing):
        return True
    return any(_far(here[k]["sentiment"], there[k]["sentiment"], tolerance) for k in here.keys() & there.keys())


def _far(a: Any, b: Any, tolerance: float) -> bool:
    if a is None or b is None:
        return a is not b
    return not all(abs(a["probabilities"][k] - b["probabilities"][k]) <= tolerance for k in a["probabilities"])  # nor NaN
