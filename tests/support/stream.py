"""One stream under test: an input topic with its two output topics, a group, and the workers that serve it."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.kafka import RealKafka, Record, unique
from tests.support.reader import Audit, audit
from tests.support.reaper import Reaper
from tests.support.texts import ROOT
from tests.support.worker import Worker, as_flags, finish

SCHEMA = ROOT / "stream/textstream/enriched_event.schema.json"


class Stream:
    """Topics of its own on a real Kafka; worker settings are given as `section__name`."""

    def __init__(
        self,
        kafka: RealKafka,
        reaper: Reaper,
        folder: Path,
        *,
        partitions: int = 1,
        enriched: int = 0,
        dead: int = 0,
        **config: str,
    ) -> None:
        self.kafka, self.reaper, self.folder = kafka, reaper, folder
        self.input = kafka.create_topic(unique("in"), partitions, **config)
        self.enriched = kafka.create_topic(f"{self.input}.enriched", enriched or partitions)
        self.dead = kafka.create_topic(f"{self.input}.dead", dead or partitions)
        self.group = unique("group")

    def flags(self, **settings: object) -> list[str]:
        """What a command needs to be about this stream; further settings are given as `section__name`."""
        own = {
            "kafka.bootstrap_servers": self.kafka.bootstrap_servers,
            "kafka.group_id": self.group,
            "input.topics": self.input,
            "observe.http_port": 0,
        }
        return as_flags(own | {name.replace("__", "."): value for name, value in settings.items()})

    def worker(self, *arguments: str, **settings: object) -> Worker:
        """Start a worker on this stream."""
        return Worker(self.kafka, self.reaper, self.folder, self.input, self.group, *arguments, **settings)

    def finish(self, worker: Worker, timeout_s: float = 60) -> None:
        """Wait until the worker has committed everything."""
        finish(self.kafka, worker, self.group, self.input, timeout_s)

    def run(self, **settings: object) -> "Outcomes":
        """Serve everything that is in the input with one worker, which ends well, and read what came of it."""
        with self.worker(**settings) as worker:
            self.finish(worker)
            assert worker.stop() == 0, worker.log[-4000:]
        return self.outcomes()

    def outcomes(self) -> "Outcomes":
        """What stands in the output topics now."""
        return Outcomes(self.kafka.read_all(self.enriched), self.kafka.read_all(self.dead))

    def audit(self) -> Audit:
        """Count by the independent reader."""
        return audit(self.kafka, inputs=[self.input], outputs=[self.enriched], dead=[self.dead], group=self.group)


class Outcomes:
    """The outcomes of a stream, by the input's position."""

    def __init__(self, enriched: list[Record], dead: list[Record]) -> None:
        self.enriched = {_source(record): record for record in enriched}
        self.dead = {_dead_source(record): record for record in dead}
        assert len(self.enriched) == len(enriched), "an input was enriched twice"
        assert len(self.dead) == len(dead), "an input has two dead letters"

    def event(self, offset: int, partition: int = 0) -> dict[str, Any]:
        """The enriched event of an input, valid against the published schema and whole in itself."""
        record = self.enriched.get((partition, offset))
        dead = self.dead.get((partition, offset))
        assert record is not None, f"{partition}, {offset} is not among {len(self.enriched)} events; its dead letter: {dead}"
        assert record.value is not None
        event = json.loads(record.value)
        self._validator.validate(event)
        assert_consistent(event)
        return dict(event)

    def dead_letter(self, offset: int, partition: int = 0) -> Record:
        """The dead letter of an input, which then has no event."""
        assert (partition, offset) not in self.enriched
        return self.dead[partition, offset]

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(json.loads(SCHEMA.read_bytes()))


def assert_consistent(event: dict[str, Any]) -> None:
    """What the schema cannot say of an event."""
    assert event["id"] == "{topic}-{partition}-{offset}".format(**event["source"])
    for term in event["key_terms"]:
        assert event["text"][term["begin"] : term["end"]] == term["text"]
    for sentiment in [event["sentiment"], *(term["sentiment"] for term in event["key_terms"])]:
        if sentiment is not None:
            shares = sentiment["probabilities"]
            assert abs(sum(shares.values()) - 1) < 0.01
            assert shares[sentiment["label"]] == max(shares.values())
            assert abs(sentiment["score"] - (shares["positive"] - shares["negative"])) < 0.01
    saliences = [term["salience"] for term in event["key_terms"]]
    assert saliences == sorted(saliences, reverse=True)


def _source(record: Record) -> tuple[int, int]:
    _, partition, offset = (record.header("textstream.id") or b"").decode().rsplit("-", 2)
    return int(partition), int(offset)


def _dead_source(record: Record) -> tuple[int, int]:
    assert record.header("textstream.id") is not None
    partition, offset = (record.header(f"__connect.errors.{name}") for name in ("partition", "offset"))
    assert partition is not None
    assert offset is not None
    return int(partition), int(offset)
