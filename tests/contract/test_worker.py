"""The worker's bounds under stress, in this process, with a scorer whose gate the test holds, on a real Kafka."""

import time
from collections.abc import Sequence

import orjson
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.contract.conftest import NewStream
from tests.support.fakes import FakeScorer, FakeTokens
from tests.support.kafka import Outgoing, wait_until
from tests.support.stream import Stream
from textstream.analysis import EncodedAnalysis
from textstream.clock import SystemClock
from textstream.errors import Fatal, Misconfigured, Transient
from textstream.layers import load_settings
from textstream.observe.tracing import Tracing
from textstream.worker_thread import WorkerThread
from textstream.world import RealWorld

STALL_S = 1.0


class Running(WorkerThread):
    """A worker in a thread of this process, with a scorer whose gate the test holds; settings are given as `section__name`."""

    def __init__(
        self,
        stream: Stream,
        scorer: FakeScorer | None = None,
        *,
        world: type[RealWorld] = RealWorld,
        tracing: Tracing | None = None,
        **flags: object,
    ) -> None:
        named = {name.replace("__", "."): value for name, value in flags.items()}
        settings = load_settings(
            environ={},
            flags={
                "kafka.bootstrap_servers": stream.kafka.bootstrap_servers,
                "kafka.group_id": stream.group,
                "input.topics": stream.input,
                "delivery.commit_interval_ms": 100,
            }
            | named,
        )
        self.scorer = scorer or FakeScorer()
        super().__init__(settings, self.scorer, world(settings, self.scorer, SystemClock()), tracing)

    def __exit__(self, *_: object) -> None:
        self.scorer.gate.set()
        super().__exit__()

    def outcomes(self, topic: str, outcome: str = "enriched", reason: str = "") -> float:
        """How many were acknowledged."""
        return self.value("textstream_outcomes_total", topic=topic, outcome=outcome, reason=reason)


@pytest.fixture
def stream(new_stream: NewStream) -> Stream:
    """A stream of two partitions."""
    return new_stream(partitions=2)


def messages(count: int, partitions: int = 2) -> list[Outgoing]:
    """Records with a text each, over the partitions in turn."""
    return [Outgoing(orjson.dumps({"text": f"message {n}"}), partition=n % partitions) for n in range(count)]


def test_a_blocked_scorer_is_waited_for_in_bounds_and_not_for_ever(stream: Stream) -> None:
    """While the model hangs fetching is paused, memory bounded, and the worker a member; when it hangs longer than the limit,
    the worker ends with what a restart mends, and the next one scores everything."""
    stream.kafka.produce_all(stream.input, messages(400))
    bounds = {"delivery__max_in_flight_messages": 100, "delivery__pause_after_ms": 200, "batch__max_messages": 20}
    with Running(stream, **bounds, observe__stall_after_s=5) as worker:
        worker.scorer.gate.clear()
        wait_until(lambda: worker.value("textstream_pauses_total") > 0, 10, "fetching was never paused")
        assert worker.value("textstream_records_polled_total", topic=stream.input) <= 100
        assert sum(stream.kafka.assigned_partitions(stream.group).values()) == 2
        wait_until(lambda: worker.error is not None, 30, "the worker waited for ever")
    assert isinstance(worker.error, Fatal)
    assert "observe.stall_after_s" in str(worker.error)
    with Running(stream) as second:
        wait_until(lambda: second.outcomes(stream.input) == 400, 60, "the backlog was never worked off")
    assert second.error is None
    assert stream.audit().clean


def test_an_idle_worker_stays_alive_and_knows_its_lag(stream: Stream) -> None:
    """With nothing to read for longer than the stall limit it is alive and ready; lag is shown once it is known."""
    stream.kafka.produce_all(stream.input, messages(10))
    with Running(stream, observe__stall_after_s=STALL_S) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 10, 30, "not enriched")
        time.sleep(1.5 * STALL_S)
        assert worker.health.live() == (True, "ok")
        assert worker.health.ready() == (True, "ok")
        for partition in ("0", "1"):
            lag = worker.metrics.registry.get_sample_value(
                "textstream_lag_messages", {"topic": stream.input, "partition": partition}
            )
            assert lag == 0
        assert worker.value("textstream_assigned_partitions") == 2
    with Running(stream) as restarted:  # nothing new to read, and yet the lag is known
        labels = {"topic": stream.input, "partition": "0"}
        wait_until(
            lambda: restarted.metrics.registry.get_sample_value("textstream_lag_messages", labels) == 0, 30, "lag unknown"
        )


def test_batches_shrink_where_memory_runs_out(stream: Stream) -> None:
    """A batch that does not fit into memory costs no record its event; the next batches are smaller, and the limit is shown."""

    class SmallMemory(FakeScorer):
        def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
            if sum(tokens.count for tokens in batch) > 50:
                raise MemoryError
            return super().analyse(batch)

    stream.kafka.produce_all(stream.input, messages(400))
    with Running(stream, scorer=SmallMemory(), batch__max_tokens=400) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 400, 30, "not enriched")
        assert 1 <= worker.value("textstream_batch_tokens_limit") <= 200
    assert worker.error is None
    assert stream.audit().clean


def test_what_cannot_be_drained_in_time_is_not_committed(stream: Stream) -> None:
    """A stop with a hanging model ends within the drain timeout, says so, and the next worker scores what was left."""
    stream.kafka.produce_all(stream.input, messages(20))
    with Running(stream, delivery__drain_timeout_s=0.5) as worker:
        worker.scorer.gate.clear()
        wait_until(lambda: worker.value("textstream_records_polled_total", topic=stream.input) > 0, 30, "nothing was read")
        WorkerThread.__exit__(worker)
    assert isinstance(worker.error, Transient)
    assert "delivery.drain_timeout_s" in str(worker.error)
    assert not stream.kafka.is_committed(stream.group, stream.input)
    with Running(stream) as second:
        wait_until(lambda: second.outcomes(stream.input) == 20, 30, "the second worker did not score what was left")
    assert stream.audit().clean


def test_results_of_a_partition_that_has_moved_are_dropped(stream: Stream) -> None:
    """What a slow worker scores after its partition went to another is neither published nor committed."""
    stream.kafka.produce_all(stream.input, messages(20))
    with Running(stream, delivery__drain_timeout_s=0.5) as slow:
        slow.scorer.gate.clear()
        wait_until(lambda: slow.value("textstream_records_polled_total", topic=stream.input) == 20, 30, "not all was read")
        with Running(stream) as second:
            wait_until(lambda: second.outcomes(stream.input) == 10, 60, "the second worker did not score its partition")
            slow.scorer.gate.set()
            wait_until(lambda: slow.outcomes(stream.input) == 10, 30, "the slow worker did not score what it kept")
            wait_until(lambda: slow.value("textstream_stale_records_total") == 10, 10, "stale results were not dropped")
            # Rebalancing is cooperative: the partition it kept was never taken away, nor its messages scored again.
            assert sum(slow.scorer.passes) == 20
    assert slow.error is None
    assert second.error is None
    assert stream.audit().clean


def test_a_limit_that_shrank_after_the_start(stream: Stream) -> None:
    """When the broker refuses an event that was let through at the start, the worker stops; the next one knows the limit."""
    long = Outgoing(orjson.dumps({"text": "long " * 1_000}), partition=0)
    with Running(stream) as worker:
        wait_until(lambda: worker.value("textstream_assigned_partitions") == 2, 30, "no partitions")
        entry = ConfigEntry("max.message.bytes", "3000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, stream.enriched, incremental_configs=[entry])
        for future in stream.kafka.admin.incremental_alter_configs([resource]).values():
            future.result()
        stream.kafka.produce_all(stream.input, [long, *messages(4)])
        wait_until(lambda: worker.error is not None, 30, "the worker went on")
    assert isinstance(worker.error, Misconfigured)
    assert "DescribeConfigs" in str(worker.error)
    with Running(stream) as second:
        wait_until(lambda: second.outcomes(stream.input, "dead", "too_large") == 1, 30, "no dead letter")
        wait_until(lambda: second.outcomes(stream.input) >= 2, 30, "the records beside it were not enriched")
    assert second.error is None
    assert stream.audit().lost == 0
