"""Where an outcome goes, and in which order."""

import json

from tests.contract.conftest import NewStream
from tests.support.kafka import Outgoing


def murmur2(key: bytes) -> int:
    """The hash of Kafka's Java producer, written from its definition."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for index in range(0, whole, 4):
        part = int.from_bytes(key[index : index + 4], "little") * multiplier & mask
        part = (part ^ part >> 24) * multiplier & mask
        value = value * multiplier & mask ^ part
    if key[whole:]:
        value = (value ^ int.from_bytes(key[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15


def java_partition(key: bytes, partitions: int) -> int:
    """Where Kafka's Java producer puts a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


KEYS = [b"21", b"foobar", b"a-little-bit-long-string", b"", bytes(range(256)), "键".encode()]


def test_the_partition_is_the_inputs_or_the_keys(new_stream: NewStream) -> None:
    """Where the counts match the input's partition number is kept, else Kafka's usual hash of the key decides; a record
    without a key goes anywhere, and none is lost."""
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF  # from Kafka's own unit test
    stream = new_stream(partitions=3, enriched=5, dead=3)
    values = [b'{"text": "good"}', b"not JSON"]
    sent = [Outgoing(value, key, partition) for key in [*KEYS, None] for partition in range(3) for value in values]
    positions = stream.kafka.produce_all(stream.input, sent)
    outcomes = stream.run()

    for record, position in zip(sent, positions, strict=True):
        if record.value != values[0]:
            assert outcomes.dead[position].partition == record.partition
        elif record.key is not None:
            assert outcomes.enriched[position].partition == java_partition(record.key, 5), record.key
    assert stream.audit().clean


def test_order_holds_between_outcomes_of_each_kind(new_stream: NewStream) -> None:
    """Long and short texts, tombstones and dead letters mixed: each output partition keeps the input partition's order,
    although batches are made up by length."""
    stream = new_stream(partitions=2)
    kinds = [b'{"text": "ok"}', json.dumps({"text": "the staff were friendly " * 200}).encode(), None, b"{"]
    stream.kafka.produce_all(
        stream.input, [Outgoing(kinds[index % 3 if index % 7 else 3], b"k", index % 2) for index in range(2_000)]
    )
    outcomes = stream.run()
    found = stream.audit()
    assert found.clean, found.examples
    assert min(found.enriched, found.tombstones, found.dead) > 100
    for records in (outcomes.enriched, outcomes.dead):
        assert all(record.partition == partition for (partition, _), record in records.items())


def test_two_input_topics(new_stream: NewStream) -> None:
    """One worker serves several topics, each with its own output topics; ids do not clash."""
    one, two = new_stream(), new_stream(partitions=2)
    for stream in (one, two):
        stream.kafka.produce_all(stream.input, [Outgoing(b'{"text": "good %d"}' % n, b"k", 0) for n in range(10)])
    with one.worker(input__topics=f"{one.input},{two.input}") as worker:
        one.finish(worker)
        two.group = one.group
        two.finish(worker)
        assert worker.stop() == 0
    for stream in (one, two):
        found = stream.audit()
        assert (found.enriched, found.clean) == (10, True), found.examples
