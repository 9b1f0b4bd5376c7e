"""Grafana's dashboards and Prometheus' rules as the tests read them: every panel, every query, every metric that it names."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.prometheus import rules
from tests.support.texts import ROOT

DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
OURS = r"(?:\w+:)?\btextstream_\w+(?::\w+)?"
"""A metric of a worker, or a recorded one: `level:textstream_name:operation`."""


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel that asks for something, with its dashboard's name."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield path.stem, panel


def variables() -> Iterator[tuple[str, str]]:
    """The query of every variable, with its dashboard's name."""
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                yield path.stem, variable["query"]["query"]


def named_metrics(expression: str) -> set[str]:
    """The metrics of ours that an expression names."""
    return set(re.findall(OURS, expression))


def recorded() -> set[str]:
    """The names that rules record."""
    return {rule["record"] for rule in rules() if "record" in rule}
