"""Inputs whose offsets have holes: compacted topics and transactions."""

from confluent_kafka import Producer

from tests.contract.conftest import NewStream
from tests.support.kafka import Outgoing, unique, wait_until


def test_compacted_input(new_stream: NewStream) -> None:
    """Records that compaction removed leave holes in the offsets: the rest is enriched once, and commits reach the end."""
    stream = new_stream(
        cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.001", max_compaction_lag_ms="100"
    )
    kafka = stream.kafka
    for turn in range(5):
        keys = [b"%d" % key for key in range(40) for _ in range(5)]
        kafka.produce_all(stream.input, [Outgoing(b'{"text": "turn %d"}' % turn, key) for key in keys])

    def compacted() -> bool:
        kafka.produce_all(stream.input, [Outgoing(b'{"text": "rolls the segment"}', b"roll")])
        return len(kafka.read_all(stream.input)) < sum(kafka.end_offsets(stream.input).values()) // 2

    wait_until(compacted, 60, "the broker did not compact the topic")
    stream.run()
    found = stream.audit()
    assert found.clean, found.examples
    assert 0 < found.inputs < sum(kafka.end_offsets(stream.input).values())


def test_transactional_input(new_stream: NewStream) -> None:
    """Aborted records are not enriched, committed ones are, and commits reach the end, past the last marker."""
    stream = new_stream(partitions=2)
    producer = Producer({"bootstrap.servers": stream.kafka.bootstrap_servers, "transactional.id": unique("tx")})
    producer.init_transactions(30)
    for turn in range(6):
        producer.begin_transaction()
        for number in range(10):
            producer.produce(stream.input, b'{"text": "turn %d"}' % turn, b"%d" % number, number % 2)
        producer.flush(30)
        (producer.abort_transaction if turn % 2 else producer.commit_transaction)(30)
    outcomes = stream.run()

    texts = {outcomes.event(offset, partition)["text"] for partition, offset in outcomes.enriched}
    assert texts == {"turn 0", "turn 2", "turn 4"}
    found = stream.audit()
    assert found.clean, found.examples
    assert found.inputs == 30
