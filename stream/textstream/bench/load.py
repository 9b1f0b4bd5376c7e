"""Open-loop load: a sender that keeps to a schedule whatever comes back, and a reader that measures against the schedule.

Each runs in a process of its own. A message's latency counts from when it was due, not from when it was sent: a sender that is
held up, or a queue that grows, adds to it (no coordinated omission). Both clocks are the machine's.
"""

import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from math import floor
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from numpy.typing import NDArray

from textstream.errors import Transient

AHEAD_S = 0.0005
"""The sender sleeps so long while nothing is due."""
WAIT_S = 0.1
FLUSH_S = 30.0
SETTLED_S, QUIET_S = 0.5, 10.0
"""After the last message was due, the reader ends when nothing has come for so long: the longer, while some are missing."""
SOURCE = "textstream.source"
LEAD_S = 1.0
"""From the schedule's making to its first message: the reader finds its place meanwhile."""
WARM_UP = 0.25
"""Share of the schedule that is sent and not measured."""
MIN_MESSAGES = 40


class Schedule(NamedTuple):
    """Message `n` is due at `start_s + n / rate`, in partition `n % partitions`; `bases` are the offsets of the first ones."""

    start_s: float
    rate: float
    messages: int
    bases: Sequence[int]

    @property
    def partitions(self) -> int:
        """Over which the messages go in turn."""
        return len(self.bases)

    @property
    def end_s(self) -> float:
        """When the last one is due."""
        return self.due_s(self.messages - 1)

    def due_s(self, number: int) -> float:
        """Unix time of one message."""
        return self.start_s + number / self.rate

    def due_by(self, now_s: float) -> int:
        """How many are due."""
        return max(0, min(self.messages, floor((now_s - self.start_s) * self.rate) + 1))

    def number(self, partition: int, offset: int) -> int:
        """The message that stands there."""
        return (offset - self.bases[partition]) * self.partitions + partition


class Arrivals(NamedTuple):
    """What a reader saw: messages by their number, and how late each came, in seconds."""

    numbers: NDArray[np.int64]
    latencies_s: NDArray[np.float64]

    def percentiles_ms(self, count: int, *percents: float) -> list[float]:
        """Of `count` messages sent those behind the warm-up."""
        measured = self.latencies_s[self.numbers >= count * WARM_UP]
        if not len(measured):
            raise Transient("none of the messages that were sent at a rate came back: is the broker well?")
        return [float(one) for one in np.percentile(measured, percents) * 1000]


@contextmanager
def pair() -> Iterator[ProcessPoolExecutor]:
    """Two processes, for a sender and a reader, that have all imported."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for one in [pool.submit(time.sleep, 0.2) for _ in range(2)]:
            one.result()
        yield pool


class Place(NamedTuple):
    """Where load goes, and the partition that its outcomes are read from: from where each ends now."""

    sender: Mapping[str, Any]
    """librdkafka's properties of whoever sends."""
    reader: Mapping[str, Any]
    """And of whoever reads: what it waits for is in every latency."""
    input: str
    bases: Sequence[int]
    output: str
    end: int


def measure(
    pool: ProcessPoolExecutor, place: Place, values: Sequence[bytes], *, rate: float, seconds: float
) -> tuple[Schedule, Arrivals, list[float]]:
    """Load for so long behind a warm-up: its schedule, what came of it, and how late the sender was."""
    count = max(MIN_MESSAGES, int(rate * seconds / (1 - WARM_UP)))
    schedule = Schedule(time.time() + LEAD_S, rate, count, place.bases)
    reading = pool.submit(read, place.reader, [(place.output, 0, place.end)], schedule)
    late = pool.submit(send, place.sender, place.input, values, schedule).result()
    return schedule, reading.result(), late


def send(config: Mapping[str, Any], topic: str, values: Sequence[bytes], schedule: Schedule) -> list[float]:
    """Send; returns how late the sender itself was, as seconds for each time that it woke."""
    # Few requests in flight: what is due while they are joins one batch, else each message asks the broker for itself.
    producer = Producer({**config, "linger.ms": 1, "max.in.flight": 5, "queue.buffering.max.messages": 1_000_000})
    sent, late = 0, []
    while sent < schedule.messages:
        now = time.time()
        due = schedule.due_by(now)
        if due > sent:
            late.append(now - schedule.due_s(sent))
        for number in range(sent, due):
            stamp = int(schedule.due_s(number) * 1000)
            producer.produce(topic, values[number % len(values)], partition=number % schedule.partitions, timestamp=stamp)
        sent = max(sent, due)
        producer.poll(0)
        if time.time() < schedule.due_s(sent):
            time.sleep(AHEAD_S)
    if producer.flush(FLUSH_S):
        raise Transient(f"the broker did not take the load within {FLUSH_S:g} s: is it well?")
    return late


def read(config: Mapping[str, Any], at: Sequence[tuple[str, int, int]], schedule: Schedule) -> Arrivals:
    """Read these partitions, each as (topic, partition, offset), until nothing comes any more."""
    reader = Consumer({**config, "group.id": "reader", "enable.auto.commit": False})
    reader.assign([TopicPartition(*one) for one in at])
    numbers: list[int] = []
    latencies: list[float] = []
    due, heard = schedule.messages // schedule.partitions, time.time()
    while (now := time.time()) < schedule.end_s or now < heard + (SETTLED_S if len(numbers) >= due else QUIET_S):
        first = reader.poll(WAIT_S)
        messages = [] if first is None else [first, *reader.consume(1000, 0)]
        now = time.time()
        for message in messages:
            if message.error() is None:
                heard = now
                number = schedule.number(*_source(message))
                numbers.append(number)
                latencies.append(now - schedule.due_s(number))
    reader.close()
    return Arrivals(np.array(numbers, np.int64), np.array(latencies, np.float64))


def _source(message: Any) -> tuple[int, int]:
    """Partition and offset of the input, as the outcome's header names them."""
    _, partition, offset = next(value for name, value in message.headers() if name == SOURCE).rsplit(b"/", 2)
    return int(partition), int(offset)
