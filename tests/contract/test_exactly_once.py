"""`delivery.guarantee = exactly_once` on a real Kafka: outcomes and offsets stand together, or neither does."""

import signal
from collections.abc import Mapping

import pytest
from confluent_kafka import Producer

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import wait_until
from tests.support.stream import Stream
from textstream.core.offsets import TopicPartition
from textstream.core.ports import Aborted, Membership, Pipeline
from textstream.core.process import Prepared
from textstream.core.record import Outcome
from textstream.delivery import MAX_TRANSACTION_MESSAGES
from textstream.errors import Fatal
from textstream.kafka.sink import TransactionalSink
from textstream.world import RealWorld

PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])
EXACTLY: dict[str, object] = {"delivery__guarantee": "exactly_once"}


class Faltering(TransactionalSink):
    """Cannot commit the first two transactions that hold outcomes; those are with the broker by then."""

    aborts = 2
    holds_outcomes = False  # the first transaction may tell only where reading begins, where fetching is slow

    def begin(self) -> None:
        """A new one is empty."""
        super().begin()
        self.holds_outcomes = False

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """Into the open transaction."""
        sent = super().send(item, outcome)
        self.holds_outcomes |= sent
        return sent

    def commit(self, offsets: Mapping[TopicPartition, int], membership: Membership, within_s: float) -> None:
        """Refuse, or commit."""
        if self.aborts and self.holds_outcomes:
            self.aborts -= 1
            raise Aborted("as the test wants it")
        super().commit(offsets, membership, within_s)


class FalteringWorld(RealWorld):
    """The real one, whose first two transactions with outcomes are aborted."""

    def transactional_sink(self, pipeline: Pipeline) -> Faltering:
        """One that falters."""
        return Faltering(self._settings.kafka, pipeline, self._settings.delivery.transaction_timeout_s)


def enriched(stream: Stream, isolation: str) -> int:
    """How many events such a reader sees."""
    return len(stream.kafka.read_all(stream.enriched, isolation))


def wait_for_commits(stream: Stream) -> None:
    """Until the group holds the end of every partition."""
    wait_until(
        lambda: stream.kafka.is_committed(stream.group, stream.input),
        60,
        lambda: f"{stream.kafka.committed_offsets(stream.group, stream.input)} of {stream.kafka.end_offsets(stream.input)}",
    )


@PROTOCOLS
def test_each_outcome_stands_once_while_members_come_and_go(new_stream: NewStream, protocol: str) -> None:
    """A worker joins and another leaves while outcomes are in a transaction: committed readers see each input once."""
    stream = new_stream(partitions=4)
    flags = EXACTLY | {"kafka__group_protocol": protocol}
    with Running(stream, **flags) as first:
        stream.kafka.produce_all(stream.input, messages(2_000, 4))
        with Running(stream, **flags) as second:
            wait_until(second.reads, 60, "the second worker got no partitions")
            stream.kafka.produce_all(stream.input, messages(2_000, 4))
        stream.kafka.produce_all(stream.input, messages(2_000, 4))
        wait_for_commits(stream)
    assert first.error is None
    assert second.error is None
    found = stream.audit()
    assert found.clean, found.examples
    assert found.inputs == 6_000


def test_readers_see_outcomes_only_with_their_offsets(new_stream: NewStream) -> None:
    """Before the commit, outcomes that the broker has are invisible to readers of what is committed."""
    stream = new_stream()
    stream.kafka.produce_all(stream.input, messages(10, 1))
    with Running(stream, **EXACTLY, delivery__commit_interval_ms=600_000):
        wait_until(lambda: enriched(stream, "read_uncommitted") == 10, 30, "nothing was produced")
        assert enriched(stream, "read_committed") == 0
        assert stream.kafka.committed_offsets(stream.group, stream.input).get(0, 0) == 0
    assert enriched(stream, "read_committed") == 10
    assert stream.audit().clean


def test_a_transaction_is_ended_when_it_is_large(new_stream: NewStream) -> None:
    """Long before its interval is over: what an abort would repeat is bounded."""
    stream = new_stream()
    stream.kafka.produce_all(stream.input, messages(MAX_TRANSACTION_MESSAGES + 1, 1))
    with Running(stream, **EXACTLY, delivery__commit_interval_ms=600_000) as worker:
        wait_until(lambda: worker.outcomes(stream.input) >= MAX_TRANSACTION_MESSAGES, 120, "nothing was committed")
    assert worker.error is None


@PROTOCOLS
def test_after_an_abort_everything_is_read_again(new_stream: NewStream, protocol: str) -> None:
    """Two transactions are aborted with their outcomes at the broker: taken back, and all scored again."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(1_000))
    with Running(stream, world=FalteringWorld, **EXACTLY, kafka__group_protocol=protocol, batch__max_messages=100) as worker:
        wait_for_commits(stream)
        assert worker.value("textstream_aborted_transactions_total") == 2
        wait_until(lambda: worker.outcomes(stream.input) == 1_000, 10, "not each was counted once")
    assert worker.error is None
    assert enriched(stream, "read_uncommitted") > 1_000
    found = stream.audit()
    assert found.clean, found.examples


def test_who_was_replaced_ends(new_stream: NewStream) -> None:
    """A second producer under the transactional id of a static member shuts the first out: exit status 70, nothing doubled."""
    stream = new_stream()
    stream.kafka.produce_all(stream.input, messages(10, 1))
    with Running(stream, **EXACTLY, kafka__group_instance_id="one", delivery__commit_interval_ms=1_000) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 10, 30, "nothing was enriched")
        usurper = Producer({"bootstrap.servers": stream.kafka.bootstrap_servers, "transactional.id": f"{stream.group}-one"})
        usurper.init_transactions(30)
        stream.kafka.produce_all(stream.input, messages(10, 1))
        wait_until(lambda: worker.error is not None, 30, "the worker went on")
    assert isinstance(worker.error, Fatal)
    assert worker.error.exit_status == 70
    assert enriched(stream, "read_committed") == 10


def test_a_static_member_that_was_killed_takes_its_place_again(new_stream: NewStream) -> None:
    """Killed with a transaction open, started again under the same id: the open transaction is ended at once, not after its
    timeout, and each input stands once."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(200))
    settings = EXACTLY | {
        "kafka__group_instance_id": "one",
        "delivery__transaction_timeout_s": 900,
        "delivery__commit_interval_ms": 600_000,
    }
    with stream.worker(**settings) as worker:
        wait_until(lambda: enriched(stream, "read_uncommitted") == 200, 60, lambda: worker.log)
        worker.send(signal.SIGKILL)
        worker.wait()
    assert enriched(stream, "read_committed") == 0
    stream.run(**settings | {"delivery__commit_interval_ms": 200})
    found = stream.audit()
    assert found.clean, found.examples
