"""The dashboards: what can be shown of them without a Grafana.

They are held against the types of Grafana's own SDK and against the declared metrics; tests/e2e/test_operations.py asks a real
Prometheus every query.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.generate.__main__ import DASHBOARDS as MADE
from deploy.grafana.generate.__main__ import page
from tests.support.dashboards import DASHBOARDS, named_metrics, panels, recorded, variables
from tests.support.prometheus import rules
from tests.support.texts import ROOT
from tests.unit.test_deploy import COMPOSE, families, metric_series, yaml

PANELS = [pytest.param(panel, id=f"{dashboard}-{panel['title']}") for dashboard, panel in panels()]
FROM_PROMETHEUS = {"job", "instance", "namespace", "alertname", "alertstate", "severity"}
"""Labels that Prometheus itself adds to what it scrapes and to its alerts."""


def expressions(panel: dict[str, Any]) -> list[str]:
    """What the panel asks."""
    return [target["expr"] for target in panel["targets"]]


def test_the_dashboards_are_what_the_code_makes() -> None:
    """No file is missing, left over or stale."""
    assert {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS} == {
        name: page(made) for name, made in MADE.items()
    }


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_of_grafanas_types(path: Path) -> None:
    """Read by the SDK and written again it is the same: there is nothing in it that Grafana's types have no place for."""
    register_default_plugins()
    content = json.loads(path.read_text())
    assert json.loads(json.dumps(Dashboard.from_json(content), cls=JSONEncoder)) == content


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    """Ids and places are each panel's own, rows ask questions, and job, worker and topic can be chosen."""
    content = json.loads(path.read_text())
    assert content["uid"] == f"textstream-{path.stem}"
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in content["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) == 23
    names = [variable["name"] for variable in content["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "topic", "runbook"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    """Title, description, unit and the chosen data source; a panel with a limit says what to do where it is passed."""
    assert panel["title"] and panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert '"unit": ' in json.dumps(panel) or '"id": "unit"' in json.dumps(panel)
    sections = {rule["alert"].lower() for rule in rules() if "alert" in rule} | {"runbook"}
    linked = {link["url"].removeprefix("${runbook}#") for link in panel.get("links", [])}
    assert linked <= sections
    limits = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
    assert linked or len(limits) < 2


@pytest.mark.parametrize("panel", PANELS)
def test_queries_name_declared_metrics(panel: dict[str, Any]) -> None:
    """No panel asks for a series that no worker has and no rule records, nor for a label that the series has not."""
    series = metric_series() | dict.fromkeys(recorded(), known_labels())
    for query in expressions(panel):
        named = named_metrics(query)
        assert named or re.search(r"\b(process_|up\b|ALERTS)", query), query
        assert named <= set(series), query
        known = set().union(*(series[name] for name in named)) | FROM_PROMETHEUS
        grouped = [
            label.strip() for group in re.findall(r"\b(?:by|on|ignoring) \(([^)]*)\)", query) for label in group.split(",")
        ]
        matched = re.findall(r'(\w+)[=!]~?"', query)
        # A table groups by the labels of all its columns.
        assert set(filter(None, grouped + matched)) <= (known_labels() if panel["type"] == "table" else known), query


def known_labels() -> set[str]:
    """All that any series of ours has."""
    return set().union(*metric_series().values()) | FROM_PROMETHEUS


@pytest.mark.parametrize("panel", PANELS)
def test_what_is_chosen_counts(panel: dict[str, Any]) -> None:
    """Each query of a worker's own series is of the chosen jobs and workers, and of the chosen topics where it has one."""
    for query in expressions(panel):
        for name, matchers in re.findall(r"(?<![:\w])(textstream_\w+)(?!:)\b(?:\{([^}]*)\})?", query):
            assert 'job=~"$job"' in matchers, (name, query)


def test_variables_name_declared_metrics() -> None:
    """What can be chosen is asked of series that exist."""
    for _, query in variables():
        assert named_metrics(query) <= set(metric_series()) and re.search(r"label_values\((up|textstream_)", query)


def test_every_metric_stands_on_a_dashboard() -> None:
    """An operator sees all that is measured, by itself or as a rule records it."""
    asked = [query for _, panel in panels() for query in expressions(panel)]
    by_rule = [rule["expr"] for rule in rules() if "record" in rule]
    shown = {name for query in asked + by_rule for name in named_metrics(query)}
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown if ":" not in name} >= set(families())


def test_grafana_finds_its_dashboards() -> None:
    """The provisioned folder is where the compose file mounts the dashboards; the data source is a Prometheus there."""
    (provider,) = yaml(ROOT / "deploy/grafana/provisioning/dashboards/textstream.yaml")["providers"]
    mounts = dict(mount.split(":")[:2] for mount in COMPOSE["services"]["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/overview.json"
    (source,) = yaml(ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)


def test_prometheus_finds_its_rules() -> None:
    """The compose file mounts them beside the configuration that names them."""
    (mount,) = (each for each in COMPOSE["services"]["prometheus"]["volumes"] if each.startswith("./deploy/prometheus:"))
    assert mount.split(":")[1] == "/etc/prometheus"
    assert yaml(ROOT / "deploy/prometheus/prometheus.yml")["rule_files"] == ["rules.yml"]
