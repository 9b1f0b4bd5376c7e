"""Topics by pattern: what matches is read, our own outputs are not, and what comes later is taken up."""

import pytest

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import unique, wait_until
from tests.support.stream import Stream


def with_outputs(stream: Stream, name: str) -> str:
    """A topic that may be read."""
    for suffix in ("enriched", "dead"):
        stream.kafka.create_topic(f"{name}.{suffix}")
    return stream.kafka.create_topic(name)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_pattern_is_read_and_its_outputs_are_not(new_stream: NewStream, protocol: str) -> None:
    """Of all topics that match, those that textstream writes are left out; one that comes to match is read from its start, also
    where reading begins at the latest record."""
    stream, prefix = new_stream(), unique("by")
    one = with_outputs(stream, f"{prefix}-one")
    often = {"topic.metadata.refresh.interval.ms": "500"}
    flags = {
        "input__topics": f"^{prefix}.*",
        "input__refresh_s": 1,
        "input__start": "latest",
        "kafka__client": often,
        "kafka__group_protocol": protocol,
    }
    with Running(stream, **flags) as worker:
        wait_until(worker.reads, 30, "the worker got no partition")
        stream.kafka.produce_all(one, messages(5, 1))
        wait_until(lambda: worker.outcomes(one) == 5, 30, "what matches was not read")
        two = f"{prefix}-two"
        stream.kafka.create_topic(two)  # without outputs it cannot be served yet
        stream.kafka.produce_all(two, messages(7, 1))
        for suffix in ("enriched", "dead"):
            stream.kafka.create_topic(f"{two}.{suffix}")
        wait_until(lambda: worker.outcomes(two) == 7, 60, "what came to match was not read")
        stream.kafka.produce_all(one, messages(5, 1))
        wait_until(lambda: worker.outcomes(one) == 10, 30, "what matched before is not read any more")
        assert worker.value("textstream_assigned_partitions") == 2
    assert worker.error is None
