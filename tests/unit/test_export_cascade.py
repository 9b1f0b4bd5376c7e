"""The curve of a cascade: what it says at a margin is what a cascade does there, and the margin is chosen by it alone."""

# ruff: noqa: D102, D103 (a test's name is the sentence it proves)

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.unit import export_fixture
from textstream.errors import Misconfigured
from textstream.event import LABELS, EnrichedEvent
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export import cascade, cli
from textstream_export.cascade import Point, choose, measure, plot, rows_to_choose_on
from textstream_export.data import read_train, split_held_out

TOKENISE = Tokeniser(Lexicon((), 8, 8), 512)


class Fake:
    """A scorer that is right where the text holds one of `knows`, by a margin of 0.8, and else neutral by a margin of 0.2."""

    tokenise = staticmethod(TOKENISE)

    def __init__(self, *knows: str) -> None:
        self.knows = knows

    def score(self, texts: Iterable[str]) -> list[EnrichedEvent]:
        return [{"sentiment": self._mood(text)} for text in texts]  # type: ignore[typeddict-item]

    def _mood(self, text: str) -> Any:
        label = gold_of(text) if any(word in text for word in self.knows) else "neutral"
        high = 0.85 if label != "neutral" else 0.4
        rest = dict.fromkeys(LABELS, (1 - high) / 2) | {label: high}
        if label == "neutral":
            rest = {"negative": 0.4, "neutral": 0.6, "positive": 0.0}
        return {"label": label, "score": 0.0, "probabilities": rest}


def gold_of(text: str) -> str:
    good, bad = (*export_fixture.GOOD, *export_fixture.HAO), (*export_fixture.BAD, *export_fixture.HUAI)
    return "positive" if any(w in text for w in good) else "negative" if any(w in text for w in bad) else "neutral"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_fixture.write(tmp_path_factory.mktemp("data"), rows=1200)


def test_sending_on_what_is_unsure_reaches_the_second_model(data: Path) -> None:
    """The first knows one good word, and is unsure of all else: at a margin above 0.2 the second mends it all."""
    everything = (*export_fixture.GOOD, *export_fixture.HAO, *export_fixture.BAD, *export_fixture.HUAI)
    curve = measure(Fake("great", "很好"), Fake(*everything), data)  # type: ignore[arg-type]
    assert curve.points[0].sent == 0.0 and curve.points[0].mean < 0.7
    assert curve.points[-1].mean == 1.0
    assert curve.chosen.margin == 0.22
    assert 0.5 < curve.chosen.sent < 0.95
    assert curve.chosen.rate < curve.points[0].rate


def test_the_margin_is_chosen_on_held_out_rows_alone(data: Path) -> None:
    held_out = {row.text for row in split_held_out(read_train(data))[1]}
    rows = rows_to_choose_on(data, TOKENISE)
    assert rows and {row.text for row in rows} <= held_out
    assert {row.lang for row in rows} == {"en", "zh"}


def point(margin: float, mean: float) -> Point:
    return Point(margin, margin, 100.0, {"en": mean})


@pytest.mark.parametrize(
    ("means", "chosen"),
    [
        ((0.60, 0.65, 0.69, 0.70), 2),  # nine tenths of the gain
        ((0.60, 0.71, 0.69, 0.70), 1),
        ((0.70, 0.69, 0.68, 0.65), 0),  # the second is worse: nothing is sent
        ((0.70, 0.70, 0.70, 0.70), 0),
    ],
)
def test_the_cheapest_margin_that_keeps_most_of_the_gain_is_chosen(means: tuple[float, ...], chosen: int) -> None:
    points = [point(at / 10, mean) for at, mean in enumerate(means)]
    assert choose(points) is points[chosen]


def test_a_file_without_sentiment_is_refused(data: Path) -> None:
    with pytest.raises(Misconfigured, match="no row with a sentiment label"):
        rows_to_choose_on(data / "terms.en.train.jsonl.gz", TOKENISE)


def test_the_command_writes_numbers_table_and_plot(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cascade, "MAX_ROWS", 5)
    cli.main(["cascade", "--deep", "swift", "--data", str(data), "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out" / "cascade.json").read_text())
    assert report["swift"]["name"] == "textstream-swift"
    assert len(report["points"]) == len(cascade.MARGINS)
    assert "| margin | sent on |" in (tmp_path / "out" / "cascade.md").read_text()
    assert (tmp_path / "out" / "cascade.svg").stat().st_size > 1000
    assert f"model.cascade_margin = {report['chosen_margin']:g}" in capsys.readouterr().out


def test_the_command_reads_a_file_of_ones_own_labels(tmp_path: Path) -> None:
    """As the other commands do; the languages of the curve are told from the texts, what is in none is left out."""
    texts = {"I love it": "positive", "the worst ever": "negative", "太喜欢了": "positive", "La casa è molto grande": "neutral"}
    labels = tmp_path / "my.jsonl"
    labels.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts.items()))
    cli.main(["cascade", "--deep", "swift", "--data", str(labels), "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out" / "cascade.json").read_text())
    assert report["rows"] == 3
    assert set(report["points"][0]["scores"]) == {"en", "zh"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "no data folder at"), ("none.jsonl", "cannot read"), ("rows.gz", "cannot be read as UTF-8 text in gzip")],
)
def test_data_that_is_not_there_or_no_gzip_is_named(
    tmp_path: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the name, and the status of a mistake that the user mends."""
    (tmp_path / "rows.gz").write_text('{"text": "good"}\n')
    with pytest.raises(SystemExit) as caught:
        cli.main(["cascade", "--deep", "swift", "--data", str(tmp_path / name), "--out", str(tmp_path / "out")])
    assert caught.value.code == 78
    err = capsys.readouterr().err
    assert said in err and str(tmp_path / name) in err and len(err.splitlines()) == 1


def test_the_plot_is_the_same_on_every_run(data: Path, tmp_path: Path) -> None:
    curve = cascade.Curve(tuple(point(at / 50, 0.6 + at / 500) for at in range(51)), point(0.2, 0.64), 10)
    curve = cascade.Curve(curve.points, curve.points[20], 10)
    for name in ("a.svg", "b.svg"):
        plot(curve, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
