"""helm, and the schemas of what a chart renders that is no part of Kubernetes.

`helm` is taken from PATH, else from `.cache/bin`, else Go builds it there once (about a minute on two idle cores). The custom
resources' definitions come with the Go modules of KEDA and of the Prometheus operator, which are unpacked and not built. Where
neither helm nor Go is there the tests fail and name what is missing: they never skip.
"""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.texts import ROOT

HELM = "helm.sh/helm/v3/cmd/helm@v3.19.0"
KEDA = "github.com/kedacore/keda/v2@v2.18.0"
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
DEFINITIONS = {
    "ScaledObject": (KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "PrometheusRule": (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
    "ServiceMonitor": (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
}
GO_TIMEOUT_S = 1_800  # a build on cores that are busy otherwise
HELM_TIMEOUT_S = 120


class HelmMissingError(Exception):
    """No helm, or no Go to build it with; the message says what would help."""


@cache
def helm() -> str:
    """The path of helm."""
    built = ROOT / ".cache/bin/helm"
    if found := shutil.which("helm"):
        return found
    if not built.is_file():
        _go("install", HELM, GOBIN=str(built.parent))
    return str(built)


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What helm says to these arguments."""
    return subprocess.run([helm(), *arguments], capture_output=True, text=True, timeout=HELM_TIMEOUT_S, check=False)


@cache
def custom_resource(kind: str) -> dict[str, Any]:
    """The JSON Schema of a custom resource, from its definition; a field that it does not name is refused."""
    module, path = DEFINITIONS[kind]
    folder = Path(json.loads(_go("mod", "download", "-json", module))["Dir"])
    (version, *_) = YAML(typ="safe").load(folder / path)["spec"]["versions"]
    return _strict(version["schema"]["openAPIV3Schema"])


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema and "additionalProperties" not in schema:
        strict["additionalProperties"] = schema.get("x-kubernetes-preserve-unknown-fields", False)
    return strict


def _go(*arguments: str, **environment: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise HelmMissingError(
            "the chart's tests need Go (https://go.dev) to fetch the definitions of KEDA and the Prometheus operator, and to"
            " build helm where it is not there: install Go 1.24 or newer and put `go` on PATH"
        )
    done = subprocess.run(
        [go, *arguments],
        env=os.environ | environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=GO_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise HelmMissingError(f"go {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
