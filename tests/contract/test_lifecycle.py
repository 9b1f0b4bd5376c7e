"""Workers that stop, die, come and go while the stream flows."""

import signal
import threading
import time

import pytest

from tests.contract.conftest import NewStream
from tests.support.kafka import Outgoing
from tests.support.stream import Stream
from tests.support.texts import message_values
from tests.support.worker import Worker, wait_for_members

MESSAGES = 8_000
FEW_IN_FLIGHT = 500
"""So that a drain or a kill comes in the middle of the messages, on a fast machine too."""


class Trickle:
    """A producer that goes on in the background, a few hundred messages a second, until the block ends."""

    def __init__(self, stream: Stream, partitions: int) -> None:
        self._stream, self._partitions = stream, partitions
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._values = message_values(2_000)

    def _run(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            chunk = [self._values[(turn * 100 + number) % len(self._values)] for number in range(100)]
            records = [Outgoing(value, b"%d" % number, number % self._partitions) for number, value in enumerate(chunk)]
            self._stream.kafka.produce_all(self._stream.input, records)
            turn += 1

    def __enter__(self) -> "Trickle":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)


def wait_for_outcomes(stream: Stream, worker: Worker, count: int) -> None:
    """Wait until the worker has published so many events."""
    deadline = time.monotonic() + 60
    while sum(stream.kafka.end_offsets(stream.enriched).values()) < count:
        assert worker.running, worker.log[-4000:]
        assert time.monotonic() < deadline, worker.log[-4000:]
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_leaves_nothing_unaccounted(new_stream: NewStream, how: signal.Signals) -> None:
    """A worker asked to stop in the middle finishes what it took, commits exactly that, and exits 0; the next one goes on
    without losing or repeating a message."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(
        stream.input, [Outgoing(value, partition=n % 2) for n, value in enumerate(message_values(MESSAGES))]
    )
    with stream.worker(delivery__max_in_flight_messages=FEW_IN_FLIGHT) as worker:
        wait_for_outcomes(stream, worker, 100)
        assert worker.stop(how) == 0, worker.log[-4000:]
    committed = sum(stream.kafka.committed_offsets(stream.group, stream.input).values())
    published = sum(sum(stream.kafka.end_offsets(topic).values()) for topic in (stream.enriched, stream.dead))
    assert committed == published
    assert 100 <= published < MESSAGES, "the signal came too late to prove anything"

    stream.run()
    found = stream.audit()
    assert found.clean, found.examples


def test_a_killed_worker_loses_nothing(new_stream: NewStream) -> None:
    """SIGKILL in the middle, then a new worker: every message is enriched, in order; some may come twice, with one id."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(
        stream.input, [Outgoing(value, partition=n % 2) for n, value in enumerate(message_values(MESSAGES))]
    )
    sessions = '{"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}'
    with stream.worker(kafka__consumer=sessions, delivery__max_in_flight_messages=FEW_IN_FLIGHT) as worker:
        wait_for_outcomes(stream, worker, 1_000)
        worker.kill()
    assert not stream.kafka.is_committed(stream.group, stream.input), "the kill came too late to prove anything"
    with stream.worker() as worker:
        stream.finish(worker)
        assert worker.stop() == 0
    found = stream.audit()
    assert found.lost == found.disordered == found.altered == found.foreign == found.uncommitted == 0, found.examples


def test_workers_come_and_go(new_stream: NewStream) -> None:
    """While messages flow a second worker joins, takes its share, and leaves: nothing is lost, doubled or out of order."""
    stream = new_stream(partitions=4)
    kafka = stream.kafka
    with stream.worker() as first:
        with Trickle(stream, 4):
            wait_for_members(kafka, stream.group, 1, 4)
            with stream.worker() as second:
                assert sorted(wait_for_members(kafka, stream.group, 2, 4).values()) == [2, 2]
                wait_for_outcomes(stream, second, sum(kafka.end_offsets(stream.enriched).values()) + 500)
                assert second.stop() == 0, second.log[-4000:]
            wait_for_members(kafka, stream.group, 1, 4)
            wait_for_outcomes(stream, first, sum(kafka.end_offsets(stream.enriched).values()) + 500)
        stream.finish(first)
        assert first.stop() == 0, first.log[-4000:]
    found = stream.audit()
    assert found.clean, found.examples
    assert found.inputs > 1_000
