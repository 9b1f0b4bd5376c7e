"""Liveness and readiness, judged by a clock in the test's hand, and served over HTTP."""

import socket
import ssl
import urllib.error
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.support.secured import Authority
from textstream.errors import Misconfigured
from textstream.observe.health import Health
from textstream.observe.http import HttpServer, Tls
from textstream.observe.live import Live
from textstream.observe.metrics import Metrics

NO_ANSWER = (ssl.SSLError, ConnectionError, urllib.error.URLError)


class ManualClock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_message_that_waits_too_long_for_the_model_is_not_alive() -> None:
    """A blocked scorer fails liveness; an idle worker never does."""
    clock = ManualClock()
    health = Health(stall_after_s=10, clock=clock)
    health.turned(None)
    for _ in range(100):
        clock.now += 9
        health.turned(None)
        assert health.live() == (True, "ok")
    waiting_since = clock.now
    clock.now += 10
    health.turned(waiting_since)
    assert health.live()[0]
    clock.now += 1
    health.turned(waiting_since)
    assert health.live() == (False, "a message has waited for the model for 11 s")


def test_a_polling_thread_that_stops_turning_is_not_alive() -> None:
    """A loop that hangs fails liveness."""
    clock = ManualClock()
    health = Health(stall_after_s=10, clock=clock)
    health.turned(None)
    clock.now += 11
    assert health.live() == (False, "the polling thread has not turned for 11 s")


def test_starting_is_alive_but_not_ready() -> None:
    """However long a start takes, it is alive; ready begins with the first turn and ends with the stop."""
    clock = ManualClock()
    health = Health(stall_after_s=10, clock=clock)
    clock.now += 1_000
    assert health.live() == (True, "starting")
    assert not health.ready()[0]
    health.turned(None)
    assert health.ready() == (True, "ok")
    health.stopping()
    assert not health.ready()[0]


def test_a_worker_that_holds_is_alive_and_not_ready() -> None:
    """Behind an open breaker it says why it is not ready, however often it turns, and a restart is not asked for."""
    health = Health(stall_after_s=10, clock=ManualClock())
    health.turned(None)
    health.held("too many dead letters")
    health.turned(None)
    assert health.ready() == (False, "too many dead letters")
    assert health.live() == (True, "ok")


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_endpoints_answer() -> None:
    """/livez and /readyz follow the health, /metrics shows the registry, anything else is 404 with a hint."""
    clock = ManualClock()
    health = Health(stall_after_s=10, clock=clock)
    metrics = Metrics()
    metrics.pauses.inc()
    server = HttpServer("127.0.0.1", 0, metrics.registry, health, Live(0))
    try:
        assert get(server.port, "/livez") == (200, "starting\n")
        assert get(server.port, "/readyz")[0] == 503
        health.turned(None)
        assert get(server.port, "/readyz") == (200, "ok\n")
        clock.now += 11
        assert get(server.port, "/livez")[0] == 503
        assert "textstream_pauses_total 1.0" in get(server.port, "/metrics")[1]
        assert get(server.port, "/nothing") == (404, "try /, /metrics, /livez or /readyz\n")
        with pytest.raises(Misconfigured, match=r"change observe\.http_host or observe\.http_port"):
            HttpServer("127.0.0.1", server.port, CollectorRegistry(), health, Live(0))
    finally:
        server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_either_kind_of_address_will_do(host: str) -> None:
    """The port listens on IPv6 as on IPv4: some clusters have nothing else."""
    server = HttpServer(host, 0, CollectorRegistry(), Health(stall_after_s=10, clock=ManualClock()), Live(0))
    try:
        asking = HTTPConnection(host, server.port, timeout=5)
        asking.request("GET", "/livez")
        assert asking.getresponse().read() == b"starting\n"
        asking.close()
    finally:
        server.close()


def test_lag_is_absent_while_unknown() -> None:
    """A partition's lag is shown while it is known, and absent, not 0 or -1, when it no longer is."""
    metrics = Metrics()
    metrics.show(metrics.lag_messages, {("t", 0): 5, ("t", 1): 0})
    assert metrics.registry.get_sample_value("textstream_lag_messages", {"topic": "t", "partition": "0"}) == 5
    metrics.show(metrics.lag_messages, {("t", 1): 2})
    assert metrics.registry.get_sample_value("textstream_lag_messages", {"topic": "t", "partition": "0"}) is None
    assert metrics.registry.get_sample_value("textstream_lag_messages", {"topic": "t", "partition": "1"}) == 2


def over_tls(port: int, authority: Authority, certificate: Path | None = None) -> str:
    """What /livez answers to a client that trusts the authority, and shows a certificate where it is given one."""
    context = ssl.create_default_context(cafile=authority.certificate)
    if certificate is not None:
        context.load_cert_chain(certificate)
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/livez", timeout=5, context=context) as answer:
        return str(answer.read().decode())


def serial(port: int) -> str:
    """The certificate that the port shows."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_the_port_speaks_tls(tmp_path: Path) -> None:
    """HTTPS alone; a client that says nothing holds nobody up; a renewed certificate is shown without a restart."""
    authority = Authority(tmp_path)
    certificate = authority.issue("127.0.0.1")
    server = HttpServer(
        "127.0.0.1", 0, CollectorRegistry(), Health(stall_after_s=10, clock=ManualClock()), Live(0), Tls(str(certificate))
    )
    try:
        with socket.create_connection(("127.0.0.1", server.port)):
            assert over_tls(server.port, authority) == "starting\n"
        with pytest.raises(NO_ANSWER):
            get(server.port, "/livez")
        before = serial(server.port)
        authority.issue("127.0.0.1")
        assert serial(server.port) != before
        certificate.write_text("half a file")  # the pair that was read before stays in use
        assert over_tls(server.port, authority) == "starting\n"
    finally:
        server.close()


def test_the_port_asks_for_a_certificate(tmp_path: Path) -> None:
    """mTLS: an answer only for clients that the authority has signed."""
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    tls = Tls(str(authority.issue("127.0.0.1")), client_ca=str(authority.certificate))
    server = HttpServer("127.0.0.1", 0, CollectorRegistry(), Health(stall_after_s=10, clock=ManualClock()), Live(0), tls)
    try:
        assert over_tls(server.port, authority, authority.issue("prometheus")) == "starting\n"
        for stranger in (None, other.issue("prometheus")):
            with pytest.raises(NO_ANSWER):
                over_tls(server.port, authority, stranger)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (Tls("missing.pem"), "observe.http_certificate"),
        (Tls(client_ca="ca.pem"), "do nothing without observe.http_certificate"),
    ],
)
def test_a_wrong_certificate_is_said_at_start(files: Tls, said: str) -> None:
    """What cannot be read, or would do nothing, is the operator's to mend; the port never falls back to plain HTTP."""
    with pytest.raises(Misconfigured, match=said):
        HttpServer("127.0.0.1", 0, CollectorRegistry(), Health(stall_after_s=10, clock=ManualClock()), Live(0), files)
