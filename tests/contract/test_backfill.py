"""`textstream run --from … --until …`: history scored again, in a group of its own, to an end."""

import subprocess

import pytest
from confluent_kafka import Producer

from tests.contract.conftest import NewStream
from tests.contract.test_skips import made_anew
from tests.support.kafka import Outgoing, unique, wait_until
from tests.support.stream import Stream
from tests.support.worker import textstream

DAY = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def backfill(stream: Stream, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run one to its end."""
    return textstream("run", *arguments, *stream.flags(**settings), timeout_s=90)


def a_day(stream: Stream, seconds: int = 30) -> None:
    """One record a second into each partition."""
    text = b'{"text": "The room was lovely"}'
    parts = stream.kafka.end_offsets(stream.input)
    stream.kafka.produce_all(
        stream.input,
        [Outgoing(text, partition=part, timestamp=DAY + 1000 * at) for at in range(seconds) for part in parts],
    )


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_what_lies_between_two_times_is_scored(new_stream: NewStream, guarantee: str) -> None:
    """It ends by itself with exit status 0, has scored exactly the records from the one time to before the other, leaves the
    offsets of the workers alone, and has nothing left to do when it is run again."""
    stream = new_stream(partitions=2)
    a_day(stream)
    times = ("--from", "2023-11-14T22:13:30", "--until", "2023-11-14T23:13:40+01:00")
    done = backfill(stream, *times, delivery__guarantee=guarantee)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = {(part, offset) for part in (0, 1) for offset in range(10, 20)}
    assert set(stream.outcomes().enriched) == expected
    assert stream.kafka.committed_offsets(stream.group, stream.input) == {}
    again = backfill(stream, *times, delivery__guarantee=guarantee)
    assert again.returncode == 0, again.stderr[-2000:]
    assert set(stream.outcomes().enriched) == expected


def test_all_that_is_there_is_scored(new_stream: NewStream) -> None:
    """From the earliest record to the end as it is at the start, also where a transaction's marker is the last thing there."""
    stream = new_stream(partitions=2)
    a_day(stream, 5)
    producer = Producer({"bootstrap.servers": stream.kafka.bootstrap_servers, "transactional.id": unique("tx")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(stream.input, b'{"text": "the last"}', partition=0)
    producer.commit_transaction(30)
    done = backfill(stream, "--from", "earliest", "--until", "end")
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(stream.outcomes().enriched) == {*((part, offset) for part in (0, 1) for offset in range(5)), (0, 5)}


def left_open(stream: Stream) -> Producer:
    """A transaction with one record, behind which no backfill can end; how to commit it."""
    producer = Producer({"bootstrap.servers": stream.kafka.bootstrap_servers, "transactional.id": unique("tx")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(stream.input, b'{"text": "the last"}', partition=0)
    producer.flush(30)
    return producer


def test_one_that_is_stopped_says_that_it_was(new_stream: NewStream) -> None:
    """SIGTERM before its end leads to exit status 75, so that a scheduler runs it again; the same command goes on where it was,
    and ends with 0."""
    stream = new_stream(partitions=2)
    a_day(stream, 5)
    producer = left_open(stream)
    with stream.worker("--from", "earliest", "--until", "end") as worker:
        wait_until(lambda: len(stream.outcomes().enriched) == 10, 60, lambda: worker.log[-4000:])
        assert worker.stop() == 75, worker.log[-4000:]
    assert "the same command goes on where it was" in worker.log.splitlines()[-1]
    producer.commit_transaction(30)
    done = backfill(stream, "--from", "earliest", "--until", "end")
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = stream.kafka.read_all(stream.enriched)
    assert sorted(one.header("textstream.id") or b"" for one in outcomes) == sorted(
        f"{stream.input}-{part}-{offset}".encode() for part, offset in [(0, 5), *((p, at) for p in (0, 1) for at in range(5))]
    )


def test_a_topic_made_anew_ends_where_it_does_now(new_stream: NewStream) -> None:
    """With `input.on_skip = continue` a backfill whose topic is replaced by a shorter one scores that, and ends with 0."""
    stream = new_stream()
    a_day(stream, 5)
    left_open(stream)
    with stream.worker("--from", "earliest", "--until", "end", input__refresh_s=1, input__on_skip="continue") as worker:
        wait_until(lambda: len(stream.kafka.read_all(stream.enriched)) == 5, 60, lambda: worker.log[-4000:])
        made_anew(stream, worker, 3)
        assert worker.wait() == 0, worker.log[-4000:]
    assert len(stream.kafka.read_all(stream.enriched)) == 5 + 3


def test_there_may_be_nothing_to_score(new_stream: NewStream) -> None:
    """Where no record lies between the times, it ends at once."""
    stream = new_stream(partitions=2)
    a_day(stream, 5)
    done = backfill(stream, "--from", "2030-01-01T00:00:00")
    assert done.returncode == 0, done.stderr[-2000:]
    assert stream.outcomes().enriched == {}
