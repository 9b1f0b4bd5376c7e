"""A topic full of poison is not drained into the dead letters, on a real Kafka."""

import signal

import orjson

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running
from tests.support.fakes import FakeScorer
from tests.support.kafka import Outgoing, wait_until
from tests.support.stream import Stream
from textstream.core.ports import Pipeline, Report
from textstream.errors import Misconfigured
from textstream.kafka.sink import Sink
from textstream.layers import load_settings
from textstream.worker_thread import WorkerThread
from textstream.world import RealWorld

GOOD, RUN, POISON = 300, 50, 5_000
"""Good messages in each of two partitions, dead letters in a row that open the breaker, bad messages behind the good."""


def poisoned(new_stream: NewStream) -> Stream:
    """Good messages in two partitions, then poison alone."""
    stream = new_stream(partitions=2)
    good = [Outgoing(orjson.dumps({"text": f"message {n}"}), partition=n % 2) for n in range(2 * GOOD)]
    stream.kafka.produce_all(stream.input, good)
    stream.kafka.produce_all(stream.input, [Outgoing(b"{", partition=n % 2) for n in range(POISON)])
    return stream


def assert_stopped_in_time(stream: Stream) -> None:
    """No more dead letters than the limit, and committed is exactly what was published."""
    outcomes = stream.outcomes()
    assert RUN - 1 <= len(outcomes.dead) < 3 * RUN  # a good message of the other partition may begin the run anew
    committed = stream.kafka.committed_offsets(stream.group, stream.input)
    for partition, offset in committed.items():
        published = {at for where, at in [*outcomes.enriched, *outcomes.dead] if where == partition}
        assert published == set(range(offset))
    assert sum(committed.values()) == len(outcomes.enriched) + len(outcomes.dead)


def test_it_holds_until_a_restart(new_stream: NewStream) -> None:
    """`pause`: few dead letters go out, what went out is committed and no more, /readyz says why while the process lives and
    stays in the group, SIGTERM ends it with 0; a restart with the breaker off goes on without a gap."""
    stream = poisoned(new_stream)
    with stream.worker(delivery__breaker_run=RUN, delivery__drain_timeout_s=20) as worker:
        wait_until(lambda: "stopped: " in worker.log, 60, lambda: worker.log[-4000:])
        status, why = worker.get("/readyz")
        assert (status, "50 of the last 50 outcomes are dead letters (not_json 50)" in why) == (503, True)
        assert worker.get("/livez")[0] == 200
        assert "textstream_breaker_open 1.0" in worker.get("/metrics")[1]
        assert sum(stream.kafka.assigned_partitions(stream.group).values()) == 2
        assert worker.stop() == 0, worker.log[-4000:]
    assert_stopped_in_time(stream)

    stream.run(delivery__breaker_run=0, delivery__breaker_share=1)
    found = stream.audit()
    assert found.clean, found.examples


def test_it_ends_the_process_where_that_is_asked_for(new_stream: NewStream) -> None:
    """`exit`: status 78 with the reasons and what to do in one line, what was published committed and no more."""
    stream = poisoned(new_stream)
    with stream.worker(delivery__breaker_run=RUN, delivery__on_breaker="exit") as worker:
        assert worker.wait() == 78, worker.log[-4000:]
    last = worker.log.splitlines()[-1]
    assert last.startswith("textstream: stopped: 50 of the last 50 outcomes are dead letters (not_json 50)")
    assert "mend the producer or the settings and restart" in last
    assert_stopped_in_time(stream)


class Mute(Sink):
    """Its outcomes are never acknowledged."""

    def reports(self, timeout_s: float = 0) -> list[Report]:
        """None comes."""
        return []


class MuteWorld(RealWorld):
    """The real one, but for acknowledgements."""

    def sink(self, pipeline: Pipeline) -> Sink:
        """One that never tells."""
        return Mute(self._settings.kafka, pipeline)


def test_what_it_stopped_for_is_said_though_the_drain_fails(new_stream: NewStream) -> None:
    """`exit` is status 78 for the operator to act also where what was published before is not acknowledged in time: a restart
    would meet the same dead letters."""
    stream = poisoned(new_stream)
    flags = {"delivery__breaker_run": RUN, "delivery__on_breaker": "exit", "delivery__drain_timeout_s": 0.5}
    with Running(stream, world=MuteWorld, **flags) as worker:
        wait_until(lambda: worker.error is not None, 30, "the worker went on")
    assert isinstance(worker.error, Misconfigured), repr(worker.error)
    assert "50 of the last 50 outcomes are dead letters" in str(worker.error)
    assert "were not acknowledged within 0.5 s" in str(worker.error)


def test_one_that_opens_while_draining_is_said_too(new_stream: NewStream) -> None:
    """`exit` is status 78 also where the worker was being stopped when the dead letters came out."""
    stream, scorer = poisoned(new_stream), FakeScorer()
    scorer.gate.clear()
    with Running(stream, scorer, delivery__breaker_run=RUN, delivery__on_breaker="exit") as worker:
        wait_until(
            lambda: worker.value("textstream_records_polled_total", topic=stream.input) > 3 * GOOD, 30, "nothing was read"
        )
        worker.stop()
        wait_until(lambda: not worker.health.ready()[0], 30, "it goes on")
        scorer.gate.set()
        wait_until(lambda: worker.error is not None, 30, "it ended as if nothing were wrong")
    assert isinstance(worker.error, Misconfigured), repr(worker.error)


def test_a_second_member_takes_over_at_once(new_stream: NewStream) -> None:
    """A member that holds lets go of a partition within the drain limit, although work on it is unfinished; whoever takes it
    goes on behind what was published."""
    stream = poisoned(new_stream)
    with stream.worker(delivery__breaker_run=RUN, delivery__drain_timeout_s=30) as worker:
        wait_until(lambda: "stopped: " in worker.log, 60, lambda: worker.log[-4000:])
        with stream.worker(delivery__breaker_run=0, delivery__breaker_share=1) as second:
            wait_until(lambda: "reading" in second.log, 60, lambda: second.log[-4000:])
            wait_until(lambda: "revoked" in worker.log, 20, lambda: worker.log[-4000:])
            assert worker.stop(signal.SIGTERM) == 0, worker.log[-4000:]
            stream.finish(second)
            assert second.stop() == 0, second.log[-4000:]
    found = stream.audit()
    assert found.clean, found.examples


def test_it_counts_the_share_of_a_window(new_stream: NewStream) -> None:
    """Where good and bad messages alternate no run is long, and the share opens the breaker, on the message that exceeds it."""
    stream = new_stream()
    values = [b"{" if n % 2 else orjson.dumps({"text": f"message {n}"}) for n in range(2_000)]
    stream.kafka.produce_all(stream.input, [Outgoing(value) for value in values])
    settings = load_settings(
        environ={},
        flags={
            "kafka.bootstrap_servers": stream.kafka.bootstrap_servers,
            "kafka.group_id": stream.group,
            "input.topics": stream.input,
            "delivery.breaker_share": 0.2,
            "delivery.breaker_window": 100,
            "delivery.on_breaker": "exit",
        },
    )
    with WorkerThread(settings, FakeScorer()) as worker:
        wait_until(lambda: worker.error is not None, 30, "the worker went on")
    assert isinstance(worker.error, Misconfigured)
    assert "21 of the last 42 outcomes are dead letters (not_json 21)" in str(worker.error)
    assert len(stream.outcomes().dead) == 20
    assert sum(stream.kafka.committed_offsets(stream.group, stream.input).values()) == 41
