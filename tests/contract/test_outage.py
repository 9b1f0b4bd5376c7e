"""The broker goes away under a running worker, and comes back."""

import json
import signal
import time

import pytest

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import GivenKafka, Outgoing, RealKafka, wait_until
from tests.support.texts import message_values
from textstream.errors import Transient
from textstream.worker_thread import WorkerThread

SHORT_SESSION = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
"""For a worker that cannot leave its group in order: the next one need not wait 45 s for its partitions."""
STALL_S = 5.0
LONG_SESSION = {"session.timeout.ms": "180000"}
"""For a worker that is to keep its partitions: a broker on a loaded machine may take as long as Kafka's 45 s to come back."""


@pytest.fixture
def outage(kafka: RealKafka) -> RealKafka:
    """The broker, which a test may stop and must start again."""
    if isinstance(kafka, GivenKafka):
        pytest.skip("a given cluster is not ours to stop")
    return kafka


def test_an_outage_loses_doubles_and_disorders_nothing(outage: RealKafka, new_stream: NewStream) -> None:
    """An outage shorter than the session: what was scored waits in flight, uncommitted; the worker stays alive; all goes on."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(200))
    with Running(stream, kafka__consumer=LONG_SESSION, observe__stall_after_s=STALL_S) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 200, 30, "not enriched before the outage")
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 10, "not committed before the outage")
        worker.scorer.gate.clear()
        stream.kafka.produce_all(stream.input, messages(300))
        wait_until(lambda: worker.value("textstream_in_flight_messages") == 300, 30, "not taken before the outage")
        commits = worker.value("textstream_commits_total", result="requested")
        outage.stop()
        try:
            worker.scorer.gate.set()
            wait_until(lambda: sum(worker.scorer.passes) == 500, 30, "not scored during the outage")
            time.sleep(1.5 * STALL_S)
            assert worker.health.live() == (True, "ok")
            assert worker.outcomes(stream.input) == 200, "an outcome counted before its acknowledgement"
            assert worker.value("textstream_commits_total", result="requested") == commits
        finally:
            outage.start()
        wait_until(lambda: worker.outcomes(stream.input) == 500, 60, "not published after the outage")
    assert worker.value("textstream_rebalances_total", event="lost") == 0, "the outage outlasted the session"
    assert worker.error is None
    found = stream.audit()
    assert found.clean, found.examples


def test_a_paused_partition_that_was_lost_is_read_again(outage: RealKafka, new_stream: NewStream) -> None:
    """An outage longer than the session, with a full budget: partitions lost while paused are read when they come back."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(1_000))
    limits = {"delivery__max_in_flight_messages": 100, "delivery__pause_after_ms": 100}
    with Running(stream, **limits, kafka__consumer=SHORT_SESSION) as worker:
        worker.scorer.gate.clear()
        wait_until(lambda: worker.value("textstream_pauses_total") > 0, 30, "never paused")
        outage.stop()
        try:
            wait_until(lambda: worker.value("textstream_rebalances_total", event="lost") > 0, 30, "never lost")
        finally:
            outage.start()
        worker.scorer.gate.set()
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, "not read after the outage")
    assert worker.error is None
    found = stream.audit()
    assert found.lost == found.disordered == 0, found.examples


def test_a_stop_during_an_outage_ends_in_time_and_says_so(outage: RealKafka, new_stream: NewStream) -> None:
    """Drained in vain: the worker ends soon after its drain limit with exit status 75, and the next one scores what is left."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(50))
    with Running(stream, delivery__drain_timeout_s=2, kafka__consumer=SHORT_SESSION) as worker:
        worker.scorer.gate.clear()
        wait_until(lambda: worker.value("textstream_in_flight_messages") == 50, 30, "not taken before the outage")
        outage.stop()
        try:
            worker.scorer.gate.set()
            wait_until(lambda: sum(worker.scorer.passes) == 50, 30, "not scored during the outage")
            began = time.monotonic()
            WorkerThread.__exit__(worker)
            assert time.monotonic() - began < 10
        finally:
            outage.start()
    assert isinstance(worker.error, Transient)
    assert "50 messages were not acknowledged within 2 s (delivery.drain_timeout_s)" in str(worker.error)
    with Running(stream) as second:
        wait_until(lambda: second.outcomes(stream.input) == 50, 60, "the next worker did not score what was left")
    found = stream.audit()
    assert found.lost == found.disordered == 0, found.examples


def test_a_second_signal_ends_a_drain_at_once(outage: RealKafka, new_stream: NewStream) -> None:
    """A worker that cannot drain goes on trying after the first signal, and ends by the second, whichever it is."""
    stream = new_stream(partitions=2)
    values = message_values(20_000)
    stream.kafka.produce_all(stream.input, [Outgoing(value, partition=n % 2) for n, value in enumerate(values)])
    with stream.worker(batch__max_messages=20, kafka__consumer=json.dumps(SHORT_SESSION)) as worker:
        wait_until(lambda: sum(stream.kafka.end_offsets(stream.enriched).values()) > 0, 60, lambda: worker.log[-4000:])
        outage.stop()
        try:
            worker.send(signal.SIGTERM)
            time.sleep(1)
            assert worker.running, "drained although the broker was away"
            assert worker.stop(signal.SIGINT) == -signal.SIGINT
        finally:
            outage.start()
    with stream.worker() as worker:
        stream.finish(worker)
    found = stream.audit()
    assert found.lost == found.disordered == 0, found.examples
