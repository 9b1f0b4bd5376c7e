"""Before a partition is let go, the group holds what was done: then only a crash repeats messages."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import pytest
from confluent_kafka import Consumer

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.fakes import FakeAssignment
from tests.support.kafka import wait_until
from tests.support.stream import Stream
from textstream.core.offsets import TopicPartition
from textstream.errors import Transient
from textstream.kafka.source import Source
from textstream.settings import Kafka

QUICK = {"heartbeat.interval.ms": "200"}
"""How often a member asks whether the group rebalances."""
OFTEN: dict[str, object] = {"delivery__commit_interval_ms": 50, "kafka__consumer": QUICK}
HARDLY: dict[str, object] = {"delivery__commit_interval_ms": 600_000, "kafka__consumer": QUICK}


class Idler:
    """A member of the group that leaves its partitions unread. While `answering` is clear, a rebalance waits for it."""

    def __init__(self, stream: Stream) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": stream.kafka.bootstrap_servers,
                "group.id": stream.group,
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "session.timeout.ms": 6_000,  # who leaves amid a rebalance is not heard, and waited for as long as this
            }
            | QUICK
        )
        self._consumer.subscribe([stream.input])
        self.answering, self._leaving = threading.Event(), threading.Event()
        self.answering.set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def partitions(self) -> int:
        """How many it has accepted."""
        return len(self._consumer.assignment())

    def _run(self) -> None:
        while not self._leaving.wait(0.01):
            if self.answering.is_set():
                self._consumer.consume(100, 0)
        self._consumer.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join(30)


def shares(stream: Stream, *expected: int) -> None:
    """Wait until the members hold so many partitions each."""
    wait_until(
        lambda: sorted(stream.kafka.assigned_partitions(stream.group).values()) == sorted(expected),
        30,
        lambda: f"the group's members never held {expected}: {stream.kafka.assigned_partitions(stream.group)}",
    )


def committed(stream: Stream) -> list[int]:
    """The offsets that the group holds, beside those of partitions where it is at the beginning."""
    return [offset for offset in stream.kafka.committed_offsets(stream.group, stream.input).values() if offset > 0]


def test_a_partition_that_moves_is_committed_first(new_stream: NewStream) -> None:
    """A worker that commits hardly ever commits what leaves it, at once: the next member begins behind it."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(40))
    with Running(stream, **HARDLY) as first:
        wait_until(lambda: first.outcomes(stream.input) == 40, 30, "not enriched")
        assert committed(stream) == []
        with Running(stream, **HARDLY) as second:
            # Well below the 25 s of delivery.drain_timeout_s.
            wait_until(lambda: second.value("textstream_assigned_partitions") == 1, 10, "the partition did not move in time")
            assert committed(stream) == [20]
            stream.kafka.produce_all(stream.input, messages(20))
            wait_until(lambda: second.outcomes(stream.input) == 10, 30, "the second worker did not read on")
    assert first.error is None
    assert second.error is None
    found = stream.audit()
    assert found.clean, found.examples


@contextmanager
def held_up(stream: Stream, worker: Running) -> Iterator[Idler]:
    """Have the group rebalance and wait for one member, while the worker has asked for commits that cannot be answered.

    The worker holds 3 of 8 partitions and has enriched 10 messages of each. It has asked to join anew, and whatever it asks
    its coordinator after that waits behind it; the next generation refuses commits of this one.

    The worker comes first and holds all: so what the member gets is new to it, and once it has accepted that, it is done with
    the rebalance. Had it come first, it would keep 4 amid the rebalance already; absent from there on, it would never take part
    in the next one, since a member that owes its group an answer does not join anew.
    """
    wait_until(lambda: worker.value("textstream_assigned_partitions") == 8, 30, "the worker did not get all partitions")
    # So that whatever the worker asks for later is for the messages.
    wait_until(
        lambda: len(stream.kafka.committed_offsets(stream.group, stream.input)) == 8, 30, "the beginnings were not committed"
    )
    with Idler(stream) as absent:
        shares(stream, 4, 4)
        wait_until(lambda: absent.partitions == 4, 10, "the member did not accept its partitions")
        absent.answering.clear()
        with Idler(stream):
            # The worker gives one up and asks to join anew; the absent member would have to give one up too.
            wait_until(lambda: worker.value("textstream_assigned_partitions") == 3, 30, "no rebalance")
            asked = worker.value("textstream_commits_total", result="requested")
            stream.kafka.produce_all(stream.input, messages(80, partitions=8))
            wait_until(lambda: worker.outcomes(stream.input) == 30, 30, "not enriched")
            wait_until(lambda: worker.value("textstream_commits_total", result="requested") >= asked + 3, 10, "no commits")
            assert committed(stream) == []
            yield absent
            absent.answering.set()


def test_a_commit_that_is_refused_on_its_way_is_repeated(new_stream: NewStream) -> None:
    """Commits are on their way when the group moves on, which takes one of their partitions: none is lost."""
    stream = new_stream(partitions=8)
    with Running(stream, **OFTEN) as worker:
        with held_up(stream, worker) as absent, Idler(stream):
            wait_until(lambda: len(stream.kafka.assigned_partitions(stream.group)) == 4, 30, "not four members")
            absent.answering.set()
            shares(stream, 2, 2, 2, 2)
            assert worker.value("textstream_commits_total", result="failed") >= 3
            wait_until(lambda: committed(stream) == [10, 10, 10], 10, lambda: f"committed: {committed(stream)}")
        wait_until(lambda: worker.outcomes(stream.input) >= 80, 30, "what the idle members left was not enriched")
    assert worker.error is None
    found = stream.audit()
    assert found.clean, found.examples


def test_a_stop_waits_until_its_commits_are_confirmed(new_stream: NewStream) -> None:
    """A worker stopped while its commits are on their way, to be refused, asks again and ends well: nothing is repeated."""
    stream = new_stream(partitions=8)
    with Running(stream, **OFTEN) as worker, held_up(stream, worker) as absent:
        worker.stop()
        time.sleep(0.5)
        assert worker.value("textstream_ready") == 1, "drained although nothing was committed"
        absent.answering.set()
        wait_until(lambda: worker.value("textstream_ready") == 0, 20, "the commits were never confirmed")
        assert committed(stream) == [10, 10, 10]
    assert worker.error is None
    with Running(stream) as second:
        wait_until(lambda: second.outcomes(stream.input) == 50, 30, "the next worker did not read on")
    found = stream.audit()
    assert found.clean, found.examples


def test_a_commit_without_an_answer_does_not_count(new_stream: NewStream) -> None:
    """A worker whose commits were not answered until the drain limit does not say that it drained."""
    stream = new_stream(partitions=8)
    with Running(stream, delivery__drain_timeout_s=1, **OFTEN) as worker, held_up(stream, worker):
        worker.stop()
        wait_until(lambda: worker.value("textstream_ready") == 0, 10, "the drain did not end at its limit")
    assert isinstance(worker.error, Transient)
    assert "the last offsets were not committed within 1 s (delivery.drain_timeout_s)" in str(worker.error)


class Asking(FakeAssignment):
    """What is assigned to it, it asks the group's offsets of, as a worker does."""

    source: Source

    def assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Told or not."""
        known = self.source.committed(partitions, 1.0)
        self.heard.append("told" if sorted(known) == sorted(partitions) else "not told")
        return dict.fromkeys(partitions, 0)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_that_leaves_amid_a_rebalance_is_still_answered(new_stream: NewStream, protocol: str) -> None:
    """What is assigned to a member that is about to leave is taken up and let go as ever: it waits for nothing in vain."""
    stream = new_stream(partitions=2)
    worker = Asking()
    kafka = {"bootstrap_servers": stream.kafka.bootstrap_servers, "group_id": stream.group, "group_protocol": protocol}
    worker.source = Source(Kafka.model_validate(kafka), [stream.input], worker)
    shares(stream, 2)
    time.sleep(1)  # the broker has decided it: the client hears of it, and keeps it for the next look
    worker.source.close()
    assert worker.heard == ["told", "revoked"]
