"""What goes wrong with Kafka while a worker runs, each as deploy/DELIVERY.md classes it: wait, or stop and say what to do."""

import pytest

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import wait_until
from textstream.errors import Misconfigured
from textstream.kafka.client import try_properties
from textstream.layers import load_settings

GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])


@GUARANTEES
def test_a_full_queue_of_the_client_is_waited_for(new_stream: NewStream, guarantee: str) -> None:
    """Where the client takes ten outcomes at a time, all go out in the end, once and in order."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(500))
    small = {"queue.buffering.max.messages": "10"}
    with Running(stream, kafka__producer=small, delivery__guarantee=guarantee) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 500, 60, "not all went out")
    assert worker.error is None
    found = stream.audit()
    assert found.clean, found.examples


@GUARANTEES
def test_an_input_that_is_deleted_stops_the_worker(new_stream: NewStream, guarantee: str) -> None:
    """Exit status 78, with what to do."""
    stream = new_stream()
    often = {"topic.metadata.refresh.interval.ms": "500"}
    with Running(stream, kafka__client=often, delivery__guarantee=guarantee) as worker:
        wait_until(worker.reads, 30, "the worker got no partition")
        stream.kafka.admin.delete_topics([stream.input])[stream.input].result(timeout=30)
        wait_until(lambda: worker.error is not None, 60, "the worker went on")
    assert isinstance(worker.error, Misconfigured), repr(worker.error)
    assert "create the topic" in str(worker.error)


@GUARANTEES
def test_an_output_that_is_deleted_stops_the_worker(new_stream: NewStream, guarantee: str) -> None:
    """Exit status 78, with what to do, and what had no place to go is not committed."""
    stream = new_stream()
    often = {"topic.metadata.refresh.interval.ms": "500", "topic.metadata.propagation.max.ms": "1000"}
    with Running(stream, kafka__client=often, delivery__guarantee=guarantee) as worker:
        wait_until(worker.reads, 30, "the worker got no partition")
        stream.kafka.admin.delete_topics([stream.enriched])[stream.enriched].result(timeout=30)
        stream.kafka.produce_all(stream.input, messages(10, 1))
        wait_until(lambda: worker.error is not None, 60, "the worker went on")
    assert isinstance(worker.error, Misconfigured), repr(worker.error)
    assert "create the topic" in str(worker.error)
    assert stream.kafka.committed_offsets(stream.group, stream.input).get(0, 0) == 0


@pytest.mark.parametrize("name", ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"])
def test_what_contradicts_the_protocol_is_refused_at_start(name: str) -> None:
    """Where the brokers assign, what members would agree upon is theirs to set: exit status 78, at once."""
    flags = {"input.topics": "t", "kafka.group_protocol": "consumer", "kafka.consumer": {name: "6000"}}
    with pytest.raises(Misconfigured, match=name.replace(".", r"\.")):
        try_properties(load_settings(environ={}, flags=flags).kafka)
