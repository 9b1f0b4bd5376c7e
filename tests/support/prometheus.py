"""Prometheus and promtool, and a Prometheus that runs with the rules and the scrape configuration of deploy/prometheus.

The programs are taken from PATH, else from `.cache/prometheus`, where Debian's package `prometheus` is unpacked and not
installed: that needs no root, and starts no service. Where there is neither, the tests fail and name the package: none skips.
"""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.debian import unpacked
from tests.support.kafka import free_ports, wait_until
from tests.support.reaper import Reaper
from tests.support.texts import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
PACKAGE = "prometheus"
READY_TIMEOUT_S = 60


@cache
def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    if found := shutil.which(name):
        return found
    need = "the tests of rules and dashboards need `prometheus` and `promtool`"
    return str(unpacked(PACKAGE, ROOT / ".cache/prometheus", [name], need) / "usr/bin" / name)


def promtool(*arguments: str, cwd: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    """What promtool says to these arguments."""
    return subprocess.run([program("promtool"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def rules() -> list[dict[str, Any]]:
    """Every rule, in the order of the file."""
    return [rule for group in YAML(typ="safe").load(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]]


class Prometheus:
    """A server on loopback that scrapes these workers; leaving the `with` block ends it."""

    def __init__(self, reaper: Reaper, folder: Path, targets: Sequence[str]) -> None:
        """The project's configuration, but for short intervals and for where the workers are found."""
        self._reaper, self._log = reaper, folder / "prometheus.log"
        config = YAML(typ="safe").load(PROMETHEUS / "prometheus.yml")
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
        (job,) = config["scrape_configs"]
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": list(targets)}]
        (folder / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={folder / 'prometheus.json'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        reaper.watch(self._process.pid)

    def __enter__(self) -> "Prometheus":
        wait_until(self._ready, READY_TIMEOUT_S, lambda: f"Prometheus does not answer:\n{self._log.read_text()[-4000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reaper.release(self._process.pid)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series that a query gives now; one that Prometheus refuses fails with what it says."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The only value that a query gives, None where it gives none."""
        found = self.ask(expression)
        assert len(found) < 2, f"{expression} gives {len(found)} series"
        return float(found[0]["value"][1]) if found else None

    def alerts(self) -> dict[str, str]:
        """The state of each alert that is pending or firing."""
        return {one["labels"]["alertname"]: one["state"] for one in self.get("alerts")["alerts"]}

    def get(self, what: str, **parameters: str) -> Any:
        """What the HTTP API answers."""
        url = f"{self.address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def _ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"{self.address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
