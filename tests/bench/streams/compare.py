"""The comparison: prove what each contender writes, then windows in turn, round after round, then latency."""

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from tests.bench.streams import latency, proof, summary
from tests.bench.streams.contenders import Contender, Job
from tests.bench.streams.environments import Unavailable, versions
from tests.bench.streams.processes import ContenderEnded, Running
from tests.bench.streams.stage import Output, fill, kafka, messages, write_lines
from tests.bench.streams.windows import watch
from tests.support.kafka import KAFKA_VERSION, RealKafka, unique, wait_until
from tests.support.reaper import Reaper
from textstream.bench.load import pair
from textstream.errors import TextstreamError

PROVED = 400
"""Messages that each contender writes first, to be looked at one by one."""
STILL_S = 1.5
"""Nothing more is to come when nothing has come for so long."""
PROOF_S = 180.0
ALONE_TEXTS = 5_000
FAILURES = (
    AssertionError, ContenderEnded, Unavailable, proof.Wrong, TextstreamError, KafkaException, BufferError, TimeoutError
)  # fmt: skip
LATENCY = ("raw", "noop", "swift")
"""And the fastest peer."""


@dataclass
class Bench:
    """What all runs share, and what they gave so far."""

    broker: RealKafka
    reaper: Reaper
    folder: Path
    partitions: int
    cores: Sequence[int]  # of the contenders
    distinct: int  # messages, of those that fill the input
    errors: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)
    latencies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def running(self, contender: Contender, topic: str, linger_ms: int = 5) -> Iterator[tuple[Running, Output]]:
        """A contender at work on a topic, with a group and an output of its own."""
        output = Output(self.broker, unique(f"out-{contender.name}"), self.partitions)
        job = Job(
            self.broker.bootstrap_servers, topic, output.name, unique(f"group-{contender.name}"),
            self.folder / "messages.jsonl", linger_ms,
        )  # fmt: skip
        log = self.folder / f"{output.name}.log"
        running = Running(contender, job, self.cores, log, self.reaper)
        try:
            yield running, output
        finally:
            running.stop()
            output.remove()

    def attempt(self, name: str, step: Callable[[], Any]) -> Any:
        """None where it fails, and why is kept: one contender's failure is no other's."""
        try:
            return step()
        except FAILURES as error:
            self.errors.setdefault(name, []).append(f"{type(error).__name__}: {error}")
            print(f"{name}: {self.errors[name][-1]}", file=sys.stderr, flush=True)
            return None


def run(arguments: argparse.Namespace) -> int:
    """Everything, with the results written after each round."""
    shared = set(arguments.cores) & os.sched_getaffinity(0)
    assert not shared or os.cpu_count() == 1, f"contenders share the cores {shared} with the broker"
    began, reaper = time.monotonic(), Reaper()
    with tempfile.TemporaryDirectory() as folder, kafka(reaper) as broker:
        values = messages()
        bench = Bench(broker, reaper, Path(folder), arguments.partitions, arguments.cores, len(set(values)))
        write_lines(values[:ALONE_TEXTS], bench.folder / "messages.jsonl")
        ready = _proved(bench, arguments.contenders, values)
        topic = broker.create_topic(unique("in"), arguments.partitions)
        fill(broker, topic, values, arguments.messages, arguments.partitions)
        for number in range(arguments.rounds):
            for contender in ready if number % 2 == 0 else reversed(ready):
                if number == 0 or not contender.once:
                    _window(bench, contender, topic, arguments)
            _write(bench, arguments, began)
        if arguments.loads:
            _latencies(bench, arguments, values)
        _write(bench, arguments, began)
    reaper.close()
    return 1 if bench.errors else 0


def _proved(bench: Bench, contenders: Sequence[Contender], values: list[bytes]) -> list[Contender]:
    """Those that wrote what they were meant to."""
    topic = bench.broker.create_topic(unique("proof"), bench.partitions)
    fill(bench.broker, topic, values, PROVED, bench.partitions)
    given = proof.read(bench.broker, topic)
    return [one for one in contenders if bench.attempt(one.name, lambda one=one: _prove(bench, one, topic, given))]


def _prove(bench: Bench, contender: Contender, topic: str, given: list[Any]) -> bool:
    contender.python()
    if contender.writes == "nothing":
        return True
    with bench.running(contender, topic) as (running, output):
        changed = [0, time.monotonic()]

        def done() -> bool:
            running.check(may_finish=contender.kind == "limit")
            if (count := output.count()) != changed[0]:
                changed[:] = [count, time.monotonic()]
            return count >= PROVED and time.monotonic() - changed[1] > STILL_S

        wait_until(done, PROOF_S, lambda: f"{changed[0]} of {PROVED} messages came out: {running.said[-1500:]}")
        running.stop()
        keeps_time = contender.program != "arroyo_app.py"
        proof.prove(given, proof.read(bench.broker, output.name), contender.writes, keeps_time=keeps_time)
    return True


def _window(bench: Bench, contender: Contender, topic: str, arguments: argparse.Namespace) -> None:
    """One window of one contender."""

    def step() -> dict[str, Any]:
        with bench.running(contender, topic) as (running, output):
            count = output.count if contender.writes != "nothing" else lambda: _last_number(running.said)
            most = arguments.messages if contender.writes != "nothing" else sys.maxsize
            window = watch(
                running, count, warm_up_s=arguments.warm_up, window_s=arguments.window, most=most,
                may_finish=contender.kind == "limit",
            )  # fmt: skip
        return window.as_dict()

    found = bench.attempt(contender.name, step)
    bench.runs.setdefault(contender.name, []).append(found)
    if found:
        told = f"{found['rate']:>10,.0f} messages/s {found['cpu_s_per_million']:>9.1f} CPU µs a message"
        print(f"{contender.name:22} {told} {found['resident_mib']:>6.0f} MiB  first {found['first_s']:.2f} s", flush=True)


def _last_number(said: str) -> int:
    return next((int(line) for line in reversed(said.splitlines()[:-1] or said.splitlines()) if line.isdigit()), 0)


def _latencies(bench: Bench, arguments: argparse.Namespace, values: list[bytes]) -> None:
    """At shares of what each did in its windows."""
    by_name = {one.name: one for one in arguments.contenders}
    best = summary.fastest(bench.runs, [one.name for one in arguments.contenders if one.kind == "peer"])[:1]
    capacity = summary.medians(bench.runs)
    with pair() as pool:
        for name in [*LATENCY, *best]:
            if name not in by_name or name not in capacity:
                continue
            topic = bench.broker.create_topic(unique("load"), arguments.partitions)

            def step(name: str = name, topic: str = topic) -> dict[str, Any]:
                with bench.running(by_name[name], topic, linger_ms=1) as (running, output):
                    return {
                        f"{share:g}": latency.figures(
                            bench.broker, pool, topic, output, running, values=values,
                            rate=share * capacity[name]["rate"], seconds=arguments.latency_window,
                        )
                        for share in arguments.loads
                    }  # fmt: skip

            if found := bench.attempt(name, step):
                bench.latencies[name] = found
                print(name, json.dumps(found), flush=True)
            bench.broker.admin.delete_topics([topic])[topic].result(timeout=30)


def _write(bench: Bench, arguments: argparse.Namespace, began: float) -> None:
    """Results so far."""
    results = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": shlex.join(["python", "-m", "tests.bench.streams", *sys.argv[1:]]),
        "machine": machine(arguments.cores),
        "kafka": KAFKA_VERSION,
        "took_s": round(time.monotonic() - began),
        "rounds": arguments.rounds,
        "window_s": arguments.window,
        "warm_up_s": arguments.warm_up,
        "partitions": arguments.partitions,
        "messages": {"count": arguments.messages, "distinct": bench.distinct},
        "medians": summary.medians(bench.runs),
        "reached": summary.reached(bench.runs, bench.latencies),
        "latency": bench.latencies,
        "errors": bench.errors,
        "contenders": {one.name: _about(one) for one in arguments.contenders if one.name in bench.runs},
        "runs": bench.runs,
    }
    arguments.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _about(contender: Contender) -> dict[str, Any]:
    return {
        "kind": contender.kind, "scorer": contender.scorer, "workers": contender.workers,
        "guarantee": contender.guarantee,
        "versions": versions(contender.python()) if contender.pins else {},
    }  # fmt: skip


def machine(contenders: Sequence[int]) -> dict[str, Any]:
    """What it was measured on."""
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "cpu": names[0] if names else platform.processor(), "cpus": os.cpu_count(), "python": platform.python_version(),
        "contender_cores": len(contenders), "other_cores": len(os.sched_getaffinity(0)),
    }  # fmt: skip
