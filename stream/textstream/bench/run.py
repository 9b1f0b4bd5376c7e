"""`textstream bench`: messages a second, latency and memory, on the machine it runs on.

Scoring alone is the worker's own path without Kafka, on one thread: text in, encoded event out. End to end is a real
worker on a real topic: on the brokers named in the settings, else on the embedded broker, which is lighter than Kafka.
Sender, worker and reader share this process, so its figures are what one small machine does, not what a worker can reach.
"""

import itertools
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from textstream import samples
from textstream.core.codec import Codec
from textstream.core.ports import Topics
from textstream.core.process import Scorer, enrich, prepare
from textstream.core.record import Position, Record
from textstream.errors import Misconfigured, Transient
from textstream.kafka.client import opened, properties
from textstream.kafka.embedded import CONSUMER_PROPERTIES, EmbeddedBroker
from textstream.kafka.topics import TopicAdmin
from textstream.score import line_codec
from textstream.settings import Kafka, Settings
from textstream.worker_thread import WorkerThread

MAX_TEXTS = 60_000
"""Messages that are scored at most, without Kafka."""
MAX_MESSAGES = 20_000
MAX_BYTES = 8 * 2**20
"""Messages that are sent at most. The embedded broker keeps 5 MB a partition and forgets the oldest beyond that."""
MEASURED_EVERY = 6
PARTITIONS = 4
LOAD = 0.5
"""Latency is taken at this share of the rate just measured: below it queues are short, above it they are not."""
MAX_WAIT_S = 120.0
"""Longest wait for the outcomes of a run."""
POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured; rates are messages a second, latencies from producer's timestamp to reader, in milliseconds."""

    messages: int
    mean_characters: float
    broker: str
    scoring_per_second: float
    end_to_end_per_second: float
    latency_load_per_second: float
    latency_p50_ms: float
    latency_p99_ms: float
    peak_memory_mib: float

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    def as_text(self) -> str:
        """For readers."""
        return "\n".join(
            [
                f"messages          {self.messages:,} distinct, {self.mean_characters:.0f} characters on average",
                f"scoring alone     {self.scoring_per_second:,.0f} messages/s on one thread, text in, event out",
                f"end to end        {self.end_to_end_per_second:,.0f} messages/s on {self.broker}",
                f"latency           p50 {self.latency_p50_ms:.0f} ms, p99 {self.latency_p99_ms:.0f} ms"
                f" at {self.latency_load_per_second:,.0f} messages/s",
                f"peak memory       {self.peak_memory_mib:,.0f} MiB, sender and reader included",
            ]
        )


def run_bench(settings: Settings, scorer: Scorer, *, data: Path | None, seconds: float, bootstrap: str | None) -> Report:
    """Measure; `bootstrap` None takes the embedded broker. Raises `Misconfigured` where `data` holds no messages."""
    texts = _texts(data)
    scoring = scoring_rate(settings, scorer, _values(texts, MAX_TEXTS), seconds)
    values = _values(texts, MAX_MESSAGES)
    with (
        _pipeline(settings, bootstrap) as (topics, settings_there),
        WorkerThread(settings_there, scorer) as worker,
    ):
        stage = _Stage(settings_there.kafka, topics, worker)
        rate = stage.throughput(values)
        load = LOAD * rate
        p50, p99 = np.percentile(stage.latencies_ms(values, load, seconds), [50, 99])
    return Report(
        messages=len(set(texts)),
        mean_characters=sum(map(len, texts)) / len(texts),
        broker=bootstrap or "the embedded broker",
        scoring_per_second=scoring,
        end_to_end_per_second=rate,
        latency_load_per_second=load,
        latency_p50_ms=float(p50),
        latency_p99_ms=float(p99),
        peak_memory_mib=_peak_memory_mib(),
    )


def scoring_rate(settings: Settings, scorer: Scorer, values: Sequence[bytes], seconds: float) -> float:
    """Messages a second through decode … encode, in batches of the settings' size, for at most `seconds`.

    One batch of `MEASURED_EVERY` is measured, once; the others warm up. So words are met for the first time about as often
    as in a worker that has run for a few seconds; only where there are few distinct messages do they come again.
    """
    codec = line_codec(scorer, "bench", "json", "/text")
    size = settings.batch.max_messages
    batches = [
        [Record(Position("bench", 0, at, 0), value) for at, value in enumerate(values[start : start + size], start)]
        for start in range(0, len(values), size)
    ]
    for number, batch in enumerate(batches):
        if number % MEASURED_EVERY:
            _score(batch, codec, scorer)
    done, started = 0, time.perf_counter()
    for batch in batches[::MEASURED_EVERY]:
        _score(batch, codec, scorer)
        done += len(batch)
        if time.perf_counter() - started >= seconds:
            break
    return done / (time.perf_counter() - started)


def _score(records: list[Record], codec: Codec, scorer: Scorer) -> None:
    enrich(prepare(records, codec, scorer), codec, scorer, 0)


class _Stage:
    """A sender and a reader around a worker."""

    def __init__(self, kafka: Kafka, topics: Topics, worker: WorkerThread) -> None:
        self._kafka = kafka
        self._topics = topics
        self._worker = worker
        self._producer = opened(Producer, properties(kafka, {"linger.ms": 1}, {}))

    def throughput(self, values: Sequence[bytes]) -> float:
        """Messages a second while the worker works off a backlog, from its first acknowledged outcome to the last."""
        before = self._settled()
        for value in values:
            self._producer.produce(self._topics.input, value)
            self._producer.poll(0)
        self._producer.flush(MAX_WAIT_S)
        first = self._wait_until(before + 1)
        counted = self._settled()
        return (before + len(values) - counted) / (self._wait_until(before + len(values)) - first)

    def latencies_ms(self, values: Sequence[bytes], rate: float, seconds: float) -> list[float]:
        """From each record's timestamp, when it was due, to its arrival at a reader; sent evenly whatever comes back."""
        count = int(rate * seconds)
        reader = self._reader()
        latencies: list[float] = []
        sent, started = 0, time.time()
        while len(latencies) < count:
            due = min(count, int((time.time() - started) * rate) + 1)
            for number in range(sent, due):
                timestamp = int((started + number / rate) * 1000)
                self._producer.produce(self._topics.input, values[number % len(values)], timestamp=timestamp)
            sent = max(sent, due)
            self._producer.poll(0)
            messages = reader.consume(1000, 0) or reader.consume(1, POLL_S)
            now_ms = time.time() * 1000
            latencies += [now_ms - message.timestamp()[1] for message in messages if message.error() is None]
            self._check(started + seconds + MAX_WAIT_S, time.time())
        reader.close()
        return latencies

    def _reader(self) -> Consumer:
        """Reads what is published from now on."""
        config = {"group.id": f"{self._topics.input}-reader", "enable.auto.commit": False}
        reader = opened(Consumer, properties(self._kafka, config, self._kafka.consumer))
        ends = []
        for partition in range(PARTITIONS):
            _, end = reader.get_watermark_offsets(TopicPartition(self._topics.enriched, partition), timeout=10)
            ends.append(TopicPartition(self._topics.enriched, partition, end))
        reader.assign(ends)
        return reader

    def _settled(self) -> int:
        samples = next(iter(self._worker.metrics.outcomes.collect())).samples
        return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))

    def _wait_until(self, settled: int) -> float:
        deadline = time.perf_counter() + MAX_WAIT_S
        while self._settled() < settled:
            time.sleep(POLL_S)
            self._check(deadline, time.perf_counter())
        return time.perf_counter()

    def _check(self, deadline: float, now: float) -> None:
        self._worker.check()
        if now > deadline:
            raise Transient(f"the worker published too little within {MAX_WAIT_S:g} s: is the broker well?")


@contextmanager
def _pipeline(settings: Settings, bootstrap: str | None) -> Iterator[tuple[Topics, Settings]]:
    """Topics of this run's own, on the brokers named or on an embedded one, and the settings for a worker there."""
    name = f"textstream-bench-{time.time_ns() // 1_000_000}"
    topics = Topics(name, f"{name}.enriched", f"{name}.dead", f"{name}.replay")
    if bootstrap is None:
        with EmbeddedBroker() as broker:
            broker.create_topics(topics.input, topics.enriched, topics.dead)
            consumer = settings.kafka.consumer | CONSUMER_PROPERTIES
            yield topics, _on(settings, topics, {"bootstrap_servers": broker.bootstrap_servers, "consumer": consumer})
        return
    admin = TopicAdmin(settings.kafka)
    admin.create((topics,), partitions=PARTITIONS, replication_factor=-1)
    try:
        yield topics, _on(settings, topics, {})
    finally:
        admin.delete((topics,))


def _on(settings: Settings, topics: Topics, kafka: dict[str, object]) -> Settings:
    reading = {"topics": [topics.input], "format": "json", "pointer": "/text", "replay_topic": topics.replay}
    update = {
        "kafka": settings.kafka.model_copy(update={"group_id": topics.input, **kafka}),
        "input": settings.input.model_copy(update=reading),
        "output": settings.output.model_copy(update={"topic": "{topic}.enriched", "dead_topic": "{topic}.dead"}),
    }
    return settings.model_copy(update=update)


def _texts(data: Path | None) -> list[str]:
    """The texts of the file's lines, or of the bundled sample's."""
    if data is None:
        lines = samples.values()
    elif data.is_file():
        with data.open("rb") as file:
            lines = list(itertools.islice(file, MAX_TEXTS))
    else:
        raise Misconfigured(f"there is no file {data}: --data names JSON lines with a text field")
    texts = [text for line in lines if (text := _text(line)) is not None]
    if not texts:
        raise Misconfigured(f'{data} holds no line like {{"text": "…"}}: --data names JSON lines with a text field')
    return texts


def _values(texts: Sequence[str], most: int) -> list[bytes]:
    """The texts in a loop, as JSON: at most `most` of them and `MAX_BYTES` in all."""
    size, values = 0, []
    for text in itertools.islice(itertools.cycle(texts), most):
        values.append(orjson.dumps({"text": text}))
        size += len(values[-1])
        if size > MAX_BYTES:
            break
    return values


def _text(line: bytes) -> str | None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    text = document.get("text") if isinstance(document, dict) else None
    return text if isinstance(text, str) else None


def _peak_memory_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB elsewhere
