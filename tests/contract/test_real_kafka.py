"""The ground itself: the broker under the tests is a real one, and the tests' own clients read it rightly."""

import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.support.kafka import GivenKafka, Outgoing, RealKafka, unique, wait_until


def test_transactions_are_real(kafka: RealKafka) -> None:
    """An aborted record is hidden from a committed reader and its marker takes an offset; a mock cluster does neither."""
    topic = kafka.create_topic(unique("transactions"))
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": unique("tx")})
    producer.init_transactions(30)
    for value, finish in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(30)
        finish(30)

    assert [record.value for record in kafka.read_all(topic)] == [b"committed"]
    assert [record.value for record in kafka.read_all(topic, "read_uncommitted")] == [b"aborted", b"committed"]
    assert kafka.end_offsets(topic) == {0: 4}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_group_protocols_are_real(kafka: RealKafka, protocol: str) -> None:
    """A group member of either protocol reads a record and its commit stands in the broker; headers and keys come whole."""
    topic, group = kafka.create_topic(unique("groups"), partitions=2), unique("group")
    headers = [("a", b"1"), ("a", None), ("b", b"\xff")]
    positions = kafka.produce_all(topic, [Outgoing(b"v", key=b"\x00\xff", partition=1, headers=headers, timestamp=1234)])
    assert positions == [(1, 0)]
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    deadline = time.monotonic() + 30
    while (message := consumer.poll(1)) is None:
        assert time.monotonic() < deadline
    assert message.error() is None
    assert message.value() == b"v"
    consumer.commit(offsets=[TopicPartition(topic, 1, 1)], asynchronous=False)
    consumer.close()

    assert kafka.committed_offsets(group, topic) == {1: 1}
    (record,) = kafka.read_all(topic)
    assert (record.key, record.headers, record.timestamp) == (b"\x00\xff", headers, 1234)


def test_a_broker_comes_back_as_it_was(kafka: RealKafka) -> None:
    """A restart keeps address, records and committed offsets, so that a test can take a broker away."""
    if isinstance(kafka, GivenKafka):
        pytest.skip("a given cluster is not ours to restart")
    topic = kafka.create_topic(unique("restart"))
    kafka.produce_all(topic, [Outgoing(b"before")])
    kafka.restart()
    kafka.produce_all(topic, [Outgoing(b"after")])
    assert [record.value for record in kafka.read_all(topic)] == [b"before", b"after"]


def test_old_records_stay_and_deleted_ones_show(kafka: RealKafka) -> None:
    """Retention leaves a test's topic alone, however old its records; of one that it empties, nothing counts as committed."""
    if isinstance(kafka, GivenKafka):
        pytest.skip("a given cluster looks at its retention when it likes")
    kept = kafka.create_topic(unique("kept"))
    emptied = kafka.create_topic(unique("emptied"), retention_ms="604800000")  # Kafka's own default: a week
    for topic in (kept, emptied):
        kafka.produce_all(topic, [Outgoing(b"of long ago", timestamp=1234)])
    wait_until(lambda: kafka.read_all(emptied) == [], 60, "retention deleted nothing")
    assert kafka.end_offsets(emptied) == {0: 1}
    assert len(kafka.read_all(kept)) == 1
    with pytest.raises(AssertionError, match="has deleted the records"):
        kafka.is_committed(unique("group"), emptied)
    with pytest.raises(AssertionError, match="never had a record"):
        kafka.is_committed(unique("group"), kafka.create_topic(unique("empty")))


def test_an_unknown_topic_is_refused(kafka: RealKafka) -> None:
    """The broker makes no topics by itself, so a misspelt one shows."""
    with pytest.raises((KafkaException, KeyError, AssertionError)):
        kafka.partitions(unique("nowhere"))
