"""Whether a contender wrote what it was meant to: every message of a small topic, once, with its event and headers."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator

from tests.bench.streams.contenders import Writes
from tests.support.kafka import RealKafka, Record
from textstream.bench.noop import INFO, analysis
from textstream.event import enriched_event, json_schema, rfc3339


class Wrong(Exception):
    """The output is not what it was meant to be; the message says where."""


def prove(given: Sequence[Record], written: Sequence[Record], writes: Writes, *, keeps_time: bool = True) -> None:
    """Raises `Wrong` where one is missing, there twice, or differs."""
    if writes == "bytes":
        if Counter(one.value for one in given) != Counter(one.value for one in written):
            raise Wrong(f"{len(given)} messages were given, {len(written)} written, and they are not the same")
        return
    due = {f"{one.topic}/{one.partition}/{one.offset}": one for one in given}
    counts = Counter((one.header("textstream.source") or b"").decode() for one in written)
    missing, extra = due.keys() - counts.keys(), counts - Counter(dict.fromkeys(due, 1))
    if missing or extra:
        raise Wrong(f"of {len(due)} messages {len(missing)} are missing and {extra.total()} too many: {list(missing)[:3]}")
    schema = Draft202012Validator(json_schema())
    for one in written:
        source = due[(one.header("textstream.source") or b"").decode()]
        _compare(source, one, writes, schema, keeps_time)


def _compare(given: Record, written: Record, writes: Writes, schema: Draft202012Validator, keeps_time: bool) -> None:
    event = json.loads(written.value or b"null")
    if (problem := next(schema.iter_errors(event), None)) is not None:
        raise Wrong(f"{problem.json_path}: {problem.message[:300]}")
    expected = expected_event(given)
    same = ("id", "text", "source") if writes == "scored" else tuple(expected)
    for name in same:
        if name != "processed_at" and event[name] != expected[name]:
            raise Wrong(f"{name} is {event[name]!r}, not {expected[name]!r}")
    label = event["sentiment"]["label"] if event["sentiment"] else "none"
    model = event["model"]
    headers = {
        "textstream.id": event["id"], "textstream.label": label, "textstream.schema": "1",
        "textstream.source": f"{given.topic}/{given.partition}/{given.offset}",
        "textstream.model": f"{model['name']}/{model['version']}@{model['digest']}",
    }  # fmt: skip
    found = {name: (value or b"").decode() for name, value in written.headers}
    if found != headers or len(written.headers) != len(headers):
        raise Wrong(f"headers are {found}, not {headers}")
    if written.key != given.key or (keeps_time and written.timestamp != given.timestamp):
        raise Wrong(f"key and time are {written.key!r}, {written.timestamp}, not {given.key!r}, {given.timestamp}")


def expected_event(given: Record) -> dict[str, Any]:
    """What a no-op makes of it."""
    at = {
        "topic": given.topic,
        "partition": given.partition,
        "offset": given.offset,
        "timestamp": rfc3339(given.timestamp or 0),
    }
    text = json.loads(given.value or b"null")["text"]
    return dict(enriched_event(text, analysis(), model=INFO, source=at, processed_at=""))  # type: ignore[arg-type]


def read(broker: RealKafka, topic: str) -> list[Record]:
    """Everything that stands in a topic for readers of committed messages."""
    return broker.read_all(topic)
