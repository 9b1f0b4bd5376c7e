"""The training wing from labelled rows to a bundle that the service loads, on a small made data set."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto

from tests.unit import export_fixture
from textstream.errors import Fatal, Misconfigured
from textstream.model import bundle as files
from textstream.model.packing import Ids, Lengths, Logits, padded
from textstream.model.scorer import Scorer
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export import behaviour, cli, to_onnx
from textstream_export import train as training
from textstream_export.data import Aspect, Row, read_test, read_train, split_held_out, text_hash, unseen_hashes
from textstream_export.distil import Choice, chosen, distil
from textstream_export.encode import Encoded, Lot, build_lexicon, encode, lots_of
from textstream_export.evaluate import evaluate
from textstream_export.export import MAX_PARITY_GAP, _manifest, export
from textstream_export.golden import texts
from textstream_export.loss import DeviceRows, gold_losses, soft_losses
from textstream_export.neighbours import Neighbours
from textstream_export.network import Network, Windows
from textstream_export.recipe import RECIPES, Optimiser, Recipe, Schedule
from textstream_export.restore import begun
from textstream_export.run import Run, chinese_rows, find_words, found_words, lexicon_of, load, train
from textstream_export.soft import SHARD_ROWS, Soft, label_all, read_shard, shards_in
from textstream_export.sources import CHANNELS, MADE, REPORTS
from textstream_export.to_onnx import build, parity
from textstream_export.train import State, fit, one_step, optimisers

TINY = replace(
    RECIPES["swift"],
    width=24,
    max_words=500,
    chinese_words=20,
    affix_rows=64,
    bigram_rows=256,
    gram_rows=256,
    weighed=True,
    experts=3,
    epochs=8,
    batch_tokens=512,
    learning_rate=1e-2,
)


CPU = torch.device("cpu")


def _words(rows: list[Row], recipe: Recipe) -> Lexicon:
    return build_lexicon((row.text for row in rows), recipe)


def _told(row: Row, soft: Soft | None) -> list[Lot]:
    return [partial(list, [(row, soft)])]


def _network(lexicon: Lexicon, recipe: Recipe) -> Network:
    torch.manual_seed(recipe.seed)
    return Network(Windows(recipe, lexicon.rows), recipe.width, 40, recipe.dropout, recipe.experts)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_fixture.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(data, TINY, out)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    export([run], data, out)
    return out


def test_what_was_trained_is_loaded_and_has_learnt_the_data(bundle: Path, data: Path) -> None:
    """Every aspect is found; how much else is differs between CPUs, which round sums otherwise: 0.69 to 1.0 over seeds."""
    scores = evaluate(Scorer.load(bundle, device="cpu"), data)
    assert scores["tweeteval_sentiment/macro_recall"] > 0.9
    assert scores["smp2020_usual/macro_f1"] > 0.9
    for source in ("absa_mams", "aste_zh_dianping"):
        assert scores[f"{source}/recall"] > 0.9
        assert scores[f"{source}/offset_f1"] > 0.5


def test_the_manifest_holds_recipe_sources_scores_and_calibration(bundle: Path, data: Path) -> None:
    manifest = files.read(bundle).manifest
    assert manifest.recipe["runs"][0][-1]["width"] == TINY.width
    assert {source.name for source in manifest.sources} >= {"tweeteval_sentiment", "smp2020_usual", "absa_mams"}
    scorer = Scorer.load(bundle, device="cpu")
    assert manifest.scores == evaluate(scorer, data) | behaviour.run(scorer).scores()
    assert set(manifest.calibration.sentiment) == {"en", "zh"}
    card = (bundle / files.CARD).read_text(encoding="utf-8")
    assert "| tweeteval_sentiment |" in card
    assert "## How it behaves" in card


def test_the_card_shows_the_learning_curves(bundle: Path, run: Path) -> None:
    """Drawn from the run's log and shipped under the bundle's digests; the loss fell."""
    assert "](learning.svg)" in (bundle / files.CARD).read_text(encoding="utf-8")
    assert "en, zh" in (bundle / "learning.svg").read_text(encoding="utf-8")
    assert "learning.svg" in files.read(bundle).manifest.files
    curve = load(run).curve
    assert len(curve) > 2 and curve[-1][1] < curve[0][1]


def test_the_curve_of_an_interrupted_run_is_the_one_it_went_on_with(tmp_path: Path) -> None:
    """A line that was cut short is left out, and of a step that was told twice the second telling counts."""
    lines = ['{"step": 50, "loss": 2.0}', '{"step": 100, "loss": 9.0}', '{"step": 150, "lo']
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"step": 100, "loss": 1.5}']) + "\n")
    assert training.read_curve(tmp_path) == ((50, 2.0), (100, 1.5))
    assert training.read_curve(tmp_path / "none") == ()


def test_nothing_is_left_beside_the_bundle(bundle: Path) -> None:
    manifest = files.read(bundle).manifest
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    assert sorted(path.name for path in bundle.iterdir()) == sorted([files.MANIFEST, *manifest.files])


def test_the_same_recipe_data_and_seed_give_the_same_weights(run: Path, data: Path, tmp_path: Path) -> None:
    train(data, TINY, tmp_path)
    here, there = (load(folder).network.state_dict() for folder in (run, tmp_path))
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_the_graph_says_what_pytorch_says(run: Path) -> None:
    trained = load(run)
    words = lexicon_of(trained.vocabulary, TINY).first_shape
    own = [tokens.features for tokens in trained.tokenise(300)(texts()) if tokens.count]
    assert parity(trained.network, build(trained.network, words, TensorProto.FLOAT), own) < 1e-4
    assert parity(trained.network, build(trained.network, words), own) < MAX_PARITY_GAP


def test_padding_changes_nothing(run: Path) -> None:
    trained = load(run)
    network = trained.network
    (tokens,) = trained.tokenise(300)(["the front desk is great"])
    ids = torch.from_numpy(tokens.features.astype(np.int64))[None]
    padded = torch.cat([ids, torch.zeros(1, 9, ids.shape[2], dtype=torch.int64)], 1)
    with torch.no_grad():
        alone, beside = network(ids), network(padded)
    assert torch.allclose(alone[0], beside[0], atol=1e-5)
    assert torch.allclose(alone[1], beside[1][:, : ids.shape[1]], atol=1e-5)


def test_a_loss_that_is_not_a_number_ends_the_run(data: Path, tmp_path: Path) -> None:
    wild = replace(TINY, learning_rate=1e30, epochs=1)
    rows, _ = split_held_out(read_train(data))
    lexicon = _words(rows, wild)
    with pytest.raises(Fatal, match="lower learning_rate"):
        fit(_network(lexicon, wild), encode(lots_of(rows), Tokeniser(lexicon, 100), wild), wild, tmp_path)


def test_an_interrupted_run_goes_on_to_the_same_weights(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was stopped between two checkpoints ends where an undisturbed one does."""
    rows, _ = split_held_out(read_train(data))
    short = replace(TINY, epochs=2)
    lexicon = _words(rows, short)
    encoded = encode(lots_of(rows), Tokeniser(lexicon, 100), short)
    whole, halved = _network(lexicon, short), _network(lexicon, short)
    fit(whole, encoded, short, tmp_path / "whole")
    monkeypatch.setattr(training, "CHECKPOINT_S", 0.0)
    steps = iter(range(7))

    def interrupted(*arguments: Any) -> Any:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return one_step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(training, "one_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(halved, encoded, short, tmp_path / "halved")
    again = _network(lexicon, short)
    fit(again, encoded, short, tmp_path / "halved")
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    assert len((tmp_path / "halved" / "log.jsonl").read_text().splitlines()) >= 1


def test_a_checkpoint_of_another_recipe_is_refused(data: Path, tmp_path: Path) -> None:
    rows, _ = split_held_out(read_train(data))
    lexicon = _words(rows, TINY)
    encoded = encode(lots_of(rows), Tokeniser(lexicon, 100), TINY)
    other = _network(lexicon, replace(TINY, width=12))
    State(other, optimisers(other, TINY), {}).save(tmp_path / "checkpoint.pt")
    with pytest.raises(Misconfigured, match="no checkpoint of this recipe"):
        fit(_network(lexicon, TINY), encoded, TINY, tmp_path)


def test_a_checkpoint_of_other_rows_is_refused(data: Path, tmp_path: Path) -> None:
    """Whoever adds or mends labels after an interruption does not go on in the middle of other rows."""
    rows, _ = split_held_out(read_train(data))
    lexicon = _words(rows, TINY)
    network = _network(lexicon, TINY)
    State(network, optimisers(network, TINY), {}, "other rows").save(tmp_path / "checkpoint.pt")
    with pytest.raises(Misconfigured, match="the rows, or the recipe, are not those it was made with"):
        fit(network, encode(lots_of(rows), Tokeniser(lexicon, 100), TINY), TINY, tmp_path)


def test_a_checkpoint_of_a_recipe_of_the_same_shape_is_refused(data: Path, tmp_path: Path) -> None:
    """Other epochs or another rate make other weights, though the old ones would fit."""
    rows, _ = split_held_out(read_train(data))
    lexicon = _words(rows, TINY)
    network, encoded = _network(lexicon, TINY), encode(lots_of(rows), Tokeniser(lexicon, 100), TINY)
    State(network, optimisers(network, TINY), {}, training._digest(encoded, TINY)).save(tmp_path / "checkpoint.pt")
    with pytest.raises(Misconfigured, match="the rows, or the recipe, are not those it was made with"):
        fit(network, encoded, replace(TINY, learning_rate=1e-3), tmp_path)


def damage(path: Path, how: str) -> None:
    """Make something else of a saved file."""
    content = path.read_bytes()
    if how in ("list", "other"):
        torch.save([1] if how == "list" else {"weights": [1], "vocabulary": 1, "digest": "", "network": 3}, path)
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello", "picture": b"\x89PNG\r\n"}[how])


each_damage = pytest.mark.parametrize("how", ["cut", "empty", "text", "picture", "list", "other"])


@each_damage
def test_a_damaged_checkpoint_is_named_with_what_to_do(data: Path, tmp_path: Path, how: str) -> None:
    rows, _ = split_held_out(read_train(data))
    lexicon = _words(rows, TINY)
    network, checkpoint = _network(lexicon, TINY), tmp_path / "checkpoint.pt"
    State(network, optimisers(network, TINY), {}).save(checkpoint)
    damage(checkpoint, how)
    with pytest.raises(Misconfigured, match=r"no checkpoint of this recipe .*: remove it or name another") as caught:
        State(network, optimisers(network, TINY), {}).load(checkpoint)
    assert str(checkpoint) in str(caught.value) and "\n" not in str(caught.value)


@each_damage
@pytest.mark.parametrize("name", ["weights.pt", "run.json"])
def test_a_damaged_run_is_named_with_what_to_do(run: Path, tmp_path: Path, name: str, how: str) -> None:
    place = Path(shutil.copytree(run, tmp_path / "run"))
    damage(place / name, how)
    with pytest.raises(Misconfigured, match=r"not a finished run, .* weights\.pt .*: train it with") as caught:
        load(place)
    assert str(place) in str(caught.value) and "\n" not in str(caught.value)


def test_weights_of_another_recipe_are_no_run(run: Path, tmp_path: Path) -> None:
    """Files of two runs in one folder are told, whichever of them is the wrong one."""
    place = Path(shutil.copytree(run, tmp_path / "run"))
    told = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps(told | {"recipe": told["recipe"] | {"width": 12}}))
    with pytest.raises(Misconfigured, match="belong together"):
        load(place)


def test_training_over_a_finished_run_unfinishes_it(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped midway, it leaves no weights of the last recipe that an export would take for this one's."""
    place = Path(shutil.copytree(run, tmp_path / "run"))

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "one_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(data, replace(TINY, learning_rate=1e-3), place)
    with pytest.raises(Misconfigured, match="not a finished run"):
        load(place)


def test_a_run_does_not_go_on_into_its_own_folder(run: Path, data: Path) -> None:
    """It would unfinish the run that it needs when it is interrupted and started again."""
    with pytest.raises(Misconfigured, match="name another with --out"):
        begun(run, run / "../" / run.name, TINY.languages)
    assert load(run).recipe == TINY


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_optimiser_and_schedule_learns(data: Path, tmp_path: Path, optimiser: Optimiser, schedule: Schedule) -> None:
    rows, _ = split_held_out(read_train(data))
    rate = 0.1 if optimiser == "sgd" else 1e-2
    recipe = replace(TINY, optimiser=optimiser, schedule=schedule, learning_rate=rate, epochs=3)
    lexicon = _words(rows, recipe)
    fit(_network(lexicon, recipe), encode(lots_of(rows), Tokeniser(lexicon, 100), recipe), recipe, tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.9 * 2.2, "a network that knows nothing has a loss of about 2.2"


def test_a_student_learns_from_logits_alone(data: Path, tmp_path: Path) -> None:
    """Rows without a gold label teach what the teacher's logits say, sentiment and tags, though no label stands there."""
    rows, _ = split_held_out(read_train(data))
    recipe = replace(TINY, soft_share=1.0, epochs=20)
    lexicon = _words(rows, recipe)
    texts_ = sorted({row.text for row in rows if row.lang == "en"})[:60]
    tokens = Tokeniser(lexicon, 100)(texts_)
    told = [
        (Row(text, "en", "told"), Soft(np.array([4, 0, -4] if "the" in text else [-4, 0, 4], np.float16),
                                       np.tile(np.arange(12, dtype=np.float16), (t.count, 1))))
        for text, t in zip(texts_, tokens, strict=True)
    ]  # fmt: skip
    network = _network(lexicon, recipe)
    fit(network, encode([partial(list, told)], Tokeniser(lexicon, 100), recipe), recipe, tmp_path)
    right = 0
    with torch.no_grad():
        for (_, soft), t in zip(told, tokens, strict=True):
            sentiment, units = network(torch.from_numpy(t.features.astype(np.int64))[None])
            right += int(sentiment.argmax()) == int(soft.sentiment.argmax())
            assert units[0, :, :9].unflatten(1, (3, 3)).argmax(-1).eq(2).all()
        assert right >= 0.9 * len(told)


def test_a_run_goes_on_from_a_finished_one(run: Path, data: Path, tmp_path: Path) -> None:
    """The second run begins with the vocabulary and weights of the first: after no step to speak of, it says the same."""
    still = replace(TINY, epochs=1, learning_rate=1e-9, gram_rows=0, dropout=0.0, feature_dropout=0.0, pair_dropout=0.0)
    train(data, still, tmp_path, begin=load(run))
    first, second = load(run), load(tmp_path)
    assert second.vocabulary == first.vocabulary
    assert second.before == (first.recipe,)
    old, new = first.network.state_dict(), second.network.state_dict()
    assert all(torch.allclose(old[name], new[name], atol=1e-4) for name in old if not name.startswith("source_bias"))


def test_a_gold_row_counts_whole_where_no_teacher_speaks() -> None:
    """The gold part of a row's loss is 1 without a teacher and what the teacher leaves with one."""
    recipe = replace(TINY, soft_share=0.75)
    lexicon = Lexicon(("good",), 8, 8)
    soft = Soft(np.zeros(3, np.float16), np.zeros((1, 12), np.float16))
    row = Row("good", "en", "tweeteval_sentiment", "positive")
    alone, told = (encode(_told(row, each), Tokeniser(lexicon, 9), recipe) for each in (None, soft))
    logits = torch.zeros(1, 3), torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3)
    whole, rest = (
        gold_losses(*logits, DeviceRows(each, CPU).batch(np.array([0])), recipe)["sentiment"] for each in (alone, told)
    )
    assert float(rest) == pytest.approx(0.25 * float(whole))


def test_gold_labels_weigh_and_are_smoothed_as_the_recipe_says() -> None:
    """The gold part of the loss is its weight's share of a cross-entropy with a label of which all classes have a part."""
    lexicon = Lexicon(("good",), 8, 8)
    row = Row("good", "en", "tweeteval_sentiment", "positive")
    batch = DeviceRows(encode(_told(row, None), Tokeniser(lexicon, 9), TINY), CPU).batch(np.array([0]))
    logits = torch.tensor([[0.0, 1.0, 3.0]]), torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3)
    found = gold_losses(*logits, batch, replace(TINY, label_weight=0.25, label_smoothing=0.15))["sentiment"]
    expected = torch.nn.functional.cross_entropy(logits[0], torch.tensor([2]), label_smoothing=0.15)
    assert float(found) == pytest.approx(0.25 * float(expected))


def test_what_annotators_marked_is_not_asked_of_the_teacher() -> None:
    """In a row's own channel gold tags count whole and the teacher's not at all; in the others the teacher alone speaks."""
    recipe = replace(TINY, soft_share=0.75)
    lexicon = Lexicon(("pizza",), 8, 8)
    told = np.zeros((1, 12), np.float16)
    told[0, 1::3] = 9  # a begin in every channel
    row = Row("pizza", "en", "absa_mams", aspects=(Aspect(0, 5, "positive"),))
    alone, both = (
        DeviceRows(encode(_told(row, each), Tokeniser(lexicon, 9), recipe), CPU).batch(np.array([0]))
        for each in (None, Soft(np.zeros(3, np.float16), told))
    )
    logits = torch.zeros(1, 3), torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3)
    golden = [float(gold_losses(*logits, each, recipe)["tags"]) for each in (alone, both)]
    assert golden[0] == pytest.approx(golden[1])
    said = soft_losses(*logits, both, recipe)
    assert float(said["soft_tags"]) == pytest.approx(2 * np.log(3), rel=0.01), "phrase and entity, and not aspect"
    assert float(said["soft_towards"]) == 0


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path: Path, data: Path) -> None:
    with pytest.raises(Misconfigured, match="not a finished run"):
        export([tmp_path], data, tmp_path / "out")


def test_the_last_good_bundle_stays_when_an_export_fails(bundle: Path, run: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(bundle, tmp_path / "place"))
    with pytest.raises(Misconfigured, match="no data folder"):
        export([run], tmp_path / "no data", place)
    assert Scorer.load(place, device="cpu").info == Scorer.load(bundle, device="cpu").info


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(to_onnx, "write", full)
    with pytest.raises(Misconfigured, match="No space left on device; nothing was replaced"):
        export([run], data, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_written_and_read_back_as_it_was(run: Path) -> None:
    assert load(run).recipe == TINY
    assert isinstance(load(run).recipe, Recipe)


def test_the_commands_evaluate_and_verify(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["evaluate", "--bundle", str(bundle), "--data", str(data), "--json"])
    assert json.loads(capsys.readouterr().out)["scores"]["textstream-swift"]["absa_mams/rows"] > 0
    cli.main(["verify", "--bundle", str(bundle)])
    assert "golden outputs match" in capsys.readouterr().out


def test_a_wrong_command_line_is_one_line_and_an_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")])
    assert caught.value.code == 78
    assert capsys.readouterr().err.splitlines() == [
        f"textstream-export: no data folder at {tmp_path / 'none'}: "
        "name the folder that holds sentiment.en.train.jsonl.gz with --data"
    ]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "NEEDED", ("torch_that_is_not_there",))
    with pytest.raises(SystemExit) as caught:
        cli.main(["verify"])
    assert caught.value.code == 78
    assert "pip install 'textstream[export]'" in capsys.readouterr().err


def test_what_a_teacher_said_is_stored_and_read_back_as_it_was(run: Path, data: Path, tmp_path: Path) -> None:
    """A shard gives each row with its gold, and the teacher's logits on the row's own tokens, whatever its neighbours."""
    trained = load(run)
    rows, _ = split_held_out(read_train(data))
    shards: Sequence[Sequence[Row]] = [[Row("。", "zh", "unlabelled"), *rows[:40], Row("  ", "en", "blank")], rows[40:50]]
    for workers in (1, 2):
        out = tmp_path / str(workers)
        label_all(2, shards.__getitem__, trained.tokenise(100), lambda: [padded(trained.infer)], out, workers)
        stored = [pair for path in sorted(out.glob("*.npz")) for pair in read_shard(path)]
        assert [row for row, _ in stored] == [*shards[0][:-1], *shards[1]]
        for row, soft in stored:
            (tokens,) = trained.tokenise(100)([row.text])
            sentiment, units = trained.infer(tokens.features[None])
            assert np.allclose(soft.sentiment, sentiment[0], atol=0.01)
            assert np.allclose(soft.tokens, units[0], atol=0.02)


def test_several_teachers_say_the_mean_of_their_logits(run: Path, tmp_path: Path) -> None:
    trained = load(run)

    def contrary(ids: Ids, lengths: Lengths) -> tuple[Logits, Logits]:
        sentiment, units = padded(trained.infer)(ids, lengths)
        return 3 - sentiment, 5 - units

    label_all(1, lambda _: [Row("good", "en", "a")], trained.tokenise(9), lambda: [padded(trained.infer), contrary], tmp_path)
    ((_, soft),) = read_shard(tmp_path / "000.npz")
    assert np.allclose(soft.sentiment, 1.5, atol=0.01)
    assert np.allclose(soft.tokens, 2.5, atol=0.01)


def test_a_shard_that_stands_is_not_made_again(run: Path, tmp_path: Path) -> None:
    tokenise = load(run).tokenise(100)
    label_all(1, lambda _: [Row("good", "en", "a")], tokenise, lambda: [padded(load(run).infer)], tmp_path)

    def fails(_: object) -> Any:
        raise AssertionError

    label_all(1, fails, tokenise, list, tmp_path)
    assert len(list(read_shard(tmp_path / "000.npz"))) == 1


def test_a_student_of_what_was_distilled_is_as_good(run: Path, data: Path, tmp_path: Path) -> None:
    """From labelled, unlabelled and made texts in shards, by several processes, from words that were found before."""
    few = Choice(
        most={}, variants=20, splices=5, crops=5, blends=5, substitutes=5, substituted_of=frozenset(["tweeteval_sentiment"])
    )
    distil(data, [run], tmp_path / "soft", workers=2, choices={"en": few, "zh": few})  # no words: none are substituted
    assert [path.parent.name for path in shards_in(tmp_path / "soft", ["en", "zh"])] == ["en", "zh"]
    find_words(data, TINY, tmp_path / "words.pt")
    recipe = replace(TINY, epochs=2)
    train(data, recipe, tmp_path / "run", words=tmp_path / "words.pt", soft=tmp_path / "soft", workers=2)
    student = load(tmp_path / "run")
    assert student.vocabulary == load(run).vocabulary
    said = [padded(each.infer)(*_short(each, ["the pizza is superb", "the bed is awful"])) for each in (load(run), student)]
    assert [sentiment.argmax(1).tolist() for sentiment, _ in said] == [[2, 0], [2, 0]]


def test_texts_of_other_words_are_labelled_where_it_is_known_which_words_are_alike(data: Path) -> None:
    """They are made of the texts of the sources that are named, and none without neighbours of words."""
    choice = Choice(
        most={},
        augmented=0,
        variants=0,
        splices=0,
        crops=0,
        blends=0,
        substitutes=9,
        substituted_of=frozenset(["tweeteval_sentiment"]),
    )
    rows = chosen(data, "en", choice, 1, Neighbours({"pizza": ("pasta",)}))
    made = rows.shard(0)[-9:]
    own = {row.text for row in rows.gold if row.source == "tweeteval_sentiment"}
    assert {row.source for row in made} == {MADE}
    assert {row.text.replace("pasta", "pizza") for row in made} <= {text.replace("pasta", "pizza") for text in own}


def test_two_rows_of_aspects_are_labelled_as_one_message(data: Path) -> None:
    """As many as were asked for, each with aspects of its own and a text that no gold row has."""
    choice = Choice(most={}, augmented=0, variants=0, splices=0, crops=0, blends=0, joins=9)
    rows = chosen(data, "en", choice, 1)
    made = rows.shard(0)[-9:]
    assert all(row.aspects and row.source in CHANNELS for row in made)
    assert not {row.text for row in made} & {row.text for row in rows.gold}


def test_where_chinese_alone_is_trained_all_that_other_texts_are_read_by_stays(run: Path, data: Path, tmp_path: Path) -> None:
    """To the bit: every weight but the rows of Chinese characters and words, and those move."""
    train(data, replace(TINY, epochs=1, chinese_alone=True), tmp_path, begin=load(run))
    before, after = (load(folder).network.state_dict() for folder in (run, tmp_path))
    table, units = "encoder.table.weight", load(run).units
    assert isinstance(units, Lexicon) and units.chinese
    own = chinese_rows(units)
    assert torch.equal(before[table][~own], after[table][~own])
    assert (before[table][own] != after[table][own]).any(1).sum() > 20
    same = before.keys() - {table, "source_bias.weight"}
    assert all(torch.equal(before[name], after[name]) for name in same)


def test_a_run_goes_on_with_chinese_words_that_say_at_first_what_it_said(data: Path, tmp_path: Path) -> None:
    """To the bit, whatever stands in a word now; and rows of Chinese alone are trained in a finished run only."""
    plain = replace(TINY, epochs=1, chinese_words=0)
    train(data, plain, tmp_path / "plain")
    still = replace(TINY, epochs=1, chinese_alone=True, learning_rate=1e-30)  # which moves nothing
    train(data, still, tmp_path / "more", begin=load(tmp_path / "plain"))
    before, after = load(tmp_path / "plain"), load(tmp_path / "more")
    ids = [each.tokenise(50)(["这个服务员很好"])[0].features[None] for each in (before, after)]
    assert not np.array_equal(*ids)
    said = [each.infer(own) for each, own in zip((before, after), ids, strict=True)]
    assert all(np.array_equal(*parts) for parts in zip(*said, strict=True))
    with pytest.raises(Misconfigured, match="--from"):
        train(data, still, tmp_path / "none")


def test_seed_0_is_a_seed() -> None:
    assert cli._recipe("swift", 0).seed == 0
    assert cli._recipe("swift", None) == RECIPES["swift"]


def test_all_teachers_of_a_language_answer_together(run: Path, data: Path, tmp_path: Path) -> None:
    """One of English alone and one of both languages, which the other side of English is not spoken without."""
    other = tmp_path / "english"
    shutil.copytree(run, other)
    told = json.loads((other / "run.json").read_text())
    told["recipe"]["languages"] = ["en"]
    (other / "run.json").write_text(json.dumps(told))
    saved = torch.load(other / "weights.pt", weights_only=True)
    saved["weights"]["sentiment.bias"] += 6
    torch.save(saved, other / "weights.pt")
    few = Choice(most={}, augmented=0, variants=0, splices=0, crops=0, blends=0)
    for name, teachers in (("one", [run]), ("both", [other, run])):
        distil(data, teachers, tmp_path / name, choices={"en": few})
    one, both = (list(read_shard(tmp_path / name / "en" / "000.npz")) for name in ("one", "both"))
    assert np.allclose([soft.sentiment for _, soft in both], [soft.sentiment + 3 for _, soft in one], atol=0.02)
    distil(data, [run, other], tmp_path / "both", choices={"en": few})  # the same, in whichever order
    with pytest.raises(Misconfigured, match=r"one/en holds what other teachers said .*: name another folder with --out"):
        distil(data, [other], tmp_path / "one", choices={"en": few})


def test_soft_labels_that_are_not_there_are_missed(tmp_path: Path) -> None:
    """No folder, none of a language that the recipe trains, and a shard that was cut off: no run learns from gold alone."""
    with pytest.raises(Misconfigured, match=r"no teacher has labelled en, zh in .*soft: run textstream-export distil"):
        shards_in(tmp_path / "soft", ["en", "zh"])
    for name in ("soft/en/000.npz", "soft/zh/000.npz.part"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    with pytest.raises(Misconfigured, match="no teacher has labelled zh in"):
        shards_in(tmp_path / "soft", ["en", "zh"])
    assert [path.name for path in shards_in(tmp_path / "soft", ["en"])] == ["000.npz"]


def test_messages_that_report_are_trained_on(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many of each language as the recipe has, by their labels; where it has a weight for them alone, they are all."""
    seen = list[Encoded]()

    def fit(network: Network, data: Encoded, *_: object) -> dict[str, float]:
        seen.append(data)
        return {}

    monkeypatch.setattr("textstream_export.run.fit", fit)
    train(data, replace(TINY, reports=6, sources={REPORTS: 1.0}, terms={}), tmp_path, begin=load(run))
    assert seen[0].sources == (REPORTS,)
    assert sorted(seen[0].label.tolist()) == [0] * 4 + [1] * 4 + [2] * 4


def test_a_card_names_the_sources_of_all_passes(data: Path) -> None:
    """What an earlier pass was trained on is in the weights still, whatever the last one drew; made rows are named too."""
    rows, _ = split_held_out(read_train(data))
    passes = (TINY, replace(TINY, reports=6, sources={REPORTS: 1.0}, terms={}))
    named = {source.name: source.rows for source in _manifest([passes], (), rows).sources}
    assert named[REPORTS] == 12 and named["tweeteval_sentiment"] and named["absa_mams"]
    assert REPORTS not in {source.name for source in _manifest([passes[:1]], (), rows).sources}
    each = [(replace(passes[1], languages=(language,)),) for language in ("en", "zh")]
    assert {source.name: source.rows for source in _manifest(each, (), rows).sources}[REPORTS] == 12, "6 of each network"


def test_a_recipe_of_a_teacher_s_word_alone_asks_for_it(run: Path, data: Path, tmp_path: Path) -> None:
    """Without it, it would forget all that its few gold rows do not say."""
    with pytest.raises(Misconfigured, match="--soft"):
        train(data, replace(TINY, soft_share=1.0), tmp_path, begin=load(run))


def test_a_folder_without_a_teachers_word_is_refused_before_rows_are_read(tmp_path: Path) -> None:
    """Where neither rows nor labelled texts are, the texts are asked for first: reading rows takes a minute."""
    with pytest.raises(Misconfigured, match="no teacher has labelled"):
        train(tmp_path / "no rows", TINY, tmp_path / "run", soft=tmp_path / "nothing")


def test_a_run_of_another_network_is_no_beginning(run: Path, data: Path, tmp_path: Path) -> None:
    for recipe, said in (
        (replace(TINY, width=48), f"width {TINY.width}, not 48"),
        (replace(TINY, weighed=False, experts=1), "experts 3, not 1; weighed True, not False"),
        (replace(TINY, languages=("en",)), "languages .*'zh'.*, not"),
        (RECIPES["deep-en"], "is_pretrained False, not True"),
    ):
        with pytest.raises(Misconfigured, match=rf"cannot go on from .*{said}.*: name another run with --from"):
            train(data, recipe, tmp_path / "on", begin=load(run))
    with pytest.raises(Misconfigured, match="leave --words out"):
        train(data, TINY, tmp_path / "on", begin=load(run), words=tmp_path / "words.pt")


def test_what_an_encoder_leaves_out_is_the_recipe_s_that_trains_it() -> None:
    """A second pass goes on with an encoder that another recipe began."""
    encoder = Windows(TINY, 30)
    encoder.leave_out(replace(TINY, dropout=0.4, feature_dropout=0.3, pair_dropout=0.7))
    assert encoder.drop.p == 0.4
    assert sorted(set(encoder.left_out.tolist())) == pytest.approx([0.3, 0.7])


def test_what_a_teacher_said_tells_rows_apart() -> None:
    """A run does not go on where a teacher has since said something else of the same texts."""
    lexicon, row = Lexicon(("good",), 8, 8), Row("good", "en", "tweeteval_sentiment", "positive")
    said = [Soft(np.full(3, value, np.float16), np.zeros((1, 12), np.float16)) for value in (0, 1)]
    first, second = (training._digest(encode(_told(row, soft), Tokeniser(lexicon, 9), TINY), TINY) for soft in said)
    assert first != second


def test_no_word_comes_from_a_text_that_scores(tmp_path: Path) -> None:
    """Messages without labels hold some texts of dev files: vectors do not learn from those either."""
    folder = export_fixture.write(tmp_path, rows=60)
    for text in {row.text for row in read_test(folder) if row.lang == "en"}:
        export_fixture.append(folder / "unlabelled.en.jsonl.gz", text=text, lang="en", source="u_tweets")
    gold, _ = split_held_out(read_train(folder))
    lexicon, _ = found_words(folder, gold, replace(TINY, start="random", min_word_count=1))
    assert "train" in lexicon.words and "dev" not in lexicon.words


def _short(run: Run, said: list[str]) -> tuple[Ids, Lengths]:
    features = [tokens.features for tokens in run.tokenise(50)(said)]
    return np.concatenate(features), np.array([len(each) for each in features])


def test_words_of_another_width_are_refused(data: Path, tmp_path: Path) -> None:
    """And so is a file that holds none: with what to do."""
    find_words(data, TINY, tmp_path / "words.pt")
    for recipe, words in ((replace(TINY, width=48), "words.pt"), (TINY, "none.pt")):
        with pytest.raises(Misconfigured, match="write it with textstream-export words"):
            train(data, recipe, tmp_path / "run", words=tmp_path / words)


def test_a_teacher_labels_no_text_that_is_kept_from_training(data: Path, run: Path) -> None:
    """Gold is of the train side alone, augmented or not, and no unlabelled message is a test's."""
    kept = unseen_hashes(data) | {text_hash(row.text) for row in split_held_out(read_train(data))[1]}
    choice = Choice(most={"tweeteval_sentiment": 10, "u_tweets": 5}, augmented=0, variants=20, splices=5, crops=5, blends=5)
    texts_ = chosen(data, "en", choice, seed=3)
    rows = texts_.shard(0)
    assert len(rows) == len(texts_) <= SHARD_ROWS
    assert sum(row.source == "tweeteval_sentiment" for row in rows) == 10
    assert sum(row.source == "u_tweets" for row in rows) == 5
    assert not kept & {text_hash(row.text) for row in rows if row.source != MADE}
    assert sum(row.source == MADE for row in rows) == 35
    assert rows == chosen(data, "en", choice, seed=3).shard(0)
