"""What operators see, on real servers: two workers on a real Kafka, scraped by a real Prometheus with the project's rules.

Only Grafana is missing: its queries are asked of Prometheus as Grafana would, with what can be chosen left at "All".
"""

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.dashboards import OURS, panels, variables
from tests.support.debian import MissingError
from tests.support.kafka import Outgoing, RealKafka, wait_until
from tests.support.needed import needed
from tests.support.prometheus import Prometheus, program, rules
from tests.support.reaper import Reaper
from tests.support.stream import Stream
from tests.support.worker import Worker, wait_for_members

PARTITIONS = 4
SESSION_S = 3
"""How long the group waits for a worker that was killed: its partitions have no owner meanwhile."""
MESSAGES_PER_ROUND, ROUND_S = 40, 0.2
PENDING_WITHIN_S = 60
LATE_S, PILE = 1.5, 30_000
"""Messages written as a worker dies wait for its session to end, longer than that; so many keep the other busy for seconds."""
TEXTS = [
    {"text": "The room was lovely but the staff were rude 😀"},
    {"text": "Battery life of the Nokia phone is great"},
    {"text": "电池很耐用，屏幕也清晰"},
    {"text": "服务态度很差，再也不会来了"},
    {"text": "Отличный сервис, но очень дорого."},
]
RARE = [b"{", None, json.dumps({"no": "text"}).encode()]
"""Two dead letters and a tombstone, in every fifth round."""

NOT_HERE = {
    "textstream_skipped_records_total": "only where retention was faster, under input.on_skip = continue",
    "textstream_drift_psi": "until 2,000 messages of a language are counted, and where the bundle has no reference",
    "job:textstream_drift_psi:avg": "as textstream_drift_psi",
    "textstream_retries_total": "nothing had to be tried again",
    "textstream_log_lines_suppressed_total": "no event was logged so often",
    'textstream_commits_total{result="failed"}': "no commit was refused",
    "ALERTS_FOR_STATE": "no alert is pending while all is well; the second test has one",
}
"""What a stream that is well may lack, with the reason; all else is there."""


class Served:
    """Two workers under load, and the Prometheus that scrapes them."""

    def __init__(self, stream: Stream, workers: tuple[Worker, Worker], prometheus: Prometheus) -> None:
        self.stream, self.workers, self.prometheus = stream, workers, prometheus


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """Prometheus is there; where it is not the tests fail and say what is missing."""
    needed(lambda: program("prometheus"), MissingError)


@pytest.fixture(scope="module")
def served(kafka: RealKafka, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Messages come all the time, and every series that needs two scrapes has them."""
    folder = tmp_path_factory.mktemp("operations")
    stream = Stream(kafka, reaper, folder, partitions=PARTITIONS)
    consumer = json.dumps({"session.timeout.ms": str(SESSION_S * 1000), "heartbeat.interval.ms": "500"})
    with stream.worker(kafka__consumer=consumer) as one, stream.worker(kafka__consumer=consumer) as two:
        wait_for_members(kafka, stream.group, 2, PARTITIONS)
        with Prometheus(reaper, folder, [one.address, two.address]) as prometheus, load(stream):
            settled = (
                "count(partition:textstream_position_offset:max > 100) == 4 and count(topic:textstream_outcomes:rate5m > 0) > 3"
            )
            wait_until(lambda: bool(prometheus.ask(settled)), 60, lambda: f"{one.log[-2000:]}{two.log[-2000:]}")
            yield Served(stream, (one, two), prometheus)


@contextmanager
def load(stream: Stream) -> Iterator[None]:
    """Messages in both languages and a third, and now and then what is none, until the block ends."""
    ended = threading.Event()
    values = itertools.cycle(json.dumps(text, ensure_ascii=False).encode() for text in TEXTS)

    def produce() -> None:
        for number in itertools.count():
            rare = RARE if number % 5 == 0 else []
            batch = [*itertools.islice(values, MESSAGES_PER_ROUND), *rare]
            stream.kafka.produce_all(stream.input, [Outgoing(value, partition=n % PARTITIONS) for n, value in enumerate(batch)])
            if ended.wait(ROUND_S):
                return

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def pile_up(stream: Stream) -> None:
    """More messages than a worker scores in a moment."""
    value = json.dumps(TEXTS[0]).encode()
    stream.kafka.produce_all(stream.input, [Outgoing(value, partition=n % PARTITIONS) for n in range(PILE)])


def chosen(query: str) -> str:
    """The query as Grafana sends it, with all that can be chosen, for windows of a minute."""
    for name, value in {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$topic": ".*"}.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


def may_be_empty(query: str) -> bool:
    """Whether it asks for something that a stream which is well may lack."""
    return any(name in query for name in NOT_HERE)


def test_every_panel_shows_something(served: Served) -> None:
    """Each query of each panel gives data, but for those that ask for what NOT_HERE names; so does what can be chosen."""
    empty = []
    for dashboard, panel in panels():
        for target in panel["targets"]:
            query = chosen(target["expr"])
            if not served.prometheus.ask(query) and not may_be_empty(query):
                empty.append((dashboard, panel["title"], query))
    assert not empty, empty
    for _, query in variables():
        (series, label) = re.fullmatch(r"label_values\((.+), (\w+)\)", chosen(query)).groups()  # type: ignore[union-attr]
        assert all(label in one["metric"] for one in served.prometheus.ask(series)) and served.prometheus.ask(series)


def test_every_rule_finds_its_series(served: Served) -> None:
    """What is recorded has data, and each series that an alert asks for is there: none is silent for want of a series."""
    empty = []
    for rule in rules():
        served.prometheus.ask(rule["expr"])  # Prometheus takes it
        named = [rule["record"]] if "record" in rule else re.findall(rf"({OURS}|up|process_\w+)(\{{[^}}]*\}})?", rule["expr"])
        for found in named:
            query = found if isinstance(found, str) else "".join(found)
            if not served.prometheus.ask(query) and not may_be_empty(query):
                empty.append((rule.get("alert") or rule["record"], query))
    assert not empty, empty
    health = served.prometheus.get("rules")["groups"]
    assert {rule["health"] for group in health for rule in group["rules"]} == {"ok"}


def test_the_numbers_are_right(served: Served) -> None:
    """What two workers count adds up: the partitions that there are, the dead letters that were sent, three languages."""
    ask = served.prometheus.value
    assert ask("sum(textstream_assigned_partitions)") == PARTITIONS
    assert ask("sum(textstream_ready)") == 2
    sent = 2 / (5 * MESSAGES_PER_ROUND + len(RARE))
    dead = ask('sum(textstream_outcomes_total{outcome="dead"}) / sum(textstream_outcomes_total)')
    assert dead == pytest.approx(sent, rel=0.5)
    languages = {
        one["metric"]["language"] for one in served.prometheus.ask("sum by (language) (textstream_text_messages_total)")
    }
    assert languages == {"en", "zh", "other"}


def test_a_killed_workers_partitions_are_taken_over(served: Served) -> None:
    """Of two workers one is killed: an alert is pending within a minute, messages wait while nobody has its partitions, the lag
    falls back once the other does, and the dashboards tell each of it. Last, for it leaves one worker."""
    prometheus, (one, two) = served.prometheus, served.workers
    down = one.address
    killed_at = time.monotonic()
    one.kill()
    pile_up(served.stream)  # at once: half of it waits until the group has missed the one that is gone
    wait_until(lambda: prometheus.alerts().get("TextstreamWorkerDown") == "pending", PENDING_WITHIN_S, "no alert is pending")
    pending_s = time.monotonic() - killed_at

    survivor = f'textstream_assigned_partitions{{instance="{two.address}"}}'
    wait_until(lambda: prometheus.value(survivor) == PARTITIONS, 60, lambda: f"{prometheus.ask(survivor)}\n{two.log[-2000:]}")
    highest = "max_over_time(max(partition:textstream_lag_seconds:max)[{:.0f}s:1s])"  # it may have fallen again by now
    wait_until(
        lambda: bool(prometheus.ask(f"{highest.format(time.monotonic() - killed_at)} > {LATE_S}")),
        60,
        lambda: str(prometheus.ask("textstream_lag_seconds[1m]")),
    )
    caught_up = f"max(partition:textstream_lag_seconds:max) < {LATE_S} and count(partition:textstream_lag_seconds:max) == 4"
    wait_until(lambda: bool(prometheus.ask(caught_up)), 60, lambda: str(prometheus.ask("textstream_lag_seconds")))
    peak_s = prometheus.value(highest.format(time.monotonic() - killed_at))
    print(f"pending after {pending_s:.1f} s, lag at most {peak_s:.1f} s, caught up after {time.monotonic() - killed_at:.1f} s")

    shown = {panel["title"]: [prometheus.ask(chosen(target["expr"])) for target in panel["targets"]] for _, panel in panels()}
    assert shown["Workers that are not ready"][0][0]["value"][1] == "1"
    assert down in {row["metric"].get("instance") for row in shown["What fires, or will soon"][0]}
    assert len(shown["Which partition is stuck?"][0]) == PARTITIONS
    assert {row["metric"]["instance"] for row in shown["Who holds which partition?"][0]} == {two.address}
    assert prometheus.alerts()["TextstreamWorkerDown"] == "pending"
    assert "TextstreamNoWorkerReady" not in prometheus.alerts()


def test_what_may_be_missing_is_asked_for() -> None:
    """NOT_HERE names no series that neither a panel nor a rule asks for: nothing is excused for nothing."""
    declared = {name.split("{")[0] for name in NOT_HERE} - {"ALERTS_FOR_STATE"}
    asked = " ".join(
        [target["expr"] for _, panel in panels() for target in panel["targets"]] + [rule["expr"] for rule in rules()]
    )
    assert all(name in asked for name in declared)
