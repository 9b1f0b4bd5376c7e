"""End-to-end latency of one contender at a load: a sender and a reader, each a process of its own."""

from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from tests.bench.streams.processes import Running
from tests.bench.streams.stage import Output
from tests.support.kafka import RealKafka
from textstream.bench.load import WARM_UP, Place, measure

PERCENTS = (50, 99, 99.9)


def figures(
    broker: RealKafka, pool: ProcessPoolExecutor, topic: str, output: Output, running: Running,
    *, values: list[bytes], rate: float, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Percentiles in milliseconds from when each message was due to when a reader had its event; one partition is read."""
    ends, before = broker.end_offsets(topic), output.ends()
    bases = [ends[partition] for partition in sorted(ends)]
    place = Place({"bootstrap.servers": broker.bootstrap_servers}, topic, bases, output.name, before[0])
    schedule, arrivals, late = measure(pool, place, values, rate=rate, seconds=seconds)
    running.check()
    written = output.count() - sum(before)
    assert written >= schedule.messages, f"{schedule.messages} messages were sent, {written} came out: {running.said[-1500:]}"
    found = zip(PERCENTS, arrivals.percentiles_ms(schedule.messages, *PERCENTS), strict=True)
    return {
        "rate": round(rate, 1),
        "messages": schedule.messages,
        "measured": int((arrivals.numbers >= schedule.messages * WARM_UP).sum()),
        **{f"p{percent:g}_ms": round(one, 3) for percent, one in found},
        "sender_late_p99_ms": round(float(np.percentile(late, 99)) * 1000, 3),
    }
