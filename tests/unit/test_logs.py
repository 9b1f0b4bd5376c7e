"""Logs: one stable name a line, so many a minute of each, and nothing of a message."""

import ast
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import textstream
from textstream.core.record import Outcome, Position, Record
from textstream.observe import logs
from textstream.observe.logs import MAX_EVENTS, MINUTE_S, OTHER, Limit
from textstream.observe.metrics import Metrics
from textstream.observe.telemetry import dead_letter_fields

EVENT = re.compile(r"[a-z][a-z0-9_]*")


@pytest.fixture
def configured() -> Iterator[None]:
    """What a test configured is undone."""
    yield
    structlog.reset_defaults()
    for name in ("textstream", "opentelemetry"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger(name).propagate = True


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was logged as JSON since the last call."""
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def calls() -> Iterator[tuple[str, ast.expr]]:
    """Where each of our log calls stands, and its first argument."""
    for file in sorted(Path(textstream.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            whose, how = ast.unparse(node.func.value), node.func.attr
            ours = whose == "log" or whose.endswith(("get_logger('cli')", "get_logger('logs')"))
            if ours and how in ("debug", "info", "warning", "error", "exception", "critical"):
                yield f"{file.name}:{node.lineno}", node.args[0]


def test_an_event_is_a_name() -> None:
    """Each log call of ours begins with a fixed name in small letters; what happened stands in fields."""
    found = list(calls())
    assert len(found) > 20
    for where, event in found:
        named = logs.SUPPRESSED if isinstance(event, ast.Name) and event.id == "SUPPRESSED" else event
        text = named if isinstance(named, str) else named.value if isinstance(named, ast.Constant) else ""
        assert EVENT.fullmatch(str(text)), f"{where}: {ast.unparse(event)} is no event's name"


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 20)), max_size=200),
)
def test_of_each_event_so_many_a_minute(per_minute: int, steps: list[tuple[str, float]]) -> None:
    """Whatever comes when: never more than a burst and the rate, each event by itself, and what is told as suppressed is all
    that was."""
    limit, now = Limit(per_minute), 0.0
    asked, logged, told = Counter[str](), Counter[str](), Counter[str]()
    for event, pause_s in steps:
        now += pause_s
        for name, count in limit.due(now):
            told[name] += count
        asked[event] += 1
        logged[event] += limit.lets_through(event, now)
        assert logged[event] <= per_minute * (1 + now / MINUTE_S) + 1e-6
    for name, count in limit.due(float("inf")):
        told[name] += count
    assert asked == logged + told
    assert limit.due(float("inf")) == []


def test_a_quiet_event_is_not_held_up_by_a_loud_one() -> None:
    """A flood of one name leaves the first line of another where it is; once it ebbs, its own lines come again."""
    limit = Limit(5)
    assert [limit.lets_through("loud", 0) for _ in range(100)].count(True) == 5
    assert limit.lets_through("quiet", 0)
    assert limit.lets_through("loud", MINUTE_S)


def test_what_is_remembered_is_bounded() -> None:
    """Names without end, as no code of ours has them, share one limit in the end."""
    limit = Limit(1)
    for number in range(10 * MAX_EVENTS):
        limit.lets_through(f"event {number}", 0)
    told = dict(limit.due(MINUTE_S))
    assert told == {OTHER: 9 * MAX_EVENTS - 1}


@pytest.mark.usefixtures("configured")
def test_suppressed_lines_are_counted_and_summed_up(capfd: pytest.CaptureFixture[str]) -> None:
    """The metric holds each at once, the log one line for them all; debug lines, which come only when asked for, all come."""
    metrics = Metrics()
    logs.configure(
        "json", "debug", lines_per_minute=2, suppressed=lambda event: metrics.log_lines_suppressed.labels(event).inc()
    )
    log = logs.get_logger("test")
    for number in range(10):
        log.warning("loud", number=number)
        log.debug("asked_for", number=number)
    logging.getLogger("textstream").handlers[0].close()
    found = lines(capfd)
    assert Counter(line["event"] for line in found) == {"loud": 2, "asked_for": 10, "lines_suppressed": 1}
    assert (found[-1]["of"], found[-1]["lines"]) == ("loud", 8)
    assert metrics.registry.get_sample_value("textstream_log_lines_suppressed_total", {"event": "loud"}) == 8


@pytest.mark.usefixtures("configured")
def test_names_without_end_make_no_series_without_end() -> None:
    """What is suppressed is counted by the name that it is limited as: the metric has no more series than the limit names."""
    told: Counter[str] = Counter()
    logs.configure("json", "info", lines_per_minute=1, suppressed=lambda event: told.update([event]))
    for number in range(2 * MAX_EVENTS):
        for _ in range(2):
            logging.getLogger(f"opentelemetry.n{number}").warning("twice")
    assert len(told) == MAX_EVENTS + 1
    assert told[OTHER] == 2 * MAX_EVENTS - 1


@pytest.mark.usefixtures("configured")
def test_lines_of_libraries_have_names_too(capfd: pytest.CaptureFixture[str]) -> None:
    """librdkafka's by what it calls them, others' by their logger; what they say is a field."""
    logs.configure("json", "info")
    logging.getLogger("textstream.kafka").error("%s [%s] %s", "FAIL", "rdkafka#consumer-1", "refused")
    logging.getLogger("opentelemetry.exporter").warning("cannot reach %s", "it")
    kafka, other = lines(capfd)
    assert (kafka["event"], kafka["message"], kafka["level"]) == (
        "librdkafka.fail",
        "FAIL [rdkafka#consumer-1] refused",
        "error",
    )
    assert (other["event"], other["message"]) == ("opentelemetry.exporter", "cannot reach it")


def test_of_a_dead_letter_the_text_is_told_only_where_that_is_asked_for() -> None:
    """Neither its value nor what was wrong with it, word for word: both may hold what somebody wrote."""
    headers: list[tuple[str, bytes | None]] = [("__connect.errors.exception.message", b"cannot score canary")]
    record = Record(Position("in", 0, 7, 0), b"canary" * 1000, timestamp_ms=0)
    outcome = Outcome(record, "dead", record.value, headers, 0, reason="scoring_failed")
    fields = dead_letter_fields(outcome, show_text=False)
    assert fields == {"id": "in-0-7", "reason": "scoring_failed", "bytes": 6000}
    shown = dead_letter_fields(outcome, show_text=True)
    assert (shown["why"], len(str(shown["value"]))) == ("cannot score canary", 500)
