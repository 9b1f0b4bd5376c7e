"""`textstream bench`: messages a second, latency and memory, on the machine it runs on.

Scoring alone is the worker's own path without Kafka, on one thread: text in, encoded event out. The rest is measured on real
topics: on the brokers named in the settings, else on the embedded broker, which is lighter than Kafka. The worker, the sender
and the reader are processes of their own; where there are two cores or more, the worker has one, and the others share the rest.
"""

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from textstream import samples
from textstream.bench import load, raw
from textstream.bench.noop import NoopScorer
from textstream.bench.window import Seen, rate, sustained
from textstream.bench.worker import serve
from textstream.core.codec import Codec
from textstream.core.ports import Topics
from textstream.core.process import Scorer, enrich, prepare
from textstream.core.record import Position, Record
from textstream.errors import Misconfigured, Transient
from textstream.kafka.client import opened, properties
from textstream.kafka.embedded import CONSUMER_PROPERTIES, EmbeddedBroker
from textstream.kafka.topics import TopicAdmin
from textstream.model.cascade import load as load_scorer
from textstream.score import line_codec
from textstream.settings import Settings

MAX_TEXTS = 60_000
"""Messages that are scored at most, without Kafka."""
TOPICS, MAX_MESSAGES, MAX_BYTES = 4, 60_000, 12 * 2**20
"""Inputs of a backlog, and what each holds. The embedded broker keeps 5 MB a partition and forgets the oldest beyond that."""
MEASURED_EVERY = 6
PARTITIONS = 4
LOAD = 0.5
"""Latency is taken at this share of the rate just measured: below it queues are short, above it they are not."""
WARM_UP_S = 0.5
"""From the first outcome on, before a rate counts."""
MAX_WAIT_S = 60.0
"""Longest wait for a first outcome, and for a worker to end."""
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Length:
    """How long it takes: seconds of each measurement, and how often the engine and the raw loop take turns.

    Turns after the first begin within `turns_s` of the start of all.
    """

    seconds: float
    rounds: int
    texts: int = MAX_TEXTS
    turns_s: float = 600.0


QUICK = Length(seconds=2, rounds=3, texts=20_000, turns_s=15.0)
"""Within 50 s: on a machine that is busy the engine and the raw loop take fewer turns."""
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured; rates are messages a second, latencies from when a message was due to its reader, in milliseconds."""

    model: str
    messages: int
    mean_characters: float
    broker: str
    cores: int
    raw_per_second: float
    engine_per_second: float
    engine_over_raw: float
    scoring_per_core: float
    end_to_end: float
    first_enriched_s: float
    half_load_per_second: float
    p50_half_load_ms: float
    p99_half_load_ms: float
    peak_worker_mib: float | None
    """None where the system does not tell."""

    def as_dict(self) -> dict[str, Any]:
        """For machines; what the model did bears its name."""
        own = ("scoring_per_core", "end_to_end")
        return {f"{self.model}_{name}" if name in own else name: value for name, value in asdict(self).items()}

    def as_text(self) -> str:
        """For readers."""
        return "\n".join(
            [
                f"messages          {self.messages:,} distinct, {self.mean_characters:.0f} characters on average",
                f"engine            {self.engine_per_second:,.0f} messages/s with a model that computes nothing,"
                f" {self.engine_over_raw:.2f} of a raw loop's {self.raw_per_second:,.0f}",
                f"scoring alone     {self.scoring_per_core:,.0f} messages/s on one thread, text in, event out",
                f"end to end        {self.end_to_end:,.0f} messages/s on {self.broker},"
                f" the first {self.first_enriched_s:.1f} s after the start",
                f"latency           p50 {self.p50_half_load_ms:.0f} ms, p99 {self.p99_half_load_ms:.0f} ms"
                f" at {self.half_load_per_second:,.0f} messages/s",
                f"peak memory       {_told(self.peak_worker_mib)}, of a worker",
            ]
        )


def run_bench(settings: Settings, scorer: Scorer, *, data: Path | None, length: Length, bootstrap: str | None) -> Report:
    """Measure; `bootstrap` None takes the embedded broker. Raises `Misconfigured` where `data` holds no messages."""
    began, texts = time.monotonic(), _texts(data)
    scoring = scoring_rate(settings, scorer, _values(texts, length.texts), length.seconds)
    values = _values(texts, MAX_MESSAGES)
    workers, others = cores()
    with on_cores(others), _pipeline(settings, bootstrap) as (settings_there, topics), load.pair() as pool:
        stage = _Stage(settings_there, topics, values, workers)
        rounds: list[tuple[float, float]] = []
        while not rounds or (len(rounds) < length.rounds and time.monotonic() < began + length.turns_s):
            rounds.append((stage.rate(_raw, length)[0], stage.rate(_noop, length)[0]))
        end_to_end, first_s = stage.rate(_model, length)
        half = LOAD * end_to_end
        p50, p99 = stage.latencies_ms(pool, half, length.seconds, 50, 99)
    return Report(
        model=scorer.info["name"].removeprefix("textstream-"),
        messages=len(set(texts)),
        mean_characters=sum(map(len, texts)) / len(texts),
        broker=bootstrap or "the embedded broker",
        cores=len({*workers, *others}),
        raw_per_second=median(loop for loop, _ in rounds),
        engine_per_second=median(engine for _, engine in rounds),
        engine_over_raw=median(engine / loop for loop, engine in rounds),
        scoring_per_core=scoring,
        end_to_end=end_to_end,
        first_enriched_s=first_s,
        half_load_per_second=half,
        p50_half_load_ms=p50,
        p99_half_load_ms=p99,
        peak_worker_mib=stage.peak_mib,
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


def _raw(settings: Settings, output: str) -> None:
    reading = {**raw.READING, "group.id": settings.kafka.group_id}
    consumer = opened(Consumer, properties(settings.kafka, reading, settings.kafka.consumer))
    consumer.subscribe(list(settings.input.topics))
    raw.run(consumer, opened(Producer, properties(settings.kafka, raw.WRITING, settings.kafka.producer)), output)


def _noop(settings: Settings, _: str) -> None:
    serve(settings, NoopScorer())


def _model(settings: Settings, _: str) -> None:
    serve(settings, load_scorer(**settings.model.loading()))


Engine = Callable[[Settings, str], None]


def _pinned(cores: Sequence[int], engine: Engine, settings: Settings, output: str) -> None:
    with on_cores(cores):
        engine(settings, output)


def _queued(producer: Producer, topic: str, value: bytes, partition: int) -> bool:
    """Whether the client had room for the message: a broker may be slower than whoever fills its topics."""
    try:
        producer.produce(topic, value, partition=partition)
    except BufferError:
        return False
    return True


class _Stage:
    """Inputs that hold a backlog, one that is empty, and one engine at a time in a process of its own."""

    def __init__(self, settings: Settings, topics: Sequence[Topics], values: Sequence[bytes], cores: Sequence[int]) -> None:
        self._settings, self._cores, self._values = settings, cores, values
        self._empty, *self._full = topics
        self._output = self._empty.enriched
        self._runs = itertools.count()
        self.peak_mib: float | None = None  # of the workers that had the model
        self._client = properties(settings.kafka, {}, {})
        self._looking = opened(Consumer, properties(settings.kafka, {"group.id": self._output}, settings.kafka.consumer))
        producer = opened(Producer, properties(settings.kafka, {"linger.ms": 20}, settings.kafka.producer))
        slow = Transient(f"the broker did not take the messages within {MAX_WAIT_S:g} s: is it well?")
        for topic, (number, value) in itertools.product(self._full, enumerate(values)):
            deadline = time.monotonic() + MAX_WAIT_S
            while not _queued(producer, topic.input, value, number % PARTITIONS):
                if time.monotonic() > deadline:
                    raise slow
                producer.poll(POLL_S)
            if number % 1_000 == 0:
                producer.poll(0)
        if producer.flush(MAX_WAIT_S):
            raise slow

    def rate(self, engine: Engine, length: Length) -> tuple[float, float]:
        """Messages a second while a backlog is worked off, and seconds from the start of the process to the first outcome."""
        before, began, most = self._count(), time.monotonic(), len(self._full) * len(self._values)
        with self._running(engine, self._full) as process:
            seen = [Seen(self._first(process, before), self._count() - before)]
            while seen[-1].at_s < seen[0].at_s + WARM_UP_S + length.seconds and seen[-1].out < most:
                time.sleep(POLL_S)
                _check(process)
                seen.append(Seen(time.monotonic(), self._count() - before))
        part = sustained(seen, warm_up_s=WARM_UP_S, window_s=length.seconds, most=most)
        if part is None:
            raise Transient(
                f"{seen[-1].out} messages within {seen[-1].at_s - seen[0].at_s:.1f} s are no rate: --seconds is more"
            )
        return rate(seen, part), seen[0].at_s - began

    def latencies_ms(self, pool: Any, messages_per_second: float, seconds: float, *percents: float) -> list[float]:
        """The model's, at this load."""
        with self._running(_model, [self._empty]) as process:
            before = self._count()
            self._send_one()
            self._first(process, before)
            ends = self._ends(self._empty.input), self._ends(self._output)
            reader = properties(self._settings.kafka, {}, self._settings.kafka.consumer)
            place = load.Place(self._client, reader, self._empty.input, ends[0], self._output, ends[1][0])
            schedule, arrivals, _ = load.measure(pool, place, self._values, rate=messages_per_second, seconds=seconds)
            _check(process)
        return arrivals.percentiles_ms(schedule.messages, *percents)

    def _send_one(self) -> None:
        """What tells that the worker reads."""
        producer = opened(Producer, properties(self._settings.kafka, {}, self._settings.kafka.producer))
        producer.produce(self._empty.input, self._values[0], partition=0)
        producer.flush(MAX_WAIT_S)

    @contextmanager
    def _running(self, engine: Engine, topics: Sequence[Topics]) -> Iterator[BaseProcess]:
        kafka, reading = self._settings.kafka, self._settings.input
        settings = self._settings.model_copy(
            update={
                "kafka": kafka.model_copy(update={"group_id": f"{self._output}-{next(self._runs)}"}),
                "input": reading.model_copy(update={"topics": [one.input for one in topics]}),
            }
        )
        process = multiprocessing.get_context("spawn").Process(
            target=_pinned, args=(self._cores, engine, settings, self._output), daemon=True
        )
        process.start()
        try:
            yield process
            if engine is _model and (peak := _peak_mib(process.pid or 0)) is not None:
                self.peak_mib = max(peak, self.peak_mib or 0.0)
        finally:
            process.terminate()  # SIGTERM: a worker drains
            process.join(MAX_WAIT_S)
            if process.is_alive():
                process.kill()
                process.join()

    def _first(self, process: BaseProcess, before: int) -> float:
        """When the first outcome was seen."""
        deadline = time.monotonic() + MAX_WAIT_S
        while self._count() == before:
            _check(process)
            if time.monotonic() > deadline:
                raise Transient(f"nothing was published within {MAX_WAIT_S:g} s: is the broker well?")
            time.sleep(POLL_S)
        return time.monotonic()

    def _count(self) -> int:
        return sum(self._ends(self._output))

    def _ends(self, topic: str) -> list[int]:
        asked = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        return [self._looking.get_watermark_offsets(one, timeout=MAX_WAIT_S)[1] for one in asked]


def _check(process: BaseProcess) -> None:
    if not process.is_alive():
        raise Transient(f"the worker ended with status {process.exitcode}; what it said stands above")


@contextmanager
def _pipeline(settings: Settings, bootstrap: str | None) -> Iterator[tuple[Settings, tuple[Topics, ...]]]:
    """Topics of this run's own, on the brokers named or on an embedded one, and the settings for a worker there."""
    name = f"textstream-bench-{time.time_ns() // 1_000_000}"
    inputs = [f"{name}-{number}" for number in range(1 + TOPICS)]
    topics = tuple(Topics(one, f"{name}.enriched", f"{name}.dead", f"{one}.replay") for one in inputs)
    if bootstrap is None:
        with EmbeddedBroker() as broker:
            broker.create_topics(*inputs, topics[0].enriched, topics[0].dead)
            consumer = settings.kafka.consumer | CONSUMER_PROPERTIES
            kafka = {"bootstrap_servers": broker.bootstrap_servers, "consumer": consumer}
            yield _on(settings, topics[0], kafka), topics
        return
    admin = TopicAdmin(settings.kafka)
    admin.create(topics, partitions=PARTITIONS, replication_factor=-1)
    try:
        yield _on(settings, topics[0], {}), topics
    finally:
        admin.delete(topics)


def _on(settings: Settings, topics: Topics, kafka: Mapping[str, object]) -> Settings:
    reading = {"format": "json", "pointer": "/text", "replay_topic": "{topic}.replay", "start": "earliest"}
    update = {
        "kafka": settings.kafka.model_copy(update=dict(kafka)),
        "input": settings.input.model_copy(update=reading),
        "output": settings.output.model_copy(update={"topic": topics.enriched, "dead_topic": topics.dead}),
    }
    return settings.model_copy(update=update)


def cores() -> tuple[list[int], list[int]]:
    """The cores of what is measured, and those of the broker and of whoever sends, reads and watches.

    One core is shared by all; where the system does not tell, nothing is pinned and both are empty.
    """
    mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    split = len(mine) // 2 if len(mine) > 3 else min(1, len(mine) - 1)
    return (mine[-split:], mine[:-split]) if split > 0 else (mine, mine)


@contextmanager
def on_cores(those: Sequence[int]) -> Iterator[None]:
    """This thread, and all that is started meanwhile."""
    if not those:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, those)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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


def _told(mib: float | None) -> str:
    return "not told by this system" if mib is None else f"{mib:,.0f} MiB"


def _text(line: bytes) -> str | None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    text = document.get("text") if isinstance(document, dict) else None
    return text if isinstance(text, str) else None


def _peak_mib(pid: int) -> float | None:
    """The most that a process ever held; None where the system does not tell, or it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:")), None)
