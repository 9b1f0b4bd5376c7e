"""What can be shown of the deployment files without a Docker engine.

The compose file is checked against the Compose Specification's own JSON Schema (as check-jsonschema ships it). Nothing here
builds the image or starts a container: the Dockerfile's steps and the files' references are compared with the repository,
and every command in them is parsed by the real command line.
"""

import fnmatch
import http.server
import json
import re
import shlex
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from hatchling.builders.wheel import WheelBuilder
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.support.kafka import KAFKA_VERSION
from tests.support.secured import Authority
from tests.support.texts import ROOT
from tests.support.worker import clean_environment
from textstream import cli
from textstream.layers import load_settings
from textstream.observe.metrics import Metrics

DEPLOY = ROOT / "deploy"
HEALTHCHECK = DEPLOY / "healthcheck.py"


def yaml(path: Path) -> Any:
    """A YAML file as plain Python values, anchors resolved."""
    return YAML(typ="safe").load(path)


COMPOSE = yaml(ROOT / "docker-compose.yml")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    """The arguments of every such instruction of the Dockerfile, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^(?:\s*){name}\s+(.*)$", joined, re.MULTILINE)


def test_the_compose_file_follows_its_specification() -> None:
    """Every key stands where the Compose Specification allows it."""
    Draft202012Validator(get_builtin_schema("vendor.compose-spec")).validate(COMPOSE)


def test_the_compose_file_refers_to_what_is_there() -> None:
    """Services, volumes and mounted paths that are named exist; two workers run."""
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}", "the tests run on the same Kafka"
    assert (ROOT / services["worker"]["build"]["dockerfile"]).is_file()


def test_the_worker_can_finish_before_it_is_killed() -> None:
    """The grace period is longer than the drain."""
    grace_s = int(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > load_settings(environ={}).delivery.drain_timeout_s


@pytest.mark.parametrize("service", ["topics", "worker"])
def test_the_compose_commands_are_real(service: str) -> None:
    """Each command parses, and its settings are valid."""
    (entrypoint,) = instructions("ENTRYPOINT")
    assert json.loads(entrypoint) == ["textstream"]
    arguments = cli._parser().parse_args(COMPOSE["services"][service]["command"])
    assert callable(arguments.command)
    settings = load_settings(environ=COMPOSE["services"][service]["environment"] | image_environment())
    assert settings.input.topics == ["reviews"]
    inside = re.search(r"INSIDE://(kafka:\d+)", COMPOSE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"])
    assert inside is not None
    assert settings.kafka.bootstrap_servers == inside[1]


def image_environment() -> dict[str, str]:
    """The TEXTSTREAM_ variables that the image sets."""
    pairs = (pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))
    return {name: value for name, value in pairs if name.startswith("TEXTSTREAM_")}


def test_the_image_serves_its_port_to_its_network() -> None:
    """In the container the port binds to all addresses; the Dockerfile, the settings and Prometheus name the same one."""
    settings = load_settings(environ=image_environment())
    port = settings.observe.http_port
    assert settings.observe.http_host == "0.0.0.0"
    assert not settings.privacy.show_text, "whoever reaches the container must not read messages"
    assert instructions("EXPOSE") == [str(port)]
    assert f"or {port})" in HEALTHCHECK.read_text()
    (job,) = yaml(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]
    (names,) = job["dns_sd_configs"]
    assert (names["names"], names["port"]) == (["worker"], port)
    assert json.loads(instructions("CMD")[-1]) == ["run"]
    (copied,) = [line.split() for line in instructions("COPY") if "healthcheck" in line]
    assert f'"{copied[-1]}{HEALTHCHECK.name}"' in instructions("HEALTHCHECK")[0]


def test_the_image_holds_bytecode() -> None:
    """Nobody may write to the image's files later: what is installed is compiled there, and so are Python's own modules."""
    steps = [step for run in instructions("RUN") for step in run.split("&&")]
    installed = [step for step in steps if "uv pip install" in step]
    assert len(installed) == 3
    assert all("--compile-bytecode" in step for step in installed)
    (compiled,) = [step for step in steps if "compileall" in step]
    assert 'get_path("stdlib")' in compiled


@contextmanager
def listening(answer: int, certificate: Path | None = None, client_ca: Path | None = None) -> Iterator[int]:
    """A port that answers as the worker's does: over HTTP, over HTTPS, or only to whom an authority has signed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def healthy(port: int, **variables: object) -> bool:
    """What the image's health check says of the port, under these TEXTSTREAM_OBSERVE_ variables."""
    named = {f"TEXTSTREAM_OBSERVE_{name}": str(value) for name, value in {"HTTP_PORT": port, **variables}.items()}
    command = [sys.executable, str(HEALTHCHECK)]
    return subprocess.run(command, env=clean_environment(**named), capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("way", ["http", "https", "mtls"])
def test_the_health_check_asks_as_the_port_wants_to_be_asked(way: str, tmp_path: Path) -> None:
    """Over HTTP and HTTPS a worker that is stuck is unhealthy; where a certificate is asked for, one that does not listen."""
    authority = Authority(tmp_path)
    certificate = None if way == "http" else authority.issue("127.0.0.1")
    client_ca = authority.certificate if way == "mtls" else None
    given = {name: file for name, file in (("HTTP_CERTIFICATE", certificate), ("HTTP_CLIENT_CA", client_ca)) if file}
    with listening(200, certificate, client_ca) as port:
        assert healthy(port, **given)
    assert not healthy(port, **given)
    with listening(503, certificate, client_ca) as port:
        assert healthy(port, **given) == (way == "mtls")


def test_no_proxy_stands_between_the_health_check_and_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker hands its proxies' variables on to every container: a worker that is alive is healthy all the same."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with listening(200) as port:
        assert healthy(port)


def test_the_image_does_not_run_as_root() -> None:
    """The last user is a number that is not 0, so that an orchestrator can check it."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1])


def test_what_the_image_copies_is_there_and_sent() -> None:
    """Every COPY source exists, and .dockerignore lets it through."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    for line in instructions("COPY"):
        if line.startswith("--from"):
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source, name) or source.startswith(name + "/") for name in let_through), source


def test_the_wheel_holds_what_the_service_needs(tmp_path: Path) -> None:
    """The wheel that the image installs has the model, the schema and the samples beside the code."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = ["bundles/swift/manifest.json", "bundles/swift/model.onnx", "enriched_event.schema.json", "samples/stream.jsonl"]
    wanted += ["observe/page.html"]
    assert {f"textstream/{name}" for name in [*wanted, "py.typed", "cli.py"]} <= names
    assert "textstream_export/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def metric_series() -> dict[str, set[str]]:
    """Every series that the worker's metrics can have, with its labels."""
    series = {}
    for family, metric in families().items():
        labels = set(metric._labelnames)
        if metric._type == "histogram":
            series |= {f"{family}_bucket": labels | {"le"}, f"{family}_sum": labels, f"{family}_count": labels}
        else:
            series[f"{family}_total" if metric._type == "counter" else family] = labels
    return series


def families() -> dict[str, Any]:
    """Every declared metric."""
    return {metric._name: metric for metric in vars(Metrics()).values() if hasattr(metric, "_labelnames")}
