"""Every check, in the order in which a worker needs the things. It changes nothing, and no running worker notices it."""

import time
from collections.abc import Iterator

from textstream.check.brokers import broker_checks
from textstream.check.finding import Check, tried
from textstream.check.port import port_checks
from textstream.core.process import Scorer
from textstream.deadlines import measured
from textstream.errors import TextstreamError
from textstream.kafka.client import try_properties
from textstream.kafka.topics import named
from textstream.model.cascade import load
from textstream.model.cpus import usable_cpus
from textstream.settings import Settings

PROBE = ["The room was lovely but the staff were rude", "房间很好，但是服务态度太差了"] * 128
"""What the timing is measured on: a batch of short messages in both languages."""


def run_checks(settings: Settings) -> Iterator[Check]:
    """Each check as soon as it is done; what rests on one that failed is left out."""
    valid = tried("settings", lambda: _settings(settings))
    yield valid
    yield from _model_checks(settings)
    yield from port_checks(settings.observe)
    if valid.exit_status == 0:
        yield from broker_checks(settings)


def _settings(settings: Settings) -> str:
    named(settings.input, settings.output)
    try_properties(settings.kafka)
    return "valid"


def _model_checks(settings: Settings) -> Iterator[Check]:
    try:
        scorer = load(**settings.model.loading())
    except TextstreamError as error:
        yield Check("model", str(error), exit_status=error.exit_status)
        return
    threads, cpus = settings.model.threads, usable_cpus()
    to_do = f"lower model.threads = {threads}: more threads than CPUs slow each other down" if threads > cpus else ""
    yield Check("model", f"{_described(scorer)}, on {threads or cpus} of {cpus} CPUs", to_do)
    yield tried("deadlines", lambda: _deadlines(settings, scorer))


def _described(scorer: Scorer) -> str:
    started = time.perf_counter()
    scorer.analyse(scorer.tokenise(PROBE))
    rate = len(PROBE) / (time.perf_counter() - started)
    info = scorer.info
    digest = info["digest"].removeprefix("sha256:")[:12]
    return f"{info['name']} {info['version']} ({digest}…), golden outputs reproduced, about {rate:,.0f} messages/s"


def _deadlines(settings: Settings, scorer: Scorer) -> str:
    deadlines = measured(settings, scorer)
    deadlines.prove()
    return str(deadlines)
