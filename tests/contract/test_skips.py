"""No silent skips: where records are gone before they were read, the worker stops, or goes on and counts them."""

import signal
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewPartitions

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import wait_until
from tests.support.stream import Stream
from tests.support.worker import Worker
from textstream.core.ports import Pipeline
from textstream.errors import Misconfigured, Transient
from textstream.world import RealWorld

CONTINUE: dict[str, object] = {"input__on_skip": "continue"}


def served(stream: Stream, count: int) -> None:
    """Serve `count` records with one worker, and stop it."""
    stream.kafka.produce_all(stream.input, messages(count, 1))
    with Running(stream) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 30, "not committed")
    assert worker.error is None


def overtaken(stream: Stream) -> None:
    """Ten records are served, thirty more come, and of those retention takes twenty."""
    served(stream, 10)
    stream.kafka.produce_all(stream.input, messages(30, 1))
    where = TopicPartition(stream.input, 0, 30)
    stream.kafka.admin.delete_records([where])[where].result(timeout=30)


def truncated(stream: Stream) -> None:
    """The group stands at 10 of a topic that ends at 4, as after a restore from a backup, or an unclean leader election."""
    stream.kafka.produce_all(stream.input, messages(4, 1))
    consumer = Consumer({"bootstrap.servers": stream.kafka.bootstrap_servers, "group.id": stream.group})
    consumer.commit(offsets=[TopicPartition(stream.input, 0, 10)], asynchronous=False)
    consumer.close()


@pytest.mark.parametrize(("happens", "said"), [(overtaken, "20 records are gone"), (truncated, "truncated")])
def test_a_worker_stops_where_records_are_gone(new_stream: NewStream, happens, said: str) -> None:
    """Retention that overtook the worker, and a topic shorter than what was read of it, end it with exit status 78 and what to
    do; nothing is committed past it."""
    stream = new_stream()
    happens(stream)
    with Running(stream) as worker:
        wait_until(lambda: worker.error is not None, 30, "the worker went on")
    assert isinstance(worker.error, Misconfigured)
    assert said in str(worker.error)
    assert "input.on_skip = continue" in str(worker.error)
    assert stream.kafka.committed_offsets(stream.group, stream.input)[0] == 10


def test_retention_that_overtakes_is_counted(new_stream: NewStream) -> None:
    """With `input.on_skip = continue` the worker goes on with the first record there is, and counts the others."""
    stream = new_stream()
    overtaken(stream)
    with Running(stream, **CONTINUE) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 10, 30, "what is left was not enriched")
        assert worker.value("textstream_skipped_records_total", topic=stream.input) == 20
    assert worker.error is None
    assert sorted(offset for _, offset in stream.outcomes().enriched) == [*range(10), *range(30, 40)]


def test_a_truncated_topic_is_read_from_its_start(new_stream: NewStream) -> None:
    """With `input.on_skip = continue` all records of a topic that is shorter than what was read of it are enriched."""
    stream = new_stream()
    truncated(stream)
    with Running(stream, **CONTINUE) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 4, 30, "the topic was not read")
    assert worker.error is None
    assert stream.kafka.committed_offsets(stream.group, stream.input)[0] == 4


def made_anew(stream: Stream, worker: Worker, count: int) -> None:
    """The worker sees nothing of it: when it looks again the topic has as many records as it had, and more."""
    worker.send(signal.SIGSTOP)
    stream.kafka.admin.delete_topics([stream.input])[stream.input].result(timeout=30)
    wait_until(lambda: stream.input not in stream.kafka.admin.list_topics(timeout=30).topics, 30, "not deleted")
    stream.kafka.create_topic(stream.input)
    stream.kafka.produce_all(stream.input, messages(count, 1))
    worker.send(signal.SIGCONT)


@pytest.mark.parametrize(("count", "refresh_s"), [(30, 1), (3, 3600)])
def test_a_topic_made_anew_stops_the_worker(new_stream: NewStream, count: int, refresh_s: int) -> None:
    """Also where the new one goes on beyond the offset that was to be read, and, where it ends before that, at once and not at
    the next look: exit status 78, and what to do."""
    stream = new_stream()
    stream.kafka.produce_all(stream.input, messages(10, 1))
    with stream.worker(input__refresh_s=refresh_s) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 30, lambda: worker.log)
        made_anew(stream, worker, count)
        assert worker.wait() == 78
        assert "made anew" in worker.log.splitlines()[-1]
        assert "input.on_skip = continue" in worker.log.splitlines()[-1]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a_topic_made_anew_is_read_from_its_start(new_stream: NewStream, guarantee: str) -> None:
    """With `input.on_skip = continue` all its records are enriched."""
    stream = new_stream()
    stream.kafka.produce_all(stream.input, messages(10, 1))
    with stream.worker(input__refresh_s=1, input__on_skip="continue", delivery__guarantee=guarantee) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 30, lambda: worker.log)
        before = len(stream.kafka.read_all(stream.enriched))
        made_anew(stream, worker, 30)

        def read() -> set[bytes | None]:
            return {one.header("textstream.id") for one in stream.kafka.read_all(stream.enriched)[before:]}

        wait_until(lambda: len(read()) == 30, 60, lambda: f"{len(read())} of 30 were read:\n{worker.log}")
        assert worker.stop() == 0, worker.log


@pytest.mark.parametrize("unanswered", [0, 2])
def test_a_topic_made_anew_is_begun_once(new_stream: NewStream, unanswered: int) -> None:
    """Where it is shorter, brokers tell of it before a look at the topics does, which they may not answer: all the same it is
    begun once, and no outcome is doubled."""
    looks = 0

    class Another(RealWorld):
        """The real one, with another topic of the name when the worker starts."""

        def inspect(self, within_s: float) -> Pipeline:
            nonlocal looks
            looks += 1
            if 1 < looks <= 1 + unanswered:
                raise Transient("the brokers do not answer")
            found = super().inspect(within_s)
            return found if looks > 1 else replace(found, identities={stream.input: "the one before"})

    stream = new_stream()
    truncated(stream)
    with Running(stream, world=Another, input__refresh_s=1, **CONTINUE) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 4, 30, "the topic was not read")
        seen = looks
        wait_until(lambda: looks >= seen + 2, 30, "the worker looked no more")
        stream.kafka.produce_all(stream.input, messages(1, 1))
        wait_until(lambda: worker.outcomes(stream.input) >= 5, 30, "the worker read no more")
        assert worker.outcomes(stream.input) == 5
    assert worker.error is None


def test_the_first_assignment_commits_where_it_begins(new_stream: NewStream) -> None:
    """Of topics that nothing comes into, the group holds an offset all the same, so that lag is defined."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(6))
    with Running(stream, input__start="latest") as worker:
        wait_until(
            lambda: stream.kafka.committed_offsets(stream.group, stream.input) == {0: 3, 1: 3}, 30, "no offset was committed"
        )
    assert worker.error is None
    assert stream.outcomes().enriched == {}


def test_a_partition_that_comes_later_is_read_from_its_start(new_stream: NewStream) -> None:
    """Even where reading begins at the latest record: what comes into a new partition before it is known of is read."""
    stream = new_stream()
    often = {"topic.metadata.refresh.interval.ms": "500"}
    with Running(stream, input__start="latest", kafka__client=often) as worker:
        wait_until(worker.reads, 30, "the worker got no partition")
        grown = stream.kafka.admin.create_partitions([NewPartitions(stream.input, 2)])[stream.input]
        grown.result(timeout=30)
        wait_until(lambda: len(stream.kafka.partitions(stream.input)) == 2, 30, "the partition did not come")
        stream.kafka.produce_all(stream.input, [one for one in messages(10) if one.partition == 1])
        wait_until(lambda: worker.outcomes(stream.input) == 5, 60, "the new partition was not read from its start")
    assert worker.error is None
