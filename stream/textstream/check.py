"""`textstream check`: one line for each thing a worker needs, green or what to do. It changes nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from textstream.core.process import Scorer
from textstream.deadlines import measured
from textstream.errors import TextstreamError
from textstream.kafka.client import try_properties
from textstream.kafka.topics import TopicAdmin, named
from textstream.model.cascade import load
from textstream.settings import Settings

PROBE = ["The room was lovely but the staff were rude", "房间很好，但是服务态度太差了"] * 128
"""What the timing is measured on: a batch of short messages in both languages."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, and what was found or is to be done. `exit_status` is 0 where all is well."""

    name: str
    finding: str
    exit_status: int = 0


def run_checks(settings: Settings) -> Iterator[Check]:
    """Each check as soon as it is done; what rests on one that failed is left out."""
    yield Check("settings", "valid")
    admin = TopicAdmin(settings.kafka)
    try:
        scorer = load(**settings.model.model_dump())
    except TextstreamError as error:
        yield Check("model", str(error), error.exit_status)
    else:
        yield Check("model", _described(scorer))
        yield _tried("deadlines", lambda: _deadlines(settings, scorer))
    broker = _tried("broker", lambda: f"answers, {len(admin.partitions())} topics")
    yield broker
    if broker.exit_status == 0:
        yield _tried("topics", lambda: _topics(settings, admin))


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, look())
    except TextstreamError as error:
        return Check(name, str(error), error.exit_status)


def _described(scorer: Scorer) -> str:
    started = time.perf_counter()
    scorer.analyse(scorer.tokenise(PROBE))
    rate = len(PROBE) / (time.perf_counter() - started)
    info = scorer.info
    return f"{info['name']} {info['version']}, golden outputs reproduced, about {rate:,.0f} messages/s"


def _deadlines(settings: Settings, scorer: Scorer) -> str:
    try_properties(settings.kafka)
    deadlines = measured(settings, scorer)
    deadlines.prove()
    return str(deadlines)


def _topics(settings: Settings, admin: TopicAdmin) -> str:
    pipeline = admin.inspect(named(settings.input, settings.output, admin.partitions()))
    names = [name for one in pipeline.topics for name in one.all]
    counts = [f"{name} ({pipeline.partitions[name]})" for name in names if name in pipeline.partitions]
    missing = [one.replay for one in pipeline.topics if one.replay not in pipeline.partitions]
    to_do = f"; nothing can be replayed without {', '.join(missing)}: `textstream topics create`" if missing else ""
    return f"exist, with partitions: {', '.join(counts)}{to_do}"
