"""The recording rules, the alerts and their runbook, by Prometheus' own tools."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.dashboards import named_metrics, panels, recorded
from tests.support.debian import MissingError
from tests.support.needed import needed
from tests.support.prometheus import PROMETHEUS, program, promtool, rules
from tests.support.texts import ROOT
from tests.unit.test_deploy import metric_series
from textstream import cli

ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in rules() if "alert" in rule}
CASES = YAML(typ="safe").load(PROMETHEUS / "rules.test.yml")["tests"]
RUNBOOK = (ROOT / "deploy/RUNBOOK.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
PARTS = ["Means", "Users notice", "See", "Do", "False when"]


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """promtool is there; where it is not the tests fail and say what is missing."""
    needed(lambda: program("promtool"), MissingError)


def test_prometheus_takes_rules_and_configuration() -> None:
    """promtool finds no fault in the rules, nor in the configuration of the compose file."""
    assert (done := promtool("check", "rules", "rules.yml")).returncode == 0, done.stderr
    assert (done := promtool("check", "config", "prometheus.yml")).returncode == 0, done.stderr


def test_alerts_fire_when_they_should_and_only_then() -> None:
    """Every case of rules.test.yml holds, labels and texts included."""
    done = promtool("test", "rules", "rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_shown_firing_and_not_firing(alert: str) -> None:
    """Among the cases there is one of each kind."""
    shown = [bool(check["exp_alerts"]) for case in CASES for check in case["alert_rule_test"] if check["alertname"] == alert]
    assert set(shown) == {True, False}


def test_an_alert_that_never_fires_would_be_noticed(tmp_path: Path) -> None:
    """A case fails for rules of which its threshold is out of reach."""
    file = YAML(typ="safe").load(PROMETHEUS / "rules.test.yml")
    file["tests"] = [case for case in CASES if case["name"].startswith("a tenth are dead letters")]
    (tmp_path / "rules.test.yml").write_text(json.dumps(file))
    (tmp_path / "rules.yml").write_text((PROMETHEUS / "rules.yml").read_text().replace("> 0.02", "> 2", 1))
    done = promtool("test", "rules", "rules.test.yml", cwd=tmp_path)
    assert done.returncode != 0 and "TextstreamDeadLetters" in done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_is_about(alert: str) -> None:
    """Summary, description with a number, a severity, and the address of its section."""
    rule = ALERTS[alert]
    texts = rule["annotations"]
    assert set(texts) == {"summary", "description", "runbook_url"}
    assert texts["runbook_url"] == f"deploy/RUNBOOK.md#{alert.lower()}"
    assert re.search(r"\d|\$value", texts["description"])
    assert rule["labels"]["severity"] in ("page", "ticket", "info")


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    """In the order of the rules, so that a reader finds one by the other."""
    assert list(SECTIONS) == list(ALERTS)


@pytest.mark.parametrize("alert", SECTIONS)
def test_a_section_says_all_that_is_needed(alert: str) -> None:
    """What it means and how grave it is, what users notice, where to look, what to do, when it is false; all is there."""
    section = SECTIONS[alert]
    assert re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE) == PARTS
    assert f"- **Means** ({ALERTS[alert]['labels']['severity']}): " in section
    text = " ".join(section.split())
    titles = {panel["title"] for _, panel in panels()}
    named = set(re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", text))
    assert named and named <= titles, named - titles
    assert {link.lower() for link in re.findall(r"\]\(#(\w+)\)", text)} <= {name.lower() for name in SECTIONS}


def test_the_commands_of_the_runbook_are_real() -> None:
    """Each is parsed by the real command line."""
    commands = re.findall(r"`textstream ([^`…]+)`", " ".join(RUNBOOK.split()))
    assert len(commands) > 5
    for command in commands:
        assert callable(cli._parser().parse_args(command.split()).command), command


def test_rules_name_declared_metrics() -> None:
    """No rule asks for a series that neither a worker has nor a rule records."""
    known = set(metric_series()) | recorded()
    for rule in rules():
        assert named_metrics(rule["expr"]) <= known, rule


def test_every_recorded_series_is_read() -> None:
    """By an alert or a dashboard: what nobody reads need not be recorded."""
    asked = [rule["expr"] for rule in rules()] + [target["expr"] for _, panel in panels() for target in panel["targets"]]
    assert recorded() == {name for expression in asked for name in named_metrics(expression)} & recorded()


def test_the_objective_stands_in_one_place() -> None:
    """Share and time limit are two numbers of the first group; nothing else, dashboards included, has them."""
    first, *others = YAML(typ="safe").load(PROMETHEUS / "rules.yml")["groups"]
    share, limit = first["rules"][0]["expr"], first["rules"][1]["expr"]
    assert re.fullmatch(r"vector\(0\.\d+\)", share) and re.search(r'le="[\d.]+"', limit)
    number = share[len("vector(") : -1]
    elsewhere = [rule["expr"] for rule in first["rules"][2:] + [rule for group in others for rule in group["rules"]]]
    elsewhere += [target["expr"] for _, panel in panels() for target in panel["targets"]]
    assert not [expr for expr in elsewhere if 'le="' in expr or (number in expr and "quantile" not in expr)]
