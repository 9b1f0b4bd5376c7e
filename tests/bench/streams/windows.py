"""A rate over a fixed window: samples of how many messages are out, and what the processes have used by then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.streams.processes import Running, Usage
from textstream.bench.window import Seen, rate, sustained

SAMPLE_S = 0.2
FIRST_S = 0.02
MOST_START_S = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """`count` messages are out at `at_s`."""

    at_s: float
    count: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class Window:
    """What came of one run."""

    rate: float
    cpu_s_per_million: float
    resident_mib: float
    first_s: float
    window_s: float
    messages: int
    ended_early: bool
    """The messages were used up before the window was over."""

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def watch(
    running: Running, count: Callable[[], int], *, warm_up_s: float, window_s: float, most: int, may_finish: bool = False
) -> Window:
    """From the start of the processes until the window is over, or all `most` messages are out."""
    while not count():
        running.check()
        assert time.monotonic() < running.started_s + MOST_START_S, f"nothing came out in time: {running.said[-1500:]}"
        time.sleep(FIRST_S)
    first_s = time.monotonic() - running.started_s
    samples = [Sample(time.monotonic(), count(), running.usage())]
    while samples[-1].at_s < samples[0].at_s + warm_up_s + window_s and samples[-1].count < most:
        time.sleep(SAMPLE_S)
        running.check(may_finish=may_finish)
        if running.ended:
            break
        samples.append(Sample(time.monotonic(), count(), running.usage()))
    return measured(samples, first_s, warm_up_s, window_s, most)


def measured(samples: Sequence[Sample], first_s: float, warm_up_s: float, window_s: float, most: int) -> Window:
    """The window behind the warm-up; where the messages did not last so long, the last part of what there was."""
    seen = [Seen(one.at_s, one.count) for one in samples]
    part = sustained(seen, warm_up_s=warm_up_s, window_s=window_s, most=most)
    lasted_s = seen[-1].at_s - seen[0].at_s
    assert part, f"{seen[-1].out} messages in {lasted_s:.1f} s are no rate: give more with --messages, or a longer --window"
    first, last = (samples[at] for at in part)
    done = last.count - first.count
    return Window(
        rate=rate(seen, part),
        cpu_s_per_million=(last.usage.cpu_s - first.usage.cpu_s) / done * 1e6,
        resident_mib=max(one.usage.resident_bytes for one in samples[part[0] : part[1] + 1]) / 2**20,
        first_s=first_s,
        window_s=last.at_s - first.at_s,
        messages=done,
        ended_early=samples[-1].count >= most,
    )
