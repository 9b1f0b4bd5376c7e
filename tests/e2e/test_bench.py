"""`textstream bench`, on the embedded broker and on a real Kafka."""

import json
import math
import os
import time

from tests.support.kafka import RealKafka
from tests.support.worker import textstream
from textstream.bench.run import Report

QUICK_S = 50.0


def test_quick_measures_every_figure_in_its_time() -> None:
    """On the embedded broker all is there and in order within 50 s; as many times as long as others want the cores."""
    busy, began = max(1.0, os.getloadavg()[0]), time.monotonic()
    done = textstream("bench", "--quick", "--json", timeout_s=600)
    took_s = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, "what is measured ends in order"
    figures = json.loads(done.stdout)
    assert figures["broker"] == "the embedded broker"
    _check(figures)
    assert took_s <= QUICK_S * busy


def test_a_real_kafka_is_measured_and_left_as_it_was(kafka: RealKafka) -> None:
    """The same figures come from the brokers that the settings name, and no topic is left there; a client with room for few
    messages waits for the broker while the topics are filled."""
    before = kafka.admin.list_topics(timeout=10).topics.keys()
    few = '{"queue.buffering.max.messages": 2000}'
    brokers = "--kafka.bootstrap_servers", kafka.bootstrap_servers
    done = textstream("bench", "--quick", "--json", *brokers, "--kafka.producer", few, timeout_s=600)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["broker"] == kafka.bootstrap_servers
    _check(figures)
    left = {name for name in kafka.admin.list_topics(timeout=10).topics if name.startswith("textstream-bench")}
    assert not left - before


def _check(figures: dict[str, float | str]) -> None:
    for name in ("engine_over_raw", "swift_scoring_per_core", "swift_end_to_end", "p99_half_load_ms"):
        assert name in figures
    for name, value in figures.items():
        assert isinstance(value, str) or (math.isfinite(value) and value > 0), name
    assert figures["p50_half_load_ms"] <= figures["p99_half_load_ms"]  # type: ignore[operator]
    assert figures["half_load_per_second"] == figures["swift_end_to_end"] / 2  # type: ignore[operator]


def test_the_text_form_names_every_figure() -> None:
    """A reader sees what was measured, with its unit."""
    report = Report("swift", 300, 57.1, "there", 2, 5e4, 2.5e4, 0.5, 9e3, 8e3, 2.5, 4e3, 12.0, 40.0, 250.0)
    for word in ("engine", "raw loop", "scoring alone", "end to end", "p50", "p99", "peak memory", "messages/s", "MiB"):
        assert word in report.as_text()
    assert report.as_dict().keys() > {"engine_over_raw", "swift_scoring_per_core", "swift_end_to_end", "p99_half_load_ms"}
