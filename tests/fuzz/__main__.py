"""Generated records through decode → enrich with the shipped model: nothing escapes, and every record has its outcome.

    python -m tests.fuzz                     a million records
    python -m tests.fuzz --records 20000     as many as CI takes
    python -m tests.fuzz --seed N            the same records again

hypothesis makes them, in rounds with seeds of their own, and shrinks what fails. The last line is
`records N enriched N tombstones N dead N escaped N`; the exit status is 1 where something escaped or an outcome was wrong.
"""

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import hypothesis
import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from tests.fuzz.records import Given, Pipeline, batches, pipelines
from tests.support.stream import SCHEMA, assert_consistent
from textstream.core.codec import TopicLimits, wire_size
from textstream.core.process import Scorer, enrich, prepare
from textstream.core.record import Outcome, is_ours
from textstream.model.scorer import Scorer as Shipped

NOW_MS = 1_764_000_000_000
RECORDS = 1_000_000
BATCHES_A_ROUND = 100
"""hypothesis remembers what it has tried, to try something else: a round is as long as that is worth its memory."""
REASONS = {"not_utf8", "not_json", "no_text", "text_not_string", "bad_headers", "bad_replay", "too_large"}
"""Those that input can be the reason of. `scoring_failed` is not among them: no text makes the shipped model fail."""
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_bytes()))


@dataclass
class Tally:
    """What became of them."""

    rounds: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    escaped: int = 0

    @property
    def records(self) -> int:
        """How many had an outcome."""
        return self.kinds.total()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """One batch more."""
        self.kinds.update(outcome.kind for outcome in outcomes)
        self.reasons.update(outcome.reason for outcome in outcomes if outcome.reason)

    def __str__(self) -> str:
        kinds = self.kinds
        return (
            f"records {self.records} enriched {kinds['enriched']} tombstones {kinds['tombstone']} dead {kinds['dead']} "
            f"escaped {self.escaped}"
        )


def fuzz(scorer: Scorer, records: int, seed: int, tally: Tally, *, shrink: bool = True) -> None:
    """Try at least so many records. Raises what escapes; to `shrink` the batch that it came from may take five minutes."""
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    while tally.records < records:
        one_round(scorer, seed + tally.rounds, tally, phases)
        tally.rounds += 1


def one_round(scorer: Scorer, seed: int, tally: Tally, phases: Sequence[Phase]) -> None:
    """Some batches, all by one seed."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=BATCHES_A_ROUND,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), pipelines)
    def tried(data: st.DataObject, pipeline: Pipeline) -> None:
        batch = data.draw(batches(pipeline))
        outcomes = path(scorer, pipeline, batch)
        judge(pipeline, batch, outcomes)
        tally.add(outcomes)

    tried()


def path(scorer: Scorer, pipeline: Pipeline, batch: Sequence[Given]) -> list[Outcome]:
    """Decode → tokenise → infer → enrich → encode."""
    codec = pipeline.codec(scorer.info)
    return enrich(prepare([one.record for one in batch], codec, scorer), codec, scorer, NOW_MS).outcomes


def judge(pipeline: Pipeline, batch: Sequence[Given], outcomes: Sequence[Outcome]) -> None:
    """Each record has one outcome, in its place, that its topic takes and a reader understands."""
    assert [outcome.record.position for outcome in outcomes] == [one.record.position for one in batch]
    validated = False
    for one, outcome in zip(batch, outcomes, strict=True):
        position, kind = outcome.record.source, outcome.kind
        ids = [value for name, value in outcome.headers if name == "textstream.id"]
        assert ids == [f"{position.topic}-{position.partition}-{position.offset}".encode()]
        topic = pipeline.dead if kind == "dead" else pipeline.enriched
        assert wire_size(outcome.value, outcome.record.key, outcome.headers) <= topic.max_message_bytes
        judge_time(one, outcome, topic)
        if kind == "dead":
            judge_dead(one, outcome)
        elif kind == "tombstone":
            assert one.record.value is None and outcome.value is None
            judge_passed(one, outcome)
        else:
            judge_passed(one, outcome)
            event = json.loads(outcome.value or b"")
            assert one.text is None or event["text"] == one.text
            assert_consistent(event)
            if not validated:  # a millisecond each: one of a batch
                VALIDATOR.validate(event)
                validated = True


def judge_time(one: Given, outcome: Outcome, topic: TopicLimits) -> None:
    """The producer's time, or one that the topic takes with the original beside it."""
    kept = outcome.timestamp_ms == outcome.record.timestamp_ms and topic.takes(outcome.timestamp_ms, NOW_MS)
    replaced = ("textstream.timestamp", str(outcome.record.timestamp_ms).encode()) in outcome.headers
    assert kept or (replaced and outcome.timestamp_ms == NOW_MS)


def judge_dead(one: Given, outcome: Outcome) -> None:
    """The original with what was wrong with it; what was cut is said."""
    assert outcome.reason in REASONS, outcome.reason
    assert one.text is None or outcome.reason == "too_large"
    whole = not any(name == "textstream.truncated" for name, _ in outcome.headers)
    if whole:
        assert outcome.value == one.record.value
        judge_passed(one, outcome)
    else:
        assert (one.record.value or b"").startswith(outcome.value or b"")


def judge_passed(one: Given, outcome: Outcome) -> None:
    """Key and headers are the producer's."""
    assert outcome.reason in REASONS or not outcome.reason
    assert outcome.record.key == one.record.key
    dead = outcome.kind == "dead"
    theirs = [header for header in one.record.headers if not is_ours(header[0], dead=dead)]
    assert [header for header in outcome.headers if not is_ours(header[0], dead=dead)] == theirs


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and say what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=RECORDS, help=f"at least so many (default: {RECORDS})")
    parser.add_argument("--seed", type=int, help="of the first round (default: another one each time; it is printed)")
    parser.add_argument("--model", default="swift", metavar="PATH", help="bundle (default: swift)")
    asked = parser.parse_args(argv)
    seed = random.randrange(2**31) if asked.seed is None else asked.seed
    scorer, tally, began = Shipped.load(asked.model), Tally(), time.monotonic()
    print(f"seed {seed}, model {asked.model}", flush=True)
    try:
        fuzz(scorer, asked.records, seed, tally)
    except Exception:  # whatever it is, it should not have come out
        traceback.print_exc()
        tally.escaped += 1
        print(f"again: python -m tests.fuzz --seed {seed + tally.rounds} --records 1")
    print(" ".join(f"{reason} {count}" for reason, count in sorted(tally.reasons.items())))
    print(f"{time.monotonic() - began:.0f} s, {tally.rounds} rounds from seed {seed}")
    print(tally, flush=True)
    return int(tally.escaped > 0)


if __name__ == "__main__":
    sys.exit(main())
