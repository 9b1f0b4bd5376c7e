"""`textstream bench`, on the embedded broker and on a real Kafka."""

import json
import math

import pytest

from tests.support.kafka import RealKafka
from tests.support.worker import textstream


@pytest.mark.parametrize("real", [False, True])
def test_every_figure_is_measured(kafka: RealKafka, real: bool) -> None:
    """Rates, latencies and memory come out finite and in order, on either broker, and nothing is left behind."""
    before = kafka.admin.list_topics(timeout=10).topics.keys()
    brokers = ("--kafka.bootstrap_servers", kafka.bootstrap_servers) if real else ()
    done = textstream("bench", "--seconds", "1", "--json", *brokers, timeout_s=150)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["broker"] == (kafka.bootstrap_servers if real else "the embedded broker")
    for name, value in figures.items():
        assert isinstance(value, str) or (math.isfinite(value) and value > 0), name
    assert figures["latency_p50_ms"] <= figures["latency_p99_ms"]
    assert figures["latency_load_per_second"] == figures["end_to_end_per_second"] / 2
    left = {name for name in kafka.admin.list_topics(timeout=10).topics if name.startswith("textstream-bench")}
    assert not left - before


def test_the_text_form_names_every_figure() -> None:
    """A reader sees what was measured, with its unit."""
    done = textstream("bench", "--seconds", "0.5", timeout_s=150)
    assert done.returncode == 0
    for word in ("scoring alone", "end to end", "p50", "p99", "peak memory", "messages/s", "MiB"):
        assert word in done.stdout
