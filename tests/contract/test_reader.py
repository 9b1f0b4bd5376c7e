"""The independent reader finds each kind of fault, so that its silence elsewhere means something."""

import json
import subprocess
import sys

import pytest

from tests.support.kafka import Outgoing, RealKafka, Record, unique
from tests.support.raw_produce import RawRecord, crc32c, produce_batch
from tests.support.reader import Audit, audit


def _event(record: Record, text: str | None = None) -> Outgoing:
    source = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    assert record.value is not None
    event = {"text": text or json.loads(record.value)["text"], "source": source}
    return Outgoing(json.dumps(event).encode(), key=record.key, partition=0)


def _dead(record: Record, value: bytes | None) -> Outgoing:
    about = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
    headers = [(f"__connect.errors.{name}", text.encode()) for name, text in about.items()]
    return Outgoing(value, key=record.key, partition=0, headers=[*headers, ("textstream.reason", b"not_json")])


def _tombstone(record: Record) -> Outgoing:
    source = f"{record.topic}-{record.partition}-{record.offset}".encode()
    return Outgoing(None, key=record.key, partition=0, headers=[("textstream.id", source)])


class Case:
    """Four texts, one tombstone and one that is not JSON, with the outcomes of a worker that made no mistake."""

    def __init__(self, kafka: RealKafka) -> None:
        self.kafka = kafka
        self.input, self.output, self.dead = (kafka.create_topic(unique(name)) for name in ("in", "out", "dead"))
        values = [b'{"text": "%d"}' % number for number in range(4)] + [None, b"{"]
        kafka.produce_all(self.input, [Outgoing(value, key=b"k") for value in values])
        *texts, tombstone, broken = self.records = kafka.read_all(self.input)
        self.outputs = [*(_event(record) for record in texts), _tombstone(tombstone)]
        self.dead_letters = [_dead(broken, broken.value)]

    def audit(self) -> Audit:
        """Publish the outcomes as they are now, and count."""
        self.kafka.produce_all(self.output, self.outputs)
        self.kafka.produce_all(self.dead, self.dead_letters)
        return audit(self.kafka, inputs=[self.input], outputs=[self.output], dead=[self.dead])


@pytest.fixture
def case(kafka: RealKafka) -> Case:
    """Topics of its own for each test."""
    return Case(kafka)


def test_a_clean_run_is_clean(case: Case) -> None:
    """Events, tombstones and dead letters each account for their input, and the program says the same."""
    found = case.audit()
    assert found.clean, found.examples
    assert (found.inputs, found.enriched, found.tombstones, found.dead) == (6, 4, 1, 1)
    assert found.reasons == {"not_json": 1}

    arguments = ["--input", case.input, "--output", case.output, "--dead", case.dead]
    program = [sys.executable, "-m", "tests.support.reader", "--bootstrap-servers", case.kafka.bootstrap_servers]
    printed = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout
    assert printed.splitlines()[-1].endswith("lost 0 doubled 0 disordered 0 inputs 6")


def test_a_lost_input_is_found(case: Case) -> None:
    """An input without an outcome is counted."""
    del case.outputs[1]
    assert case.audit().lost == 1


def test_a_doubled_outcome_is_found(case: Case) -> None:
    """A second outcome of the same input is counted, and is not disorder."""
    case.outputs.append(case.outputs[0])
    found = case.audit()
    assert (found.doubled, found.disordered, found.lost) == (1, 0, 0)


def test_disorder_is_found(case: Case) -> None:
    """Two outcomes of one input partition that changed places in the output partition are counted."""
    case.outputs[0], case.outputs[1] = case.outputs[1], case.outputs[0]
    assert case.audit().disordered == 1


def test_an_altered_payload_is_found(case: Case) -> None:
    """An outcome at the right position with another text or key does not account for its input."""
    case.outputs[0] = _event(case.records[0], "something else")
    case.outputs[1] = Outgoing(case.outputs[1].value, key=b"other", partition=0)
    found = case.audit()
    assert (found.altered, found.lost) == (2, 2)


def test_a_foreign_outcome_is_found(case: Case) -> None:
    """An outcome of an input that never was is counted."""
    nowhere = Record(case.input, 0, 99, None, b'{"text": "x"}', [], None)
    case.outputs.append(_event(nowhere))
    assert case.audit().foreign == 1


def test_missing_commits_are_found(case: Case) -> None:
    """A group that did not commit to the end of the input is reported."""
    case.audit()
    found = audit(case.kafka, inputs=[case.input], outputs=[case.output], dead=[case.dead], group=unique("nobody"))
    assert (found.uncommitted, found.clean) == (1, False)


def test_a_batch_by_hand_is_a_real_record(kafka: RealKafka) -> None:
    """What the raw producer sends, times 0 and none included, the broker takes and a proper client reads back."""
    assert crc32c(b"123456789") == 0xE3069283
    topic = kafka.create_topic(unique("raw"))
    address = kafka.bootstrap_servers
    assert produce_batch(address, topic, 0, [RawRecord(b"a", b"k", [(b"h", None)], 0), RawRecord(None, None, (), 5)]) == 0
    assert produce_batch(address, topic, 0, [RawRecord(b"c", timestamp=-1)]) == 2
    first, second, third = kafka.read_all(topic)
    assert (first.value, first.key, first.headers, first.timestamp) == (b"a", b"k", [("h", None)], 0)
    assert (second.value, second.key, second.timestamp) == (None, None, 5)
    assert (third.value, third.timestamp) == (b"c", None)
