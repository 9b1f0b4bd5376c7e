"""The comparison with other stream frameworks: its pure parts, and a short run of it on a real Kafka."""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.streams import compare, plots, proof, summary
from tests.bench.streams.contenders import ALL, BY_NAME, PROGRAMS
from tests.bench.streams.processes import Usage, parsed
from tests.bench.streams.scaling import Curve, Point, as_dict, by_partitions
from tests.bench.streams.windows import Sample, measured
from tests.support.kafka import Record
from textstream.bench.load import Arrivals, Schedule
from textstream.bench.run import cores, on_cores


def record(offset: int, text: str = "fine") -> Record:
    """An input."""
    return Record("in", 0, offset, None, json.dumps({"text": text}).encode(), [], 1_700_000_000_123)


def written(given: Record) -> Record:
    """Its output, as the programs of other frameworks make it."""
    event, headers = program().enriched(
        program().noop, json.loads(given.value or b""), "in", 0, given.offset, 1_700_000_000_123
    )
    return Record("out", 0, 7, None, json.dumps(event).encode(), list(headers), given.timestamp)


def program():
    """The module that they share."""
    sys.path.insert(0, str(PROGRAMS))
    try:
        import job
    finally:
        sys.path.remove(str(PROGRAMS))
    return job


def test_a_peer_writes_the_event_and_headers_that_textstream_writes() -> None:
    """What `programs/job.py` makes, without textstream, passes for an event of ours, field by field."""
    inputs = [record(0), record(1, "“naïve” 😀 很好")]
    proof.prove(inputs, [written(one) for one in inputs], "noop")


@pytest.mark.parametrize("fault", ["missing", "twice", "text", "header", "time", "key", "shape"])
def test_an_output_that_differs_is_told(fault: str) -> None:
    """Nothing that is lost, repeated or changed passes the proof."""
    inputs = [record(0), record(1)]
    outputs = [written(one) for one in inputs]
    last = outputs[1]
    event = json.loads(last.value or b"")
    changed = {
        "missing": [],
        "twice": [last, last],
        "text": [Record(*_with(last, value=json.dumps(event | {"text": "other"}).encode()))],
        "header": [Record(*_with(last, headers=last.headers[:-1]))],
        "time": [Record(*_with(last, timestamp=1))],
        "key": [Record(*_with(last, key=b"k"))],
        "shape": [Record(*_with(last, value=json.dumps(event | {"sentiment": {"label": "good"}}).encode()))],
    }[fault]
    with pytest.raises(proof.Wrong):
        proof.prove(inputs, [outputs[0], *changed], "noop")


def _with(one: Record, **changed: object) -> list[object]:
    return [changed.get(name, getattr(one, name)) for name in Record.__dataclass_fields__]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9), st.integers(0, 5_000), st.floats(0.5, 1e6))
def test_a_schedule_numbers_what_it_sends(bases: list[int], number: int, rate: float) -> None:
    """The place a message is sent to gives its number back, and at the time it is due it and all before it are due."""
    schedule = Schedule(1e9, rate, 5_001, bases)
    partition = number % schedule.partitions
    assert schedule.number(partition, bases[partition] + number // schedule.partitions) == number
    assert abs(schedule.due_by(schedule.due_s(number)) - (number + 1)) <= 1 + 1e-6 * rate  # of the clock's own resolution
    assert schedule.due_by(schedule.end_s + 1 / rate + 1) == schedule.messages
    assert schedule.due_by(1e9 - 1) == 0


def test_percentiles_leave_the_warm_up_out() -> None:
    """The first messages, slow ones here, are no part of the figures."""
    arrivals = Arrivals(np.arange(1_000), np.where(np.arange(1_000) < 250, 9.0, 0.002))
    assert arrivals.percentiles_ms(1_000, 50, 99.9) == pytest.approx([2, 2])
    assert arrivals.percentiles_ms(900, 99.9) == pytest.approx([9_000])


def samples(rate: float, seconds: float, most: int = sys.maxsize) -> list[Sample]:
    """One each 0.2 s, of a contender that first starts slowly."""
    times = np.arange(0, seconds, 0.2)
    counts = [min(most, int(rate * max(t - 1, t / 10))) for t in times]
    return [Sample(100 + t, count, Usage(count * 3e-6, 50 << 20)) for t, count in zip(times, counts, strict=True)]


def test_a_window_begins_behind_the_warm_up() -> None:
    """The slow start lowers no rate; CPU and memory are those of the window."""
    window = measured(samples(1_000, 8), 0.7, 2, 5, sys.maxsize)
    assert window.rate == pytest.approx(1_000, rel=0.01)
    assert window.cpu_s_per_million == pytest.approx(3)
    assert (window.resident_mib, window.first_s, window.ended_early) == (50, 0.7, False)


def test_a_window_ends_with_its_messages() -> None:
    """Time after the last message lowers no rate, and the result tells that it came early."""
    window = measured(samples(1_000, 12, most=4_000), 0.7, 2, 9, 4_000)
    assert window.rate == pytest.approx(1_000, rel=0.01)
    assert window.ended_early


def test_a_window_that_is_too_short_fails() -> None:
    """Buffers that empty within a moment are no rate."""
    with pytest.raises(AssertionError, match="--messages"):
        measured(samples(1_000, 0.4, most=10), 0.7, 2, 9, 10)


def test_ratios_are_taken_within_rounds() -> None:
    """A machine that gets slower from round to round changes no ratio; a round that failed is left out."""
    fast = [{"rate": 300.0}, {"rate": 200.0}, None, {"rate": 20.0}]
    slow = [{"rate": 100.0}, {"rate": 100.0}, {"rate": 50.0}, {"rate": 10.0}]
    assert summary.ratio(fast, slow, "rate") == 2
    assert summary.ratio([None], slow, "rate") is None


def test_limits_are_judged_by_themselves() -> None:
    """A rate too low and a latency within its bound; what was not measured is not judged."""
    window = {"rate": 20_000.0, "cpu_s_per_million": 40.0, "resident_mib": 250.0, "first_s": 2.0}
    judged = {
        (one["figure"], one.get("load")): one["met"]
        for one in summary.reached({"swift": [window]}, {"swift": {"0.5": {"p99_ms": 25.0}}})
    }
    assert judged == {("rate", None): False, ("resident_mib", None): True, ("first_s", None): True, ("p99_ms", "0.5"): True}


def test_growth_is_that_of_the_worst_pair() -> None:
    """Cost in proportion is 1, fixed cost less; one step up in the middle of a flat curve is seen."""

    def growth(*costs: float) -> float:
        return Curve("", "", [Point(10**at, cost) for at, cost in enumerate(costs)]).growth

    assert growth(1, 10, 100) == 1
    assert growth(50, 51, 60) < 0.2
    assert growth(1, 1, 20) == 2


def test_curves_are_drawn(tmp_path: Path) -> None:
    """A panel for each thing that grows."""
    drawn = {name: as_dict(Curve(f"unit of {name}", "µs", [Point(1, 2.0), Point(10, 3.0)])) for name in ("length", "terms")}
    (tmp_path / "curves.json").write_text(json.dumps({"curves": drawn}))
    plots.curves(tmp_path / "curves.json", tmp_path / "curves.svg")
    assert all(f"unit of {name}" in (tmp_path / "curves.svg").read_text() for name in drawn)


def test_each_aim_names_contenders_that_there_are() -> None:
    """A misspelt name would never be measured, and never be missed."""
    assert {name for one in summary.REACHES for name in (one.over, one.under)} <= BY_NAME.keys()
    assert {one.of for one in summary.LIMITS} <= BY_NAME.keys()
    assert len(BY_NAME) == len(ALL)


def test_what_the_kernel_tells_of_a_process_is_read_behind_its_name() -> None:
    """A name with spaces and parentheses moves no field."""
    fields = ["S", "1", "7", "42", *map(str, range(4, 50))]
    told = parsed(f"12 (a) b (c) {' '.join(fields)}")
    assert told.session == 42
    assert told.resident_bytes > 0


@pytest.fixture
def workers() -> Iterator[list[int]]:
    """The cores of contenders, while this process has the others."""
    workers, others = cores()
    with on_cores(others):
        yield workers


def test_no_contender_shares_the_brokers_core(tmp_path: Path) -> None:
    """Where there are two cores or more, a run whose contenders would share one with the broker is refused."""
    shared = sorted(os.sched_getaffinity(0))
    if os.cpu_count() != 1:
        with pytest.raises(AssertionError, match="share the cores"):
            compare.run(argparse.Namespace(cores=shared, partitions=1, results=tmp_path / "results.json"))


def test_a_short_run_on_a_real_kafka(tmp_path: Path, workers: list[int]) -> None:
    """The raw loop and our engine are proved, measured under load and at rest, and written down with what they are."""
    arguments = argparse.Namespace(
        contenders=[BY_NAME["raw"], BY_NAME["noop"]], rounds=1, window=1.0, warm_up=0.5, messages=150_000, partitions=4,
        loads=[0.5], latency_window=1.0, cores=workers, results=tmp_path / "results.json", plot=tmp_path / "results.svg",
    )  # fmt: skip
    assert compare.run(arguments) == 0
    plots.comparison(arguments.results, arguments.plot)
    found = json.loads(arguments.results.read_text())
    assert not found["errors"]
    for name in ("raw", "noop"):
        assert all(math.isfinite(figure) and figure > 0 for figure in found["medians"][name].values())
        for at_half in (found["latency"][name]["0.5"],):
            assert 0 < at_half["p50_ms"] <= at_half["p99_ms"] <= at_half["p99.9_ms"]
    assert found["reached"][0]["ratio"] > 0
    assert found["machine"]["cpu"] and found["date"] and found["command"]
    assert "noop" in arguments.plot.read_text()


def test_cost_by_partitions_is_measured_on_a_real_kafka(workers: list[int]) -> None:
    """A topic for each count of partitions, and the engine's processor time of a message on it."""
    arguments = argparse.Namespace(messages=60_000, warm_up=0.3, window=0.6, cores=workers)
    curve = by_partitions(arguments, [1, 8])
    assert [point.at for point in curve.points] == [1, 8]
    assert all(point.cost_us > 0 for point in curve.points)
