"""What moves each metric, and by how much: on a worker in a simulated world, whose time is the test's."""

import random
from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.simulation.scene import Scene
from tests.simulation.world import NOW_MS
from tests.support.bundles import SHIPPED
from tests.support.fakes import FakeScorer, FakeTokens
from tests.support.ways import both_ways
from textstream.analysis import EncodedAnalysis, encoded
from textstream.bench.noop import analysis
from textstream.core.offsets import PartitionOffsets
from textstream.drift import WINDOW_MESSAGES, Reference, psi, reference_of
from textstream.event import Kind, Label
from textstream.model.remembering import Remembering
from textstream.model.scorer import Scorer
from textstream.observe.metrics import STAGES, Metrics
from textstream.quality import BINS, CONFIDENCE_BOUNDS, LENGTH_BOUNDS, UNKNOWN_BOUNDS, Computed, Quality, quality

EXACTLY = {"delivery__guarantee": "exactly_once"}
GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
ALL_KINDS = [b"good", b"a longer good one", b"\xff\xfe", b"unscorable", None]


def committed(scene: Scene) -> bool:
    """Whether the group holds the end of the topic."""
    return scene.brokers.group.committed.get(("a", 0)) == scene.log.end


def stage(scene: Scene, what: str) -> dict[str, float | None]:
    """A metric by stage."""
    return {name: scene.value(what, stage=name) for name in STAGES}


@GUARANTEES
def test_each_stage_counts_what_goes_in_and_out(guarantee: str) -> None:
    """Twenty records, of every kind of outcome, go once through each stage, in batches that a limit closed."""
    with Scene(delivery__guarantee=guarantee, delivery__commit_interval_ms=50, batch__max_messages=4).played() as scene:
        scene.send(*ALL_KINDS * 4)
        scene.until(lambda: committed(scene) and stage(scene, "textstream_stage_in_progress_messages")["commit"] == 0)
        for what in ("textstream_stage_in_messages_total", "textstream_stage_out_messages_total"):
            assert stage(scene, what) == dict.fromkeys(STAGES, 20)
        assert stage(scene, "textstream_stage_in_progress_messages") == dict.fromkeys(STAGES, 0)
        assert scene.value("textstream_records_polled_total", topic="a") == 20
        outcomes = {("enriched", ""): 8, ("tombstone", ""): 4, ("dead", "not_utf8"): 4, ("dead", "scoring_failed"): 4}
        for (outcome, reason), count in outcomes.items():
            assert scene.value("textstream_outcomes_total", topic="a", outcome=outcome, reason=reason) == count
        closed = [
            scene.value("textstream_batches_total", closed_by=by) or 0 for by in ("messages", "tokens", "age", "idle", "flush")
        ]
        assert sum(closed) == scene.value("textstream_batch_messages_count") == scene.value("textstream_batch_tokens_count")
        assert closed[0] > 0
        assert scene.value("textstream_batch_messages_sum") == 20
        assert scene.value("textstream_batch_tokens_sum") == 4 * (1 + 4 + 1)
        assert scene.value("textstream_stage_seconds_count", stage="deliver") == 20
        for name in ("wait", "score"):
            assert scene.value("textstream_stage_seconds_count", stage=name) == sum(closed)
        assert scene.value("textstream_stage_seconds_count", stage="prepare")


def test_a_stage_that_is_stuck_shows_what_it_holds() -> None:
    """While the model hangs, its stage holds all that is in flight, below the limits shown, and its time of progress stands
    still; that of the stages before it is later."""
    with Scene(delivery__max_in_flight_messages=50).played() as scene:
        scene.until(lambda: scene.value("textstream_ready") == 1)
        assert scene.value("textstream_model_info", **FakeScorer.info) == 1
        assert scene.value("textstream_stage_progress_timestamp_seconds", stage="score") == pytest.approx(NOW_MS / 1000, abs=1)
        scene.send(b"good")
        scene.until(lambda: committed(scene))
        before = scene.value("textstream_stage_progress_timestamp_seconds", stage="score")
        assert before is not None
        scene.process.slow_scoring = 1e6
        scene.wait(5)
        scene.send(*[b"a longer good one"] * 10)
        scene.wait(3)
        progress = stage(scene, "textstream_stage_progress_timestamp_seconds")
        assert progress["score"] == before
        assert progress["prepare"] is not None and progress["prepare"] >= before + 4
        assert stage(scene, "textstream_stage_in_progress_messages") == {"prepare": 0, "score": 10, "deliver": 0, "commit": 0}
        held = [scene.value(f"textstream_in_flight_{unit}") for unit in ("messages", "bytes", "tokens")]
        assert held == [10, 10 * len(b"a longer good onekey"), 40], (
            "textstream_in_flight_messages, textstream_in_flight_bytes, textstream_in_flight_tokens"
        )
        limits = [scene.value("textstream_in_flight_limit", unit=unit) for unit in ("messages", "bytes", "tokens")]
        delivery = scene.settings.delivery
        assert limits == [50, delivery.max_in_flight_bytes, delivery.max_in_flight_tokens]


def test_what_is_stale_leaves_its_stage_too() -> None:
    """A partition that is lost while its records are scored: they are dropped and counted, and no stage keeps them."""
    with Scene().played() as scene:
        scene.send(b"good")
        scene.until(lambda: committed(scene))
        assert scene.value("textstream_rebalances_total", event="assigned") == 1
        scene.process.slow_scoring = 100
        scene.send(*[b"good"] * 8)
        scene.until(lambda: stage(scene, "textstream_stage_in_progress_messages")["score"] == 8)
        scene.worker.lost([("a", 0)])
        assert scene.value("textstream_rebalances_total", event="lost") == 1
        scene.until(lambda: scene.value("textstream_stale_records_total") == 8)
        assert stage(scene, "textstream_stage_in_progress_messages") == dict.fromkeys(STAGES, 0)
        assert stage(scene, "textstream_stage_out_messages_total")["deliver"] == 9
        assert stage(scene, "textstream_stage_out_messages_total")["commit"] == 1


@GUARANTEES
def test_end_to_end_latency_ends_where_the_outcome_stands(guarantee: str) -> None:
    """To the broker's acknowledgement under at least once, long before the commit; under exactly-once to the commit."""
    with Scene(delivery__guarantee=guarantee, delivery__commit_interval_ms=10_000).played() as scene:
        scene.send(*[b"good"] * 3)
        scene.until(lambda: stage(scene, "textstream_stage_out_messages_total")["deliver"] == 3)
        acknowledged = scene.loop.now
        counted = scene.value("textstream_end_to_end_seconds_count")
        assert counted == (3 if guarantee == "at_least_once" else 0)
        scene.until(lambda: committed(scene) and stage(scene, "textstream_stage_in_progress_messages")["commit"] == 0)
        assert scene.loop.now > acknowledged + 5
        assert scene.value("textstream_end_to_end_seconds_count") == 3
        stands = acknowledged if guarantee == "at_least_once" else scene.loop.now
        assert scene.value("textstream_end_to_end_seconds_sum") == pytest.approx(3 * stands, rel=0.2)


def test_each_kind_of_retry_is_counted() -> None:
    """A broker that is away at the start, a batch in halves, a commit that is refused, a transaction that is taken back: each
    counts where it is tried again."""
    scene = Scene(delivery__commit_interval_ms=50)
    scene.brokers.network.take_away(0, 1.0)  # the coordinator of the group
    accept, answers = scene.brokers.group.commit, iter([False])
    scene.brokers.group.commit = lambda *asked: next(answers, True) and accept(*asked)  # type: ignore[method-assign]
    with scene.played():
        scene.until(lambda: scene.value("textstream_ready") == 1)
        assert scene.value("textstream_retries_total", what="startup") == 2
        scene.send(b"good", b"unscorable", b"good", b"good")
        scene.until(lambda: committed(scene))
        assert scene.value("textstream_retries_total", what="scoring") == 2
        assert scene.value("textstream_retries_total", what="commit") == 1
        assert scene.value("textstream_commits_total", result="failed") == 1
        assert scene.value("textstream_commits_total", result="requested") == 2
    with Scene(**EXACTLY, delivery__commit_interval_ms=50).played() as scene:
        scene.send(b"good")
        scene.until(lambda: committed(scene))
        scene.brokers.refusals.append("as the test wants it")
        scene.send(b"good")
        scene.until(lambda: committed(scene))
        assert scene.value("textstream_retries_total", what="transaction") == 1
        assert scene.value("textstream_aborted_transactions_total") == 1


def lag(scene: Scene) -> tuple[float | None, float | None, float | None]:
    """In messages, in seconds, and the position."""
    names = "textstream_lag_messages", "textstream_lag_seconds", "textstream_position_offset"
    messages, seconds, position = (scene.value(name, topic="a", partition="0") for name in names)
    return messages, seconds, position


def test_lag_is_told_in_messages_and_in_seconds() -> None:
    """Absent while the partition is not ours, 0 when it is caught up, and behind a model that hangs the oldest record's age,
    by its own timestamp: textstream_lag_messages, textstream_lag_seconds, textstream_position_offset."""
    with Scene(sent_ms=NOW_MS - 60_000).played() as scene:
        assert lag(scene) == (None, None, None)
        scene.send(b"good", b"good")
        scene.until(lambda: lag(scene) == (0, 0, 2))
        assert scene.value("textstream_assigned_partitions") == 1
        scene.process.slow_scoring = 1e6
        scene.send(*[b"good"] * 5)
        scene.until(lambda: lag(scene)[0] == 5)
        scene.wait(10)
        messages, seconds, position = lag(scene)
        assert (messages, position) == (5, 2)
        assert seconds == pytest.approx(60 + scene.loop.now, abs=1.5)
        scene.worker.lost([("a", 0)])
        scene.wait(2)
        assert lag(scene) == (None, None, None)
        assert scene.value("textstream_assigned_partitions") == 0


def test_behind_an_open_breaker_no_partition_is_told_to_be_caught_up() -> None:
    """Nothing is fetched any more: of a partition that holds nothing of ours the lag is unknown, and no 0; the other's oldest
    message waits on."""
    scene = Scene(delivery__breaker_run=5)
    scene.brokers.grow("a", 2)
    other = scene.brokers.inputs["a", 1]

    def told(partition: int) -> tuple[float | None, float | None]:
        messages, seconds = (f"textstream_lag_{unit}" for unit in ("messages", "seconds"))
        return scene.value(messages, topic="a", partition=str(partition)), scene.value(
            seconds, topic="a", partition=str(partition)
        )

    with scene.played():
        other.append(b"good", 0)
        scene.send(b"good")
        scene.until(lambda: told(0) == told(1) == (0, 0))
        scene.send(*[b"\xff\xfe"] * 10)
        scene.until(lambda: scene.value("textstream_breaker_open") == 1)
        scene.wait(1)  # until nothing is taken any more
        other.append(b"good", 0)
        scene.wait(10)
        assert told(1) == (None, None)
        assert (told(0)[0] or 0) > 0 and (told(0)[1] or 0) > 5


def test_a_record_without_a_time_waits_from_when_it_was_polled() -> None:
    """Its timestamp is 0 or -1: what is told is not the age of the epoch."""
    with Scene(sent_ms=-1).played() as scene:
        scene.until(lambda: scene.value("textstream_ready") == 1)
        scene.process.slow_scoring = 1e6
        scene.wait(5)
        scene.send(b"good")
        scene.wait(10)
        assert lag(scene)[1] == pytest.approx(10, abs=1.5)


def test_what_is_not_read_yet_waits_from_when_it_was_seen() -> None:
    """Records that nobody hands out: the lag grows from when the end was seen, and starts anew where the position moved."""
    owned = PartitionOffsets(1, 5)
    assert owned.waits_since_ms(None, 1_000) is None
    assert owned.waits_since_ms(5, 1_000) == 1_000
    assert owned.waits_since_ms(8, 2_000) == 2_000
    assert owned.waits_since_ms(9, 7_000) == 2_000
    owned.deliver(5, 500)
    assert owned.waits_since_ms(None, 8_000) == 500
    owned.settle(5)
    assert owned.waits_since_ms(9, 9_000) == 9_000


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 10**6)), min_size=1, max_size=40), st.randoms(use_true_random=False)
)
def test_lag_is_that_of_the_first_record_that_may_not_be_committed(sent: list[tuple[int, int]], shuffle: random.Random) -> None:
    """Whatever the gaps, the times and the order of acknowledgements: it is the time of the record at the position, and what is
    uncommitted are the settled ones that no confirmed commit covers."""
    owned, times, offset = PartitionOffsets(1, 0), dict[int, int](), -1
    for gap, sent_ms in sent:
        offset += gap
        times[offset] = sent_ms
        owned.deliver(offset, sent_ms)
    settled: set[int] = set()
    for at in shuffle.sample(sorted(times), len(times)):
        owned.settle(at)
        settled.add(at)
        waiting = [one for one in sorted(times) if one not in settled]
        expected = times[waiting[0]] if waiting else 10**9
        assert owned.waits_since_ms(offset + 1, 10**9) == expected
        if shuffle.random() < 0.5:
            asked = owned.ask()
            how = shuffle.choice([owned.confirm, lambda _: owned.refuse(), lambda _: None])
            how(asked)
        held = owned.confirmed or 0
        assert owned.uncommitted == len([one for one in settled if one >= held])


# ---- what texts are like


def told(
    code: str, label: Label, chance: float, *kinds: Kind, truncated: bool = False, supported: bool = True
) -> EncodedAnalysis:
    """An analysis of a text in a language."""
    said = analysis()
    said["language"] = {"code": code, "probability": 1.0, "supported": supported}
    said["truncated"] = truncated
    said["sentiment"] = (
        {
            "label": label,
            "score": 0.0,
            "probabilities": dict.fromkeys(("negative", "neutral", "positive"), 0.0) | {label: chance},
        }
        if supported
        else None
    )  # type: ignore[typeddict-item]
    mood = analysis()["sentiment"]
    assert mood is not None
    said["key_terms"] = [
        {"text": "a", "normalized": "a", "kind": kind, "salience": 1.0, "begin": 0, "end": 1, "sentiment": mood}
        for kind in kinds
    ]
    return encoded(said)


class Telling(FakeScorer):
    """Says of each text what stands in `says`, in turn; each has four tokens, one unknown."""

    def __init__(self, says: Sequence[EncodedAnalysis]) -> None:
        super().__init__()
        self.says = says
        self.given = 0

    def tokenise(self, texts: Sequence[str]) -> list[FakeTokens]:
        """Four tokens."""
        return [FakeTokens(text, 4, 1) for text in texts]

    def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
        """The next ones."""
        self.given += len(batch)
        self.computed = self.computed.plus(4 * len(batch), len(batch))
        return [self.says[at % len(self.says)] for at in range(self.given - len(batch), self.given)]


SAYS = [
    told("en", "negative", 0.99, "aspect", "aspect", "phrase"),
    told("en", "positive", 0.5, truncated=True),
    told("zh", "neutral", 0.4, "entity"),
    told("tlh", "neutral", 0.4, supported=False),
    told("../../etc", "neutral", 0.4, supported=False),
]


def test_texts_are_counted_by_what_they_are_like() -> None:
    """By language, label, confidence, truncation, known and unknown tokens, and kind of key term; a language that the model
    does not support is other, whatever its name: no label has a value that a sender chose."""
    with Scene(scorer=Telling(SAYS)).played() as scene:
        scene.send(*[b"good"] * 5)
        scene.until(lambda: committed(scene))
        values = {
            (sample.name, *sample.labels.values()): sample.value
            for family in scene.metrics.registry.collect()
            for sample in family.samples
        }
        by_language = {"en": 2, "zh": 1, "other": 2}
        for code, count in by_language.items():
            assert values["textstream_text_messages_total", code] == count
            assert values["textstream_text_tokens_total", code] == 4 * count
            assert values["textstream_text_unknown_tokens_total", code] == count
            assert values["textstream_text_truncated_total", code] == (code == "en")
        assert (
            values["textstream_sentiment_total", "en", "negative"]
            == values["textstream_sentiment_total", "en", "positive"]
            == 1
        )
        assert values["textstream_sentiment_total", "zh", "neutral"] == 1
        assert values["textstream_sentiment_total", "other", "neutral"] == 0
        assert values["textstream_confidence_sum", "en"] == pytest.approx(1.49)
        assert [values["textstream_confidence_bucket", "en", le] for le in ("0.45", "0.5", "0.95", "0.99", "+Inf")] == [
            0,
            1,
            1,
            2,
            2,
        ]
        assert values["textstream_confidence_count", "other"] == 0
        terms = [values["textstream_key_terms_total", kind] for kind in ("phrase", "aspect", "entity")]
        assert terms == [1, 2, 1]
        named = {label for key in values for label in key[1:]}
        assert not named & {"tlh", "../../etc", "und"}


def test_texts_that_needed_no_pass_are_counted() -> None:
    """textstream_remembered_messages_total counts the messages that were answered from memory, and no others: a text that
    came once, and then a second time, was scored."""
    with Scene(scorer=Remembering(FakeScorer(fails_on=["unscorable"]), 10)).played() as scene:
        for sent, remembered in ((b"good", 0), (b"good", 0), (b"good", 1), (b"unscorable", 1), (b"good", 2)):
            scene.send(sent)
            scene.until(lambda: committed(scene))
            assert scene.metrics.registry.get_sample_value("textstream_remembered_messages_total") == remembered


def test_padding_is_counted_beside_what_is_computed() -> None:
    """A network of word pieces pads a text that is shorter than the other of its pass; one of words does not. And what a batch
    cost is counted: textstream_model_tokens_total, textstream_model_padding_tokens_total."""
    texts = ["a good phone", "a very good phone"]  # a pass pads no more than it saves to be one
    for name, pads in (("swift", False), ("deep", True)):
        scorer = Scorer.load(SHIPPED[name], device="cpu")
        before = scorer.computed
        tokens = scorer.tokenise(texts)
        scorer.analyse(tokens)
        computed = scorer.computed.since(before)
        assert computed.tokens == sum(len(one.features) for one in tokens)
        assert (computed.padding > 0) == pads
    with Scene(scorer=Telling(SAYS)).played() as scene:
        scene.send(*[b"good"] * 5)
        scene.until(lambda: committed(scene))
        assert scene.value("textstream_model_tokens_total") == 20
        assert scene.value("textstream_model_padding_tokens_total") == 5


@both_ways
@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1), st.sampled_from(["en", "zh", None])), max_size=40))
def test_every_text_falls_into_one_bin_of_each_feature(texts: list[tuple[int, float, str | None]]) -> None:
    """Whatever its length, its share of unknown words and its language; and sums are those of the texts."""
    tokens = [FakeTokens("", count, round(count * share)) for count, share, _ in texts]
    said = [told(code or "de", "neutral", 1 / 3 + share * 2 / 3, supported=code is not None) for _, share, code in texts]
    found = quality(zip(tokens, said, strict=True))
    assert sum(one.messages for one in found.languages.values()) == len(texts)
    assert sum(one.tokens for one in found.languages.values()) == sum(one.count for one in tokens)
    assert sum(one.unknown for one in found.languages.values()) == sum(one.unknown for one in tokens)
    for code, one in found.languages.items():
        scored = 0 if code == "other" else one.messages
        assert {feature: (len(bins), sum(bins)) for feature, bins in one.bins.items()} == {
            "sentiment": (BINS["sentiment"], scored),
            "confidence": (BINS["confidence"], scored),
            "length": (BINS["length"], one.messages),
            "unknown": (BINS["unknown"], one.messages),
        }


@both_ways
def test_a_bound_belongs_to_the_bin_below_it() -> None:
    """As Prometheus has it: a value that is a bin's upper bound is in that bin."""
    for feature, bounds in (("confidence", CONFIDENCE_BOUNDS), ("length", LENGTH_BOUNDS), ("unknown", UNKNOWN_BOUNDS)):
        for at, bound in enumerate(bounds):
            tokens = FakeTokens("", 100 if feature != "length" else int(bound), int(100 * bound) if feature == "unknown" else 0)
            said = told("en", "neutral", bound if feature == "confidence" else 0.5)
            bins = quality([(tokens, said)]).languages["en"].bins[feature]  # type: ignore[index]
            assert bins.index(1) == at, (feature, bound)


# ---- drift


def test_the_index_is_what_its_formula_says() -> None:
    """0 for the same distribution, symmetric, and by hand for two bins; a share of 0 does not make it endless."""
    assert psi([0.25, 0.75], [0.25, 0.75]) == 0
    assert psi([0.5, 0.5], [0.8, 0.2]) == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4))
    assert psi([0.5, 0.5], [0.8, 0.2]) == pytest.approx(psi([0.8, 0.2], [0.5, 0.5]))
    assert 0.25 < psi([0.0, 1.0], [0.5, 0.5]) < 10


def reference_from(says: Sequence[EncodedAnalysis]) -> Reference:
    """What these are like, four tokens each."""
    return reference_of([quality((FakeTokens("", 4, 1), one) for one in says)], "as the test wants it")


def drift(says: Sequence[EncodedAnalysis], reference: Reference | None, messages: int) -> dict[tuple[str, str], float | None]:
    """What a worker tells after so many messages, by feature and language."""
    scorer = Telling(says)
    scorer.reference = reference
    with Scene(scorer=scorer, delivery__breaker_share=1).played() as scene:
        scene.send(*[b"good"] * messages)
        scene.until(lambda: committed(scene))
        features = [(feature, "en") for feature in BINS] + [("language", "all")]
        return {(f, code): scene.value("textstream_drift_psi", feature=f, language=code) for f, code in features}


def test_a_worker_tells_when_messages_are_others() -> None:
    """Nothing before a window is full, nor without a reference; nothing to speak of while messages are of its kind; above 0.25
    once all are angry and sure: textstream_drift_psi."""
    usual = [told("en", label, chance) for label in ("negative", "neutral", "positive") for chance in (0.42, 0.65, 0.92)]
    angry = [told("en", "negative", 0.999)]
    reference = reference_from(usual)
    assert set(drift(usual, reference, WINDOW_MESSAGES - 1).values()) == {None}
    assert set(drift(usual, None, WINDOW_MESSAGES + 600).values()) == {None}
    same = drift(usual, reference, WINDOW_MESSAGES + 600)
    assert all(value is not None and value < 0.1 for value in same.values())
    other = drift(angry, reference, WINDOW_MESSAGES + 600)
    assert {name for name, value in other.items() if value is not None and value > 0.25} == {
        ("sentiment", "en"),
        ("confidence", "en"),
    }
    mixed = drift([*usual, *[told("xx", "neutral", 0.4, supported=False)] * 9], reference, 2 * WINDOW_MESSAGES + 1200)
    assert (mixed["language", "all"] or 0) > 0.25
    assert (mixed["sentiment", "en"] or 0) < 0.1


def test_metrics_are_made_anew_for_each_worker() -> None:
    """Two workers of a process share no count."""
    one, other = Metrics(), Metrics()
    one.count(Quality(quality([(FakeTokens("", 4, 1), SAYS[0])]).languages, {}), Computed(4, 2))
    assert one.registry.get_sample_value("textstream_model_tokens_total") == 4
    assert other.registry.get_sample_value("textstream_model_tokens_total") == 0
