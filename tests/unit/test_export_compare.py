"""Two bundles compared: what is equal is no difference, what differs is told with its significance and its rows."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit import export_fixture
from tests.unit.test_export_measures import BAD, GOOD, SO_SO, term, verdict
from textstream_export import cli
from textstream_export.compare import as_markdown, compare, flips
from textstream_export.data import Aspect, Row
from textstream_export.evaluate import Verdict, group_scores

ROWS = [Row(f"text {i}", "en", "tweeteval_sentiment", ("negative", "neutral", "positive")[i % 3]) for i in range(90)]
GOLD = {"negative": BAD, "neutral": SO_SO, "positive": GOOD}


def reader(wrong: int) -> list[Verdict]:
    """A bundle that has all right but the first `wrong` rows, which it calls positive."""
    return [verdict(row, GOOD if at < wrong else GOLD[row.label or "neutral"]) for at, row in enumerate(ROWS)]


def test_a_bundle_does_not_differ_from_itself() -> None:
    """Every difference is nought, its interval too, and chance explains it always."""
    for d in compare(reader(20), reader(20), {"all": range(90)}):
        assert (d.difference, d.low, d.high, d.p) == (0, 0, 0, 1)


def test_a_large_difference_is_significant_and_a_small_one_is_not() -> None:
    """Forty wrong rows against none is no chance; one more wrong row is."""
    large = {d.measure: d for d in compare(reader(40), reader(0), {"all": range(90)})}
    small = {d.measure: d for d in compare(reader(21), reader(20), {"all": range(90)})}
    assert large["macro_recall"].difference > 0.2
    assert large["macro_recall"].p < 0.01
    assert large["macro_recall"].low > 0
    assert all(d.p > 0.4 for d in small.values())


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others() -> None:
    """A report can be made again."""
    first, second, other = (compare(reader(20), reader(10), {"all": range(90)}, seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_measures_are_the_ones_that_evaluate_prints() -> None:
    """Sums of counts give what scikit-learn gives: labels, terms of any kind and of the own, and given terms."""
    text = "the staff of Roma Inn were rude"
    row = Row(text, "en", "absa_mams", aspects=(Aspect(4, 9, "negative"), Aspect(13, 21, "neutral")))
    terms = [term(text, "staff", "aspect", BAD), term(text, "Roma Inn", "entity"), term(text, "rude", "aspect")]
    named = [verdict(row, BAD, *terms, towards=(BAD, GOOD)), verdict(row, BAD, terms[0], towards=(BAD, None))]
    for verdicts in (reader(25), named):
        scores = group_scores(verdicts)
        for d in compare(verdicts, verdicts, {"all": range(len(verdicts))}):
            assert d.first == pytest.approx(scores[d.measure], abs=1e-6), d.measure


def test_flips_are_the_rows_that_moved_most_each_way() -> None:
    """At most as many as asked for, worse and better, and a row that both have wrong is none."""
    both = [*reader(4)[:2], *reader(0)[2:]]
    found = flips(reader(4), both, range(90), "all", 1)
    assert [(flip.text, flip.gold, flip.first, flip.second) for flip in found] == [
        ("text 3", "negative", "positive", "negative")
    ]
    back = flips(both, reader(4), range(90), "all", 5)
    assert [flip.gain for flip in back] == [pytest.approx(BAD["probabilities"]["positive"] - 0.8)]
    assert "text 3" in as_markdown("a", "b", compare(both, reader(4), {"all": range(90)}), back)


def test_flips_of_terms_tell_what_was_found_before_and_after() -> None:
    """A row of terms flips with its F1."""
    text = "great pizza"
    row = Row(text, "en", "tweets_kw", terms=("pizza", "fish"))
    without, found = verdict(row, GOOD), verdict(row, GOOD, term(text, "pizza", "entity"))
    (flip,) = flips([without], [found], [0], "tweets_kw", 3)
    assert (flip.gold, flip.first, flip.second, flip.gain) == ("pizza", "none", "pizza", 1.0)


def test_the_two_must_have_judged_the_same_rows() -> None:
    """Verdicts on other rows are a mistake of the caller's, told at once."""
    with pytest.raises(AssertionError, match="same rows"):
        compare(reader(0), reader(0)[::-1], {"all": range(90)})


@pytest.mark.parametrize("option", ["--seed", "--examples"])
@pytest.mark.parametrize("value", ["-1", "0.5", "many"])
def test_a_seed_or_a_count_that_is_no_natural_number_is_wrong_usage(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told before a row is scored, and not by the generator or by a list cut from its end."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["compare", "swift", "swift", "--data", str(tmp_path), option, value])
    assert caught.value.code == 2
    assert f"argument {option}: {value!r} is no whole number, 0 or more" in capsys.readouterr().err


def test_the_command_compares_two_bundles_and_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`compare A B` prints a table, as JSON too, and leaves both in files."""
    file = export_fixture.write(tmp_path) / "aspects.en.dev.jsonl.gz"
    out = tmp_path / "difference"
    cli.main(["compare", "swift", "swift", "--data", str(file), "--out", str(out), "--examples", "2", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {d["measure"] for d in report["differences"]} == {"f1", "own/f1", "towards/accuracy", "towards/macro_f1"}
    assert report["flips"] == []
    assert json.loads(out.with_suffix(".json").read_text()) == report
    assert "| absa_mams | own/f1 |" in out.with_suffix(".md").read_text()
    assert np.isclose([d["p"] for d in report["differences"]], 1).all()
