"""Count what became of every input: lost, doubled, disordered. A program of its own that knows nothing of textstream's code.

    python tests/chaos/count.py --bootstrap-servers … --group … --guarantee at_least_once --topic reviews --topic tweets

It reads the input topics and, of each, `{topic}.enriched` and `{topic}.dead` from their beginning as a `read_committed`
reader, and matches by the source position that an outcome names (`textstream.source`; dead letters `__connect.errors.*`) and
by a fingerprint of kind, key and payload. An input that is JSON with a string at `/text` is to become an event with that very
text, a null value a tombstone, anything else a dead letter with the very bytes.

- **lost**: an input without its right outcome.
- **disordered**: an input whose first outcome in an output partition stands behind the first outcome of a later input of the
  same input partition.
- **doubled**, with exactly-once: any outcome beyond the first of its input.
- **doubled**, with at least once: any outcome beyond the first of its input that no re-run explains. A worker that takes a
  partition over begins at an offset that the group had committed, and delivers from there without a gap. So what one input
  partition has in one output partition must be runs: each begins with the first input at or behind an offset that was once
  committed (or with the very first) and goes on input by input, until it breaks off. Runs may interleave, since a worker that
  was stopped past its session and woken sends what it had in hand. The commits are read from Kafka's own log of them.
- An outcome that names no input, or carries another payload than stands at its position, counts as doubled too: no reader
  asked for it. So does one in another output partition than its input's first.

The last line is JSON. With exactly-once the topics are read once more as a `read_uncommitted` reader, to tell how many
outcomes were aborted, and counting begins only when no transaction is open.
"""

import argparse
import hashlib
import json
import struct
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # the package's own way

READ_BATCH = 2_000
SILENCE_S = 60
"""A reader that hears nothing for so long gives up."""
OPEN_TRANSACTIONS_S = 180
"""Longer than the transaction of a killed worker may stay open."""
MAX_EXAMPLES = 10
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Partition = tuple[str, int]


class Outcome(NamedTuple):
    """An outcome as it stands in an output partition: what it names, what it carries."""

    source: Partition
    offset: int
    fingerprint: bytes


@dataclass
class Logs:
    """All that was read."""

    inputs: dict[Partition, dict[int, bytes]] = field(default_factory=dict)  # offset → fingerprint of its right outcome
    outcomes: dict[Partition, list[Outcome]] = field(default_factory=dict)  # by output partition, in their order
    commits: dict[Partition, set[int]] = field(default_factory=dict)  # every offset that the group ever committed


@dataclass
class Count:
    """What became of the inputs."""

    inputs: int = 0
    outcomes: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    repeated: int = 0  # at least once: outcomes that a re-run explains
    aborted: int = 0  # exactly-once: outcomes that only a read_uncommitted reader sees
    examples: list[str] = field(default_factory=list)

    def note(self, example: str) -> None:
        """Keep the first few cases, for the person who reads a failure."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)


def fingerprint(kind: str, key: bytes | None, payload: bytes | None) -> bytes:
    """8 bytes that tell kinds, null from empty, and the key from the payload."""
    digest = hashlib.blake2b(kind.encode(), digest_size=8)
    for part in (key, payload):
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.digest()


def count(logs: Logs, *, exactly_once: bool) -> Count:
    """Match and count; the module's docstring defines the words."""
    found = Count(inputs=sum(map(len, logs.inputs.values())), outcomes=sum(map(len, logs.outcomes.values())))
    home: dict[Partition, dict[int, Partition]] = {partition: {} for partition in logs.inputs}
    for output, outcomes in logs.outcomes.items():
        sequences: dict[Partition, list[int]] = {}
        for outcome in outcomes:
            source, offset, carried = outcome
            if logs.inputs.get(source, {}).get(offset) != carried:
                found.doubled += 1
                found.note(f"{output} has an outcome for {source} at {offset} that is not what stands there")
            elif home[source].setdefault(offset, output) != output:
                found.doubled += 1
                found.note(f"{source} at {offset} has outcomes in {home[source][offset]} and {output}")
            else:
                sequences.setdefault(source, []).append(offset)
        for source, sequence in sequences.items():
            _follow(found, source, output, sequence, None if exactly_once else logs.commits.get(source, ()))
    for source, inputs in logs.inputs.items():
        missing = inputs.keys() - home[source].keys()
        found.lost += len(missing)
        for offset in sorted(missing)[:MAX_EXAMPLES]:
            found.note(f"{source} at {offset} has no outcome")
    return found


def _follow(
    found: Count, source: Partition, output: Partition, sequence: Sequence[int], commits: Collection[int] | None
) -> None:
    """Go along the outcomes of one input partition in one output partition; without `commits` nothing may come again."""
    ordered = sorted(set(sequence))
    rank_of = {offset: rank for rank, offset in enumerate(ordered)}
    starts = {0, *(bisect_left(ordered, offset) for offset in commits or ())}
    expected: Counter[int] = Counter()  # the ranks with which runs go on
    seen: set[int] = set()
    highest = -1
    for offset in sequence:
        rank = rank_of[offset]
        if rank not in seen:
            seen.add(rank)
            if rank < highest:
                found.disordered += 1
                found.note(f"{source} at {offset} comes first behind {ordered[highest]} in {output}")
            highest = max(highest, rank)
        elif commits is not None and (expected[rank] or rank in starts):
            found.repeated += 1
        else:
            found.doubled += 1
            found.note(f"{source} at {offset} comes again in {output}, and no re-run explains it")
            continue
        if expected[rank]:
            expected[rank] -= 1
        expected[rank + 1] += 1


# ---- reading ----------------------------------------------------------------------------------------------------------


class Reader:
    """Reads whole topics of one cluster."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._config: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers}
        self._admin = AdminClient(self._config)

    def read(self, topics: Sequence[str], *, committed: bool = True) -> Iterator[Message]:
        """Every record of these topics, in order within each partition.

        A leader that was just elected may call an end what lies before it, so the ends are asked for first: it tells them
        only when it knows them (KIP-207).
        """
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        left = self._ends(topics, isolation)
        consumer = Consumer(
            {
                **self._config,
                "group.id": "counter",  # never joined, never committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # the end of a partition is an empty fetch
                "isolation.level": "read_committed" if committed else "read_uncommitted",
            }
        )
        try:
            consumer.assign([TopicPartition(*partition, 0) for partition in left])
            heard_at = time.monotonic()
            while left:
                for message in consumer.consume(READ_BATCH, 0.1):
                    heard_at = time.monotonic()
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        if _offset(message) >= left.get(_at(message), 0):
                            left.pop(_at(message), None)
                    else:
                        raise KafkaException(error)
                if time.monotonic() - heard_at > SILENCE_S:
                    raise TimeoutError(f"nothing heard of {sorted(left)} for {SILENCE_S} s")
        finally:
            consumer.close()

    def wait_for_transactions(self, topics: Sequence[str]) -> None:
        """Wait until no transaction is open on these topics: else a committed reader does not see their ends."""
        deadline = time.monotonic() + OPEN_TRANSACTIONS_S
        while self._ends(topics, IsolationLevel.READ_COMMITTED) != self._ends(topics, IsolationLevel.READ_UNCOMMITTED):
            if time.monotonic() > deadline:
                raise TimeoutError(f"a transaction on {', '.join(topics)} was open for more than {OPEN_TRANSACTIONS_S} s")
            time.sleep(0.2)

    def _ends(self, topics: Sequence[str], isolation: IsolationLevel) -> dict[Partition, int]:
        asked = {TopicPartition(topic, n): LATEST for topic in topics for n in self._partitions(topic)}
        futures = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=30)
        return {(at.topic, at.partition): future.result().offset for at, future in futures.items()}

    def _partitions(self, topic: str) -> list[int]:
        metadata = self._admin.list_topics(topic, timeout=30).topics[topic]
        if metadata.error is not None or not metadata.partitions:
            raise KafkaException(metadata.error)
        return list(metadata.partitions)


def read_logs(reader: Reader, topics: Sequence[str], group: str, *, exactly_once: bool) -> Logs:
    """All records of these inputs and their outputs, and with at least once all commits."""
    logs = Logs()
    for message in reader.read(topics):
        logs.inputs.setdefault(_at(message), {})[_offset(message)] = _right_outcome(message)
    for message in reader.read(outputs_of(topics)):
        partition = _at(message)
        outcome = _dead_letter(message) if partition[0].endswith(".dead") else _event(message)
        logs.outcomes.setdefault(partition, []).append(outcome)
    if not exactly_once:
        logs.commits = read_commits(reader, group)
    return logs


def outputs_of(topics: Sequence[str]) -> list[str]:
    """Where the outcomes of these inputs go."""
    return [f"{topic}.{kind}" for topic in topics for kind in ("enriched", "dead")]


def read_commits(reader: Reader, group: str) -> dict[Partition, set[int]]:
    """Every offset that the group ever committed, from Kafka's log of commits (OffsetCommitKey and OffsetCommitValue)."""
    commits: dict[Partition, set[int]] = {}
    for message in reader.read(["__consumer_offsets"]):
        key, value = message.key(), message.value()
        if key is None or value is None or struct.unpack_from(">h", key)[0] > 1:  # 2 and above: what groups are
            continue
        named, at = _string(key, 2)
        topic, at = _string(key, at)
        if named == group:
            (partition,) = struct.unpack_from(">i", key, at)
            (offset,) = struct.unpack_from(">q", value, 2)
            commits.setdefault((topic, partition), set()).add(offset)
    return commits


def _string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


def _right_outcome(message: Message) -> bytes:
    key, value = message.key(), message.value()
    if value is None:
        return fingerprint("tombstone", key, None)
    try:
        text = json.loads(value)["text"]
        return fingerprint("event", key, text.encode())
    except (ValueError, LookupError, TypeError, AttributeError):
        return fingerprint("dead letter", key, value)


def _event(message: Message) -> Outcome:
    topic, partition, offset = _headers(message)["textstream.source"].decode().rsplit("/", 2)
    key, value = message.key(), message.value()
    if value is None:
        carried = fingerprint("tombstone", key, None)
    else:
        carried = fingerprint("event", key, json.loads(value)["text"].encode())
    return Outcome((topic, int(partition)), int(offset), carried)


def _dead_letter(message: Message) -> Outcome:
    headers = _headers(message)
    topic, partition, offset = (headers[f"__connect.errors.{name}"].decode() for name in ("topic", "partition", "offset"))
    return Outcome((topic, int(partition)), int(offset), fingerprint("dead letter", message.key(), message.value()))


def _headers(message: Message) -> Mapping[str, bytes]:
    return dict(message.headers() or [])  # type: ignore[arg-type]  # declared as str | bytes | None, read as bytes


def _at(message: Message) -> Partition:
    topic, partition = message.topic(), message.partition()
    assert topic is not None and partition is not None
    return topic, partition


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None
    return offset


def main() -> int:
    """Read and count; the exit status says whether nothing was lost, doubled or disordered."""
    parser = argparse.ArgumentParser(description="Count what became of every input.")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", required=True, help="whose commits explain re-runs")
    parser.add_argument("--guarantee", required=True, choices=["at_least_once", "exactly_once"])
    parser.add_argument("--topic", action="append", required=True, help="an input topic; again for each")
    asked = parser.parse_args()
    exactly_once = asked.guarantee == "exactly_once"
    reader = Reader(asked.bootstrap_servers)
    outputs = outputs_of(asked.topic)
    reader.wait_for_transactions(outputs)
    found = count(read_logs(reader, asked.topic, asked.group, exactly_once=exactly_once), exactly_once=exactly_once)
    if exactly_once:
        found.aborted = sum(1 for _ in reader.read(outputs, committed=False)) - found.outcomes
    for example in found.examples:
        print(example)
    print(json.dumps(asdict(found)))
    return 1 if found.lost or found.doubled or found.disordered else 0


if __name__ == "__main__":
    sys.exit(main())
