"""What a source makes of what its client hands out, where no broker can be made to hand it out on time."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, Message

from tests.support.fakes import FakeAssignment
from textstream.errors import Misconfigured
from textstream.kafka import source
from textstream.kafka.source import Source
from textstream.settings import Kafka


class Client:
    """Gives what the test says, call by call, and calls back as a rebalance does."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], list[Message]]] = []

    def subscribe(self, *_: object, **__: object) -> None:
        """Nothing comes of it."""

    def consume(self, most: int, timeout_s: float) -> list[Message]:
        """The next answer."""
        return self.answers.pop(0)()


@pytest.mark.parametrize(("then", "offsets"), [(1, [7, 8]), (2, [8]), (None, [])])
def test_what_came_first_is_dropped_where_its_partition_went_while_the_rest_was_taken(
    monkeypatch: pytest.MonkeyPatch, then: int | None, offsets: list[int]
) -> None:
    """A record that was waited for goes with those that came with it, unless a rebalance among them took its partition away:
    brought back, the partition is read from what was committed, that record among the others."""
    client, assignment = Client(), FakeAssignment()
    monkeypatch.setattr(source, "opened", lambda *_: client)

    def rest() -> list[Message]:
        assignment.epoch = then
        return [Message(topic="in", partition=0, offset=8, value=b"", headers=[], timestamp=(1, 5))]

    client.answers = [list, lambda: [Message(topic="in", partition=0, offset=7, value=b"", headers=[], timestamp=(1, 5))], rest]
    polled = Source(Kafka(group_id="g"), ["in"], assignment).poll(100, 0.1)
    assert [record.position.offset for record in polled.records] == offsets
    assert {record.position.epoch for record in polled.records} <= {then}


def test_an_error_that_came_first_is_told_though_its_partition_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is deleted takes its partition away behind the error that says so."""
    client, assignment = Client(), FakeAssignment()
    monkeypatch.setattr(source, "opened", lambda *_: client)

    def gone() -> list[Message]:
        assignment.epoch = None
        return []

    error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    client.answers = [list, lambda: [Message(topic="in", partition=0, error=error)], gone]
    with pytest.raises(Misconfigured, match="create the topic"):
        Source(Kafka(group_id="g"), ["in"], assignment).poll(100, 0.1)
