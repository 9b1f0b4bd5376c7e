"""End-to-end latency of one contender at a load: a sender and a reader, each a process of its own."""

from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from tests.bench.streams.processes import Running
from tests.bench.streams.stage import Output
from tests.support.kafka import RealKafka, wait_until
from textstream.bench.load import WARM_UP, Place, measure

PERCENTS = (50, 99, 99.9)
WRITTEN_S = 30.0
"""A contender that has not written everything by then, counted from when one partition is all there, has lost some."""


def figures(
    broker: RealKafka, pool: ProcessPoolExecutor, topic: str, output: Output, running: Running,
    *, values: list[bytes], rate: float, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Percentiles in milliseconds from when each message was due to when a reader had its event; one partition is read."""
    ends, before = broker.end_offsets(topic), output.ends()
    bases = [ends[partition] for partition in sorted(ends)]
    client = {"bootstrap.servers": broker.bootstrap_servers}
    place = Place(client, client, topic, bases, output.name, before[0])
    schedule, arrivals, late = measure(pool, place, values, rate=rate, seconds=seconds)
    expected = sum(before) + schedule.messages

    def written() -> bool:
        running.check()
        return output.count() >= expected

    # The reader has all of its own partition; the contender may still be at work on the others.
    wait_until(written, WRITTEN_S, lambda: f"{expected - output.count()} messages never came out: {running.said[-1500:]}")
    found = zip(PERCENTS, arrivals.percentiles_ms(schedule.messages, *PERCENTS), strict=True)
    return {
        "rate": round(rate, 1),
        "messages": schedule.messages,
        "measured": int((arrivals.numbers >= schedule.messages * WARM_UP).sum()),
        **{f"p{percent:g}_ms": round(one, 3) for percent, one in found},
        "sender_late_p99_ms": round(float(np.percentile(late, 99)) * 1000, 3),
    }
