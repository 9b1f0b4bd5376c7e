"""An independent reader of the output topics: is every input accounted for, once, in order, unaltered?

It imports nothing of textstream and knows only its published contract. Every outcome names the source position of its
input; the reader matches by that position and by a hash of key and payload. It is also a program:

    python -m tests.support.reader --bootstrap-servers … --input reviews --output reviews.enriched --dead reviews.dead
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.support.kafka import GivenKafka, RealKafka, Record

MAX_EXAMPLES = 5

Position = tuple[str, int, int]  # topic, partition, offset


@dataclass
class Audit:
    """What the reader counted; `clean` when every input has exactly one outcome, in order, and is committed."""

    inputs: int = 0
    enriched: int = 0
    tombstones: int = 0
    dead: int = 0
    lost: int = 0  # inputs without an outcome that carries their payload
    doubled: int = 0  # outcomes beyond the first of an input
    disordered: int = 0  # first outcomes behind a later input's, within a pair of input and output partition
    altered: int = 0  # outcomes whose key or payload is not their input's
    foreign: int = 0  # outcomes that name no input
    uncommitted: int = 0  # input topics with a partition whose committed offset is not its end
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, out of order, altered, foreign or uncommitted."""
        return not (self.lost or self.doubled or self.disordered or self.altered or self.foreign or self.uncommitted)

    def __str__(self) -> str:
        return (
            f"altered {self.altered} foreign {self.foreign} uncommitted {self.uncommitted} "
            f"lost {self.lost} doubled {self.doubled} disordered {self.disordered} inputs {self.inputs}"
        )

    def note(self, example: str) -> None:
        """Keep the first few cases, for the person who reads a failure."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)


def audit(
    kafka: RealKafka,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dead: Sequence[str],
    group: str | None = None,
    pointer: str = "/text",
) -> Audit:
    """Read all of these topics as they stand now and count; without a group, commits are not looked at."""
    found = Audit()
    # An input has two admissible payloads: its bytes (in a dead letter), and the text in them (in an event).
    expected = {_position(record): _admissible(record, pointer) for topic in inputs for record in kafka.iterate(topic)}
    found.inputs = len(expected)
    seen: set[Position] = set()
    matched: set[Position] = set()
    highest: dict[tuple[str, int, str, int], int] = {}
    for record in _records(kafka, [*outputs, *dead]):
        position, payload = _outcome(record, found, is_dead=record.topic in dead)
        if position not in expected:
            found.foreign += 1
            found.note(f"{record.topic}/{record.partition}/{record.offset} names {position}, which is no input")
            continue
        if payload is not None and payload not in expected[position]:
            found.altered += 1
            found.note(f"{record.topic}/{record.partition}/{record.offset} is not what stands at {position}")
        else:
            matched.add(position)
        pair = (*position[:2], record.topic, record.partition)
        if position in seen:
            found.doubled += 1
            found.note(f"{position} has another outcome at {record.topic}/{record.partition}/{record.offset}")
        elif position[2] < highest.get(pair, -1):
            found.disordered += 1
            found.note(f"{position} came after offset {highest[pair]} in {record.topic}/{record.partition}")
        seen.add(position)
        highest[pair] = max(position[2], highest.get(pair, -1))
    found.lost = len(expected.keys() - matched)
    for position in sorted(expected.keys() - matched)[:MAX_EXAMPLES]:
        found.note(f"{position} has no outcome")
    if group is not None:
        found.uncommitted = sum(not kafka.is_committed(group, topic) for topic in inputs)
    return found


def _records(kafka: RealKafka, topics: Iterable[str]) -> Iterable[Record]:
    for topic in topics:
        yield from kafka.iterate(topic)


def _position(record: Record) -> Position:
    return record.topic, record.partition, record.offset


def _admissible(record: Record, pointer: str) -> tuple[bytes, ...]:
    whole = _hash(record.key, record.value)
    text = _text_at(record.value, pointer)
    return (whole,) if text is None else (whole, _hash(record.key, text.encode("utf-8", "surrogatepass")))


def _text_at(value: bytes | None, pointer: str) -> str | None:
    try:
        document = json.loads(value or b"")
        for part in pointer.split("/")[1:]:
            document = document[part]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return document if isinstance(document, str) else None


def _outcome(record: Record, found: Audit, *, is_dead: bool) -> tuple[Position, bytes | None]:
    """The input that an outcome names, and the hash of what it carries; None where it says that it was cut."""
    if is_dead:
        found.dead += 1
        found.reasons[(record.header("textstream.reason") or b"").decode()] += 1
        topic, partition, offset = (
            (record.header(f"__connect.errors.{name}") or b"").decode() for name in ("topic", "partition", "offset")
        )
        cut = record.has_header("textstream.truncated")
        return (topic, int(partition), int(offset)), None if cut else _hash(record.key, record.value)
    if record.value is None:
        found.tombstones += 1
        topic, partition, offset = (record.header("textstream.id") or b"").decode().rsplit("-", 2)
        return (topic, int(partition), int(offset)), _hash(record.key, None)
    found.enriched += 1
    event = json.loads(record.value)
    source = event["source"]
    return (source["topic"], source["partition"], source["offset"]), _hash(record.key, event["text"].encode())


def _hash(key: bytes | None, payload: bytes | None) -> bytes:
    """16 bytes that tell null from empty and the key from the payload."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (key, payload):
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.digest()


def main() -> int:
    """Audit the topics named by the arguments; the exit status says whether they are clean."""
    parser = argparse.ArgumentParser(description="Match every input with its outcome, by source position and payload hash.")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--input", action="append", required=True)
    parser.add_argument("--output", action="append", required=True)
    parser.add_argument("--dead", action="append", default=[])
    parser.add_argument("--group")
    parser.add_argument("--pointer", default="/text")
    asked = parser.parse_args()
    kafka = GivenKafka(asked.bootstrap_servers)
    found = audit(kafka, inputs=asked.input, outputs=asked.output, dead=asked.dead, group=asked.group, pointer=asked.pointer)
    print(*found.examples, found, sep="\n")
    return 0 if found.clean else 1


if __name__ == "__main__":
    sys.exit(main())
