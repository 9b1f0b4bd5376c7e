"""`textstream check` on a real Kafka: it sees what is there, and nobody notices it."""

import json
import time
from typing import Any

import pytest

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running, messages
from tests.support.kafka import Outgoing, wait_until
from tests.support.stream import Stream
from tests.support.worker import textstream


def checked(stream: Stream, **settings: object) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and lines of `textstream check --json`; settings are given as `section__name`."""
    done = textstream("check", "--json", *stream.flags(**settings), timeout_s=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def finding(lines: list[dict[str, Any]], name: str) -> str:
    """What the lines of this name say."""
    return " ".join(f"{line['finding']} {line['to_do']}" for line in lines if line["name"] == name)


def test_everything_is_looked_at(new_stream: NewStream) -> None:
    """One JSON line for each thing that a worker needs; where all is well, each says so and the exit status is 0."""
    status, lines = checked(new_stream(partitions=2))
    assert status == 0, lines
    names = [line["name"] for line in lines]
    assert list(dict.fromkeys(names)) == [
        *("settings", "model", "deadlines", "http", "broker", "capabilities", "rights", "topics", "retention", "clock"),
    ]
    assert all(line["ok"] and line["exit_status"] == 0 for line in lines)
    assert "KIP-848): yes" in finding(lines, "capabilities")
    assert "golden outputs reproduced" in finding(lines, "model")


def test_what_the_brokers_tell_of_topics(new_stream: NewStream) -> None:
    """Short retention, an output of other partitions and limits, a message of the future: each a line with what to do, none a
    failure."""
    stream = new_stream(partitions=2, enriched=3, retention_ms="3600000", max_message_bytes="2000000")
    stream.kafka.produce_all(stream.input, [Outgoing(b"{}", timestamp=int(time.time() * 1000) + 3_000_000)])
    status, lines = checked(stream)
    assert status == 0, lines
    assert "retention.ms" in finding(lines, "retention")
    assert f"{stream.dead} takes 1048588 bytes" in finding(lines, "retention")
    assert f"give them {len(stream.kafka.partitions(stream.input))} partitions" in finding(lines, "topics")
    assert "50 min ahead" in finding(lines, "clock")


@pytest.mark.parametrize(
    ("guarantee", "protocol"), [("at_least_once", "classic"), ("at_least_once", "consumer"), ("exactly_once", "classic")]
)
def test_a_running_worker_does_not_notice(guarantee: str, protocol: str, new_stream: NewStream) -> None:
    """While a worker serves the same group, under its own static name too: no rebalance, no offset that moves, no message more,
    no transaction taken from it, and all that comes after is served."""
    stream = new_stream(partitions=2)
    stream.kafka.produce_all(stream.input, messages(20))
    same = {"delivery__guarantee": guarantee, "kafka__group_protocol": protocol, "kafka__group_instance_id": "one"}
    with Running(stream, **same) as worker:
        wait_until(lambda: worker.outcomes(stream.input) == 20, 60, lambda: f"not served: {worker.error!r}")
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, "not committed")
        before = (
            stream.kafka.committed_offsets(stream.group, stream.input),
            stream.kafka.end_offsets(stream.input),
            stream.kafka.assigned_partitions(stream.group),
            worker.value("textstream_rebalances_total", event="assigned"),
        )
        status, lines = checked(stream, **same)
        assert status == 0, lines
        if guarantee == "exactly_once":
            assert "not tried, a worker is using it" in finding(lines, "rights")
        assert before == (
            stream.kafka.committed_offsets(stream.group, stream.input),
            stream.kafka.end_offsets(stream.input),
            stream.kafka.assigned_partitions(stream.group),
            worker.value("textstream_rebalances_total", event="assigned"),
        )
        assert worker.value("textstream_rebalances_total", event="revoked") == 0
        stream.kafka.produce_all(stream.input, messages(20))
        wait_until(lambda: worker.outcomes(stream.input) == 40, 60, lambda: f"not served: {worker.error!r}")
        assert worker.value("textstream_aborted_transactions_total") == 0
    assert worker.error is None
