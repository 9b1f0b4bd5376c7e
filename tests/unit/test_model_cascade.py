"""Two models as one: who is asked, whose answer counts, and what the event says of it."""

# ruff: noqa: D102, D103 (a test's name is the sentence it proves)

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import orjson
import pytest

from tests.support.fakes import bare_tokens
from textstream.analysis import EncodedAnalysis, encoded
from textstream.core.codec import Codec, Route
from textstream.core.process import enrich, prepare
from textstream.core.record import Position, Record
from textstream.errors import Misconfigured
from textstream.event import Analysis, ModelInfo, Sentiment, json_schema
from textstream.model import bundle as files
from textstream.model.cascade import Cascade, load, margin
from textstream.model.scorer import Scorer
from textstream.model.tokens import Tokens
from textstream.quality import Computed

NOW_MS = 1_764_000_000_000


class Fake:
    """A model that says of "0.7 …" that it is positive with 0.7 and neutral with the rest, and nothing of other texts."""

    def __init__(self, name: str, digit: str) -> None:
        self.reference, self.computed = None, Computed()
        self.info = ModelInfo(name=name, version="1.0.0", digest="sha256:" + digit * 64)
        self.asked: list[list[str]] = []

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        return bare_tokens(texts)

    def analyse(self, batch: Sequence[Tokens]) -> list[EncodedAnalysis]:
        self.asked.append([tokens.text for tokens in batch])
        return [encoded(analysis(self._mood(tokens.text))) for tokens in batch]

    def _mood(self, text: str) -> Sentiment | None:
        return mood(float(text.split()[0])) if text[:1].isdigit() else None


class Sure(Fake):
    """A model that is always negative, but says nothing of a text that holds "foreign"."""

    def _mood(self, text: str) -> Sentiment | None:
        return None if "foreign" in text else {**mood(0.0), "label": "negative"}


def mood(positive: float) -> Sentiment:
    probabilities = {"negative": 0.0, "neutral": round(1 - positive, 4), "positive": positive}
    return {"label": "positive", "score": positive, "probabilities": probabilities}


def analysis(sentiment: Sentiment | None) -> Analysis:
    language = {"code": "en", "probability": 1.0, "supported": sentiment is not None}
    return {"language": language, "sentiment": sentiment, "key_terms": [], "truncated": False}


@pytest.fixture
def first() -> Fake:
    return Fake("fast", "1")


@pytest.fixture
def second() -> Sure:
    return Sure("good", "2")


def score(cascade: Cascade, texts: Sequence[str]) -> list[Analysis]:
    return [said.decoded() for said in cascade.analyse(cascade.tokenise(texts))]


def test_only_what_the_first_is_unsure_of_goes_to_the_second(first: Fake, second: Sure) -> None:
    found = score(Cascade(first, second, 0.4), ["0.9 sure", "0.6 unsure", "0.71 above", "0.5 unsure too", "nothing"])
    assert second.asked == [["0.6 unsure", "0.5 unsure too"]]
    assert [a["sentiment"] and a["sentiment"]["label"] for a in found] == [
        "positive", "negative", "positive", "negative", None,
    ]  # fmt: skip
    assert [a["model"]["name"] for a in found] == ["fast", "good", "fast", "good", "fast"]


def test_a_batch_of_which_the_first_is_sure_does_not_wake_the_second(first: Fake, second: Sure) -> None:
    score(Cascade(first, second, 0.4), ["0.9 sure", "nothing"])
    assert second.asked == []


@pytest.mark.parametrize(("margin", "asked"), [(0.0, 0), (1.0, 3)])
def test_the_margin_reaches_from_nothing_to_all(first: Fake, second: Sure, margin: float, asked: int) -> None:
    score(Cascade(first, second, margin), ["0.5", "0.7", "0.99"])
    assert sum(map(len, second.asked)) == asked


def test_a_text_that_the_second_does_not_read_keeps_the_answer_of_the_first(first: Fake, second: Sure) -> None:
    (found,) = score(Cascade(first, second, 0.4), ["0.5 foreign"])
    assert found["sentiment"] == mood(0.5)
    assert found["model"]["name"] == "fast"


def test_both_models_speak_under_one_digest_which_changes_with_either_and_with_the_margin(first: Fake, second: Sure) -> None:
    """Duplicates are dropped by id and digest: one message has one event, whichever of the two scored it this time."""
    cascade = Cascade(first, second, 0.4)
    assert {a["model"]["digest"] for a in score(cascade, ["0.9", "0.5"])} == {cascade.info["digest"]}
    others = [Cascade(first, second, 0.41), Cascade(second, first, 0.4), Cascade(first, first, 0.4)]
    assert len({cascade.info["digest"], first.info["digest"], second.info["digest"], *(o.info["digest"] for o in others)}) == 6


def test_the_event_and_its_header_name_the_model_that_scored_and_the_schema_holds(first: Fake, second: Sure) -> None:
    cascade = Cascade(first, second, 0.4)
    codec = Codec(input_format="text", pointer="", keep_input=False, model=cascade.info, routes={"t": Route()})
    records = [Record(Position("t", 0, at, 0), value) for at, value in enumerate([b"0.9", b"0.5", b"\xff"])]
    outcomes = enrich(prepare(records, codec, cascade), codec, cascade, NOW_MS).outcomes
    events = [orjson.loads(outcome.value or b"") for outcome in outcomes[:2]]
    for event in events:
        jsonschema.validate(event, json_schema())
    assert [event["model"]["name"] for event in events] == ["fast", "good"]
    assert [cascade.that_scored(event) for event in events] == [first, second]
    headers = [dict(outcome.headers)["textstream.model"] or b"" for outcome in outcomes]
    assert [header.split(b"/")[0] for header in headers] == [b"fast", b"good", b"fast+good"]


def test_the_margin_is_between_the_two_most_likely_labels() -> None:
    assert margin([0.3, 0.2, 0.5]) == pytest.approx(0.2)
    assert margin(None) == 1.0


def test_without_a_second_bundle_there_is_no_cascade() -> None:
    assert isinstance(load("swift", cascade=None, cascade_margin=0.4, device="cpu"), Scorer)


def test_a_cascade_of_a_bundle_with_itself_is_refused() -> None:
    with pytest.raises(Misconfigured, match="scores already"):
        load("swift", cascade="swift", cascade_margin=0.4, device="cpu")


def test_two_bundles_that_events_could_not_tell_apart_are_refused(tmp_path: Path) -> None:
    """Another model under the name and version of the first: who explains an event would ask the wrong one."""
    other = Path(shutil.copytree(files.PACKAGED / "swift", tmp_path / "other"))
    manifest = json.loads((other / files.MANIFEST).read_text())
    manifest["calibration"]["min_salience"] += 0.01
    (other / files.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Misconfigured, match=r"are both called textstream-swift .*: give one of them another name"):
        load("swift", cascade=other, cascade_margin=0.4, device="cpu")


def test_a_second_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=f"no model bundle at {tmp_path / 'deep'}"):
        load("swift", cascade=tmp_path / "deep", cascade_margin=0.4, device="cpu")
