"""`textstream run --from … --until …`: history scored again, in a group of its own, to an end."""

import subprocess

import pytest
from confluent_kafka import Producer

from tests.contract.conftest import NewStream
from tests.support.kafka import Outgoing, unique
from tests.support.stream import Stream
from tests.support.worker import as_flags, textstream

DAY = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def backfill(stream: Stream, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run one to its end."""
    flags = {
        "kafka.bootstrap_servers": stream.kafka.bootstrap_servers,
        "kafka.group_id": stream.group,
        "input.topics": stream.input,
        "observe.http_port": 0,
    } | {name.replace("__", "."): value for name, value in settings.items()}
    return textstream("run", *arguments, *as_flags(flags), timeout_s=90)


def a_day(stream: Stream, seconds: int = 30) -> None:
    """One record a second into each of two partitions."""
    text = b'{"text": "The room was lovely"}'
    stream.kafka.produce_all(
        stream.input,
        [Outgoing(text, partition=part, timestamp=DAY + 1000 * at) for at in range(seconds) for part in (0, 1)],
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


def test_there_may_be_nothing_to_score(new_stream: NewStream) -> None:
    """Where no record lies between the times, it ends at once."""
    stream = new_stream(partitions=2)
    a_day(stream, 5)
    done = backfill(stream, "--from", "2030-01-01T00:00:00")
    assert done.returncode == 0, done.stderr[-2000:]
    assert stream.outcomes().enriched == {}
