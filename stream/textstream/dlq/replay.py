"""`textstream dlq replay`: the original of each dead letter once more, under its old position.

It goes to the replay topic, which only textstream reads, or on demand to the source, where all its consumers see a new
message. At least once: whoever goes on after a replay that was cut short may send the last ones again, and their events have
the same `id`. Dead letters stay where they are; the offsets that were reached are told, for the next time.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from textstream.core.codec import TopicLimits, wire_size
from textstream.core.offsets import PartitionOffsets
from textstream.core.ports import Topics
from textstream.core.record import Record
from textstream.core.replay import DeadLetter, replay_headers
from textstream.dlq.letters import Letters, Originals
from textstream.errors import Misconfigured, TextstreamError, Transient
from textstream.kafka.client import classified, log, opened, properties
from textstream.kafka.sink import BY_KEY, LIBRDKAFKA_MAX_BYTES
from textstream.kafka.topics import TopicAdmin
from textstream.settings import Kafka

DELIVERY_TIMEOUT_S = 60.0
"""Longest that a broker may take to acknowledge a record: then the replay stops, as somebody is there to start it again."""
WAIT_S = 0.1
"""Longest wait for a turn, for room or for acknowledgements: bounds how late a stop is noticed."""
MAX_TOLD = 10
"""Most dead letters that are named one by one when they are left out for the same cause; the others are counted."""

NOT_TAKEN = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD}
"""What a broker says for good of a whole batch, in spite of the limits that it told."""

LIMIT = "replayed as often as --max-replays allows"
FOREIGN = "of no topic in input.topics"
GONE = "cut by the worker, and the original is gone from its source"
TOO_LARGE = "larger than the topic takes (max.message.bytes)"

OURS = {
    "acks": "all",
    "enable.idempotence": True,
    "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
    "partitioner": "murmur2_random",
    "linger.ms": 5,
    # What waits for the broker, in KiB: bounds memory.
    "queue.buffering.max.kbytes": 16_384,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `rate` is in messages/s, None for as fast as the broker takes them."""

    to_source: bool = False
    max_replays: int = 3
    rate: float | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Report:
    """What was done. `sent` counts by target and reason, `left_out` by cause, `told` names the first of each cause."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    reached: dict[tuple[str, int], int] = field(default_factory=dict)
    error: TextstreamError | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for could be replayed."""
        return self.error is None and not set(self.left_out) - {LIMIT}

    def leave_out(self, letter: DeadLetter, cause: str) -> None:
        """Count one that is not replayed."""
        self.left_out[cause] += 1
        if self.left_out[cause] <= MAX_TOLD:
            topic, number, offset, _ = letter.record.position
            self.told.append(f"left out {topic}/{number}/{offset}: {cause}")

    def as_text(self, *, dry_run: bool) -> str:
        """The whole story, for a terminal."""
        done = "would replay" if dry_run else "replayed"
        lines = list(self.told)
        for target in sorted({target for target, _ in self.sent}):
            by_reason = Counter({reason: count for (to, reason), count in self.sent.items() if to == target})
            listed = ", ".join(f"{count} {reason}" for reason, count in by_reason.most_common())
            lines.append(f"{done} {by_reason.total()} to {target}, at least once: {listed}")
        if not self.sent:
            lines.append(f"{done} nothing")
        lines += [f"left out {count}: {cause}" for cause, count in self.left_out.most_common()]
        if not dry_run and self.reached:
            flags = " ".join(f"--offset {topic}/{number}={offset}:" for (topic, number), offset in self.reached.items())
            lines.append(f"to go on behind these: {flags}")
        return "\n".join(lines)


class Replay:
    """One run over some dead letters; `run` ends with a report, also where it was stopped or the broker refused."""

    def __init__(
        self,
        kafka: Kafka,
        topics: Sequence[Topics],
        partitions: Mapping[str, int],
        plan: Plan,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._plan, self._clock, self._wall = plan, clock, wall
        self._targets = {one.input: one.input if plan.to_source else one.replay for one in topics}
        for name in self._targets.values():
            if name not in partitions:
                raise Misconfigured(f"topic {name} does not exist: run `textstream topics create`, then start the workers anew")
        # 0 kept partitions: the counts differ, so the key decides.
        self._kept_partitions = {
            source: partitions[target] if partitions[target] == partitions.get(source) else 0
            for source, target in self._targets.items()
        }
        self._limits = TopicAdmin(kafka).limits(sorted(set(self._targets.values())))
        self._kafka = kafka
        self._report = Report()
        self._taken = 0
        self._producer: Producer | None = None
        self._offsets: dict[tuple[str, int], PartitionOffsets] = {}

    def run(self, letters: Letters, stop: threading.Event) -> Report:
        """Replay them until their end or `stop`."""
        report = self._report
        self._offsets = {partition: PartitionOffsets(0, first) for partition, (first, _) in letters.ranges.items()}
        if not self._plan.dry_run:
            self._producer = _producer(self._kafka, self._limits)
        originals = Originals(self._kafka)
        try:
            self._send_all(letters, originals, stop)
        except TextstreamError as error:
            report.error = report.error or error
        finally:
            originals.close()
        self._flush()
        for partition, offsets in self._offsets.items():
            if partition not in letters.unfinished:
                offsets.reach_end(letters.ranges[partition][1])
        report.reached = {partition: offsets.next_offset or 0 for partition, offsets in self._offsets.items()}
        return report

    def _send_all(self, letters: Letters, originals: Originals, stop: threading.Event) -> None:
        began = self._clock()
        for letter in letters.read(stop):
            original = self._original(letter, originals, stop)
            self._wait_for_turn(began, stop)
            if stop.is_set():
                return  # this one is not counted, so it is the first to go on with
            if isinstance(original, str):
                self._report.leave_out(letter, original)
            else:
                self._send(letter, original)
                self._serve(0)

    def _wait_for_turn(self, began: float, stop: threading.Event) -> None:
        """Serve acknowledgements until the next one may be sent."""
        due = began + self._taken / self._plan.rate if self._plan.rate else began
        while (left := due - self._clock()) > 0 and not stop.is_set():
            if self._producer is None:
                stop.wait(left)
            else:
                self._serve(min(left, WAIT_S))

    def _original(self, letter: DeadLetter, originals: Originals, stop: threading.Event) -> Record | str:
        """What is to be sent, or why nothing is."""
        if letter.source is None or letter.source.topic not in self._targets:
            return FOREIGN
        if letter.replays >= self._plan.max_replays:
            return LIMIT
        original = originals.of(letter, stop) if letter.cut else letter.original
        if original is None:
            return GONE
        limit = self._limits[self._targets[letter.source.topic]].max_message_bytes
        size = wire_size(original.value, original.key, replay_headers(original, letter.replays + 1))
        return TOO_LARGE if size > limit else original

    def _send(self, letter: DeadLetter, original: Record) -> None:
        self._taken += 1
        if self._producer is None:
            self._report.sent[self._targets[original.position.topic], letter.reason] += 1
            return
        place = letter.record.position
        self._offsets[place.topic, place.partition].deliver(place.offset)
        while not self._produce(self._producer, letter, original):
            self._serve(WAIT_S)

    def _produce(self, producer: Producer, letter: DeadLetter, original: Record) -> bool:
        """Hand one to the client; False when its queue is full."""
        source, now_ms = original.position, int(self._wall() * 1000)
        target = self._targets[source.topic]
        keeps_time = self._limits[target].takes(original.timestamp_ms, now_ms)
        try:
            producer.produce(
                target,
                original.value,
                original.key,
                source.partition if source.partition < self._kept_partitions[source.topic] else BY_KEY,
                on_delivery=partial(self._on_delivery, letter, target),
                timestamp=original.timestamp_ms if keeps_time else now_ms,
                headers=cast("list[tuple[str, str | bytes | None]]", replay_headers(original, letter.replays + 1)),
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise _refused(error.args[0], letter) from None
        return True

    def _serve(self, timeout_s: float) -> None:
        """Take in acknowledgements. Raises what the broker refused."""
        if self._producer is not None:
            self._producer.poll(timeout_s)
        if self._report.error is not None:
            raise self._report.error

    def _flush(self) -> None:
        """Wait for what is on its way; after an error that is dropped, so that nothing overtakes what failed."""
        if self._producer is None:
            return
        if self._report.error is not None:
            self._producer.purge(in_flight=False)
        if left := self._producer.flush(DELIVERY_TIMEOUT_S):
            self._report.error = self._report.error or Transient(f"{left} replays were not acknowledged in time")

    def _on_delivery(self, letter: DeadLetter, target: str, error: KafkaError | None, _: Message) -> None:
        place = letter.record.position
        if error is None:
            self._offsets[place.topic, place.partition].settle(place.offset)
            self._report.sent[target, letter.reason] += 1
        else:
            self._report.error = self._report.error or _refused(error, letter)


def _producer(kafka: Kafka, limits: Mapping[str, TopicLimits]) -> Producer:
    sizes = [limit.max_message_bytes for limit in limits.values()]
    own = {
        **OURS,
        "message.max.bytes": min(max(1_000_000, *sizes), LIBRDKAFKA_MAX_BYTES),
        "batch.size": min(1_000_000, *sizes),
        "error_cb": lambda error: log.warning("producer_error", why=error.str()),
    }
    return opened(Producer, properties(kafka, own, kafka.producer))


def _refused(error: KafkaError, letter: DeadLetter) -> TextstreamError:
    topic, number, offset, _ = letter.record.position
    if error.code() in NOT_TAKEN:
        why = f"the broker refused a replay of {topic}/{number}/{offset} or of one sent with it ({error.str()})"
        return Misconfigured(f"{why}: give the topic the limits of the input and cleanup.policy=delete")
    return classified(error, f"replaying {topic}/{number}/{offset}")
