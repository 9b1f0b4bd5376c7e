"""The writer of transactions, beside a broker that is too slow for it."""

import time

import pytest

from textstream.core.codec import Route
from textstream.core.ports import Aborted, Pipeline, Topics
from textstream.core.process import Prepared
from textstream.core.record import Outcome, Position, Record
from textstream.kafka.sink import TransactionalSink
from textstream.settings import Kafka

SLOW = {"test.mock.num.brokers": "1", "test.mock.broker.rtt": "200", "log_level": "0"}
"""librdkafka's own broker. Within a transaction a partition's first record takes two requests to it, 400 ms."""
IMPATIENT = {"delivery.timeout.ms": "300"}


def test_an_outcome_for_a_transaction_that_has_failed_tells_so() -> None:
    """Its failure is known to the client before any report of it is taken: then the transaction is to be aborted, and no
    process ends for it."""
    topics = Topics("in", "out", "dead", "replay")
    pipeline = Pipeline((topics,), dict.fromkeys(topics.all, 4), routes={"in": Route()}, replays={})
    record = Record(Position("in", 0, 0, 1), b"text")
    item, outcome = Prepared(record), Outcome(record, "enriched", b"{}", [], 1_764_000_000_000)
    kafka = Kafka(client=SLOW).model_copy(update={"producer": IMPATIENT})
    sink = TransactionalSink(kafka, pipeline, timeout_s=10)
    sink.begin()
    assert sink.send(item, outcome)
    time.sleep(2.5)  # librdkafka looks once a second for what has waited too long
    with pytest.raises(Aborted, match="timed out"):
        sink.send(item, outcome)
    sink.abort(10)
    assert sink.reports(1)
    sink.begin()
    assert sink.send(item, outcome)
    sink.close()
