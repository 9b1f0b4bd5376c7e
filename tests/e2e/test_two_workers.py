"""The main job, end to end: 20,000 real messages, four partitions, two workers, one independent reader."""

from pathlib import Path

from tests.support.kafka import Outgoing, RealKafka
from tests.support.reaper import Reaper
from tests.support.stream import Stream
from tests.support.texts import message_values
from tests.support.worker import wait_for_members

MESSAGES = 20_000
PARTITIONS = 4


def test_two_workers_account_for_every_message(kafka: RealKafka, reaper: Reaper, tmp_path: Path) -> None:
    """Every input has exactly one outcome by source position and payload hash, in order for each partition pair, committed
    to the end of every partition; both workers had a share, and both end with status 0."""
    stream = Stream(kafka, reaper, tmp_path, partitions=PARTITIONS)
    with stream.worker() as one, stream.worker() as two:
        shares = wait_for_members(kafka, stream.group, 2, PARTITIONS)
        assert sorted(shares.values()) == [2, 2]
        positions = kafka.produce_all(
            stream.input,
            [Outgoing(value, b"%d" % number, number % PARTITIONS) for number, value in enumerate(message_values(MESSAGES))],
        )
        assert len(set(positions)) == MESSAGES
        stream.finish(one, timeout_s=120)
        # Nobody left meanwhile, so each worker served the partitions that it still holds.
        assert wait_for_members(kafka, stream.group, 2, PARTITIONS) == shares
        assert [two.stop(), one.stop()] == [0, 0], one.log[-2000:] + two.log[-2000:]

    found = stream.audit()
    print(found)
    assert found.clean, found.examples
    assert found.inputs == found.enriched + found.tombstones + found.dead == MESSAGES
