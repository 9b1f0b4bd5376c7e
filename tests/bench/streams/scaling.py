"""Cost as work grows: length of a message, size of a batch, number of key terms, number of partitions.

Cost is processor time. It may grow with what grows, never faster: where one point costs more than its share of a smaller one
(`GROWTH` leaves room for noise), the run fails and names it. swift is measured, in this process; partitions are measured on a
real Kafka with a worker whose scorer computes nothing.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import orjson

from tests.bench.streams.compare import Bench, machine
from tests.bench.streams.contenders import BY_NAME
from tests.bench.streams.stage import fill, kafka, messages
from tests.bench.streams.windows import watch
from tests.support.kafka import unique
from tests.support.reaper import Reaper
from textstream.core.process import enrich, prepare
from textstream.core.record import Position, Record
from textstream.memory import settle
from textstream.model.scorer import Scorer
from textstream.score import line_codec

LENGTHS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
BATCHES = (1, 2, 8, 32, 128, 512, 2_048)
TERMS = (1, 2, 5, 10, 20, 50)
PARTITIONS = (1, 4, 16, 64, 200)
TEXT = 2_000
"""Characters of a text that many key terms stand in."""
GROWTH = 1.25
"""Most that a point may cost, over what it would cost if cost grew in proportion from any smaller one."""
LEAST_S = 0.3
"""Processor time of one measurement at least: the batch is scored again and again until then."""


class Point(NamedTuple):
    """What grows, and processor time."""

    at: float
    cost_us: float


class Curve(NamedTuple):
    """`cost` says of what the time is."""

    unit: str
    cost: str
    points: Sequence[Point]

    @property
    def growth(self) -> float:
        """The worst of all pairs: 1 where cost grows in proportion, less where it grows more slowly."""
        pairs = itertools.combinations(self.points, 2)
        return max((after.cost_us / before.cost_us) / (after.at / before.at) for before, after in pairs)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write, and 1 where something costs more than its share."""
    settle()
    texts = [orjson.loads(value)["text"] for value in messages(20_000)]
    curves = {
        "length": by_length(texts, arguments.rounds),
        "batch size": by_batch(texts, arguments.rounds),
        "key terms": by_terms(texts, arguments.rounds),
        "partitions": by_partitions(arguments, PARTITIONS),
    }
    drawn = {name: as_dict(curve) for name, curve in curves.items()}
    found = {"machine": machine(arguments.cores), "most_growth": GROWTH, "curves": drawn}
    arguments.curves.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, curve in curves.items():
        print(f"{name:12} worst growth {curve.growth:.2f} of linear", flush=True)
    return int(any(curve.growth > GROWTH for curve in curves.values()))


def by_length(texts: Sequence[str], rounds: int) -> Curve:
    """Microseconds of a message, by its characters."""
    scorer, joined = Scorer.load("swift", device="cpu"), joins(texts)
    batches = {length: [next_of(joined, length) for _ in range(64)] for length in LENGTHS}
    points = [Point(length, cost_us(scorer, batch, rounds) / len(batch)) for length, batch in batches.items()]
    return Curve("characters", "CPU µs a message", points)


def by_batch(texts: Sequence[str], rounds: int) -> Curve:
    """Microseconds of a batch, by its messages."""
    scorer = Scorer.load("swift", device="cpu")
    return Curve("messages", "CPU µs a batch", [Point(size, cost_us(scorer, texts[:size], rounds)) for size in BATCHES])


def by_terms(texts: Sequence[str], rounds: int) -> Curve:
    """Microseconds of a long message, by the key terms that are said of it."""
    joined = joins(texts)
    batch = [next_of(joined, TEXT) for _ in range(32)]
    points = []
    for most in TERMS:
        scorer = Scorer.load("swift", device="cpu", max_terms=most, min_salience=0.05)
        said = sum(sum(said.kinds) for said in scorer.analyse(scorer.tokenise(batch))) / len(batch)
        points.append(Point(said, cost_us(scorer, batch, rounds) / len(batch)))
    return Curve(f"key terms of {TEXT:,} characters", "CPU µs a message", points)


def by_partitions(arguments: argparse.Namespace, counts: Sequence[int]) -> Curve:
    """Microseconds of a message through the engine, by its topic's partitions."""
    reaper, values, points = Reaper(), messages(20_000), []
    with tempfile.TemporaryDirectory() as folder, kafka(reaper) as broker:
        for partitions in counts:
            bench = Bench(broker, reaper, Path(folder), partitions, arguments.cores, len(set(values)))
            topic = broker.create_topic(unique("in"), partitions)
            fill(broker, topic, values, arguments.messages, partitions)
            with bench.running(BY_NAME["noop"], topic) as (running, output):
                window = watch(
                    running, output.count, warm_up_s=arguments.warm_up, window_s=arguments.window, most=arguments.messages
                )
            print(f"{partitions} partitions: {window.rate:,.0f} messages/s", file=sys.stderr, flush=True)
            points.append(Point(partitions, window.cpu_s_per_million))
            broker.admin.delete_topics([topic])[topic].result(timeout=30)
    reaper.close()
    return Curve("partitions", "CPU µs a message", points)


def joins(texts: Sequence[str]) -> Callable[[], str]:
    """The texts one after the other."""
    following = itertools.cycle(texts)
    return lambda: next(following)


def next_of(text: Callable[[], str], length: int) -> str:
    """So many characters of the texts that follow."""
    taken = ""
    while len(taken) < length:
        taken += text() + " "
    return taken[:length]


def cost_us(scorer: Scorer, texts: Sequence[str], rounds: int) -> float:
    """Processor time of a batch from decoding to encoding, the median of rounds; tables of words are warm."""
    codec = line_codec(scorer, "scaling", "json", "/text")
    values = [orjson.dumps({"text": text}) for text in texts]
    records = [Record(Position("scaling", 0, at, 0), value) for at, value in enumerate(values)]

    def once() -> float:
        done, began = 0, time.process_time()
        while (passed := time.process_time() - began) < LEAST_S:
            enrich(prepare(records, codec, scorer), codec, scorer, 0)
            done += 1
        return passed / done * 1e6

    once()
    return median(once() for _ in range(rounds))


def as_dict(curve: Curve) -> dict[str, Any]:
    """For machines."""
    return {**curve._asdict(), "points": [point._asdict() for point in curve.points], "growth": round(curve.growth, 3)}
