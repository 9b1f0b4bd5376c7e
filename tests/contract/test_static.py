"""Static members: one that comes back takes its place again, and two of one name cannot both be."""

import pytest

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import wait_until
from textstream.errors import Fatal

PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@PROTOCOLS
def test_a_member_that_comes_back_moves_nothing(new_stream: NewStream, protocol: str) -> None:
    """Stopped and started again, it has the partitions that it had; the other member hears of no rebalance, and nobody reads
    them meanwhile."""
    stream = new_stream(partitions=4)
    first = {"kafka__group_instance_id": "one", "kafka__group_protocol": protocol}
    second = {"kafka__group_instance_id": "two", "kafka__group_protocol": protocol}
    with Running(stream, **second) as other:
        with Running(stream, **first) as worker:
            for one in (other, worker):
                wait_until(lambda one=one: one.value("textstream_assigned_partitions") == 2, 60, "not shared evenly")
        told = other.value("textstream_rebalances_total", event="assigned")
        stream.kafka.produce_all(stream.input, messages(40, 4))
        wait_until(lambda: other.outcomes(stream.input) == 20, 30, "its own were not read")
        with Running(stream, **first) as worker:
            wait_until(lambda: worker.outcomes(stream.input) == 20, 30, "what had waited for it was not read")
            assert other.value("textstream_assigned_partitions") == worker.value("textstream_assigned_partitions") == 2
        assert other.value("textstream_rebalances_total", event="assigned") == told
    assert other.error is worker.error is None
    found = stream.audit()
    assert found.clean, found.examples


@pytest.mark.parametrize(("protocol", "ends"), [("classic", "older"), ("consumer", "newer")])
def test_of_two_under_one_name_one_ends(new_stream: NewStream, protocol: str, ends: str) -> None:
    """Members let the newer one in, brokers keep the older; the other ends with exit status 70, and each input is read once."""
    stream = new_stream(partitions=2)
    named = {"kafka__group_instance_id": "one", "kafka__group_protocol": protocol}
    with Running(stream, **named) as older:
        wait_until(lambda: older.value("textstream_assigned_partitions") == 2, 60, "nothing was assigned")
        with Running(stream, **named) as newer:
            ending, staying = (older, newer) if ends == "older" else (newer, older)
            wait_until(lambda: ending.error is not None, 30, "both went on")
            assert isinstance(ending.error, Fatal)
            assert ending.error.exit_status == 70
            stream.kafka.produce_all(stream.input, messages(10))
            wait_until(lambda: staying.outcomes(stream.input) == 10, 30, "nobody reads")
    assert staying.error is None
    found = stream.audit()
    assert found.clean, found.examples
