"""End-to-end latency of one contender at shares of its capacity: a sender and a reader, each a process of its own."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.bench.streams.processes import Running
from tests.bench.streams.stage import Output
from tests.support.kafka import RealKafka
from textstream.bench.load import Schedule, read, send

SHARES = (0.1, 0.5, 0.8)
LEAD_S = 2.0
"""From the schedule's making to its first message: sender and reader start meanwhile."""
WARM_UP = 0.25
"""Share of the schedule that is sent and not measured."""
PERCENTS = (50, 99, 99.9)


@contextmanager
def pair() -> Iterator[ProcessPoolExecutor]:
    """Two processes that stay."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for one in [pool.submit(time.sleep, 0.5) for _ in range(2)]:
            one.result()  # both are there, with all imported
        yield pool


def measure(
    broker: RealKafka, pool: ProcessPoolExecutor, topic: str, output: Output, running: Running,
    *, values: list[bytes], rate: float, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Percentiles in milliseconds from when each message was due to when a reader had its event; one partition is read."""
    ends, before = broker.end_offsets(topic), output.ends()
    count = max(output.partitions * 10, int(rate * seconds / (1 - WARM_UP)))
    schedule = Schedule(time.time() + LEAD_S, rate, count, [ends[partition] for partition in sorted(ends)])
    config = {"bootstrap.servers": broker.bootstrap_servers}
    reading = pool.submit(read, config, [(output.name, 0, before[0])], schedule)
    late = pool.submit(send, config, topic, values, schedule).result()
    arrivals = reading.result()
    running.check()
    written = output.count() - sum(before)
    assert written >= count, f"{count} messages were sent, {written} came out: {running.said[-1500:]}"
    figures = arrivals.percentiles_ms(int(count * WARM_UP), *PERCENTS)
    return {
        "rate": round(rate, 1), "messages": count, "measured": int((arrivals.numbers >= count * WARM_UP).sum()),
        **{f"p{percent:g}_ms": round(figure, 3) for percent, figure in zip(PERCENTS, figures, strict=True)},
        "sender_late_p99_ms": round(float(np.percentile(late, 99)) * 1000, 3),
    }  # fmt: skip
