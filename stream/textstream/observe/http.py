"""The HTTP endpoints: /metrics for Prometheus, /livez and /readyz for the orchestrator, / and /events for whoever looks."""

import contextlib
import io
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from textstream.errors import Misconfigured
from textstream.observe.health import Health
from textstream.observe.live import Live
from textstream.observe.logs import get_logger
from textstream.observe.page import FULL, Page, is_own_name

SEND_BUFFER_BYTES = 65_536
"""What the kernel takes for a client that does not read: so one that watches and is slow is noticed, and dropped."""

MAX_CONNECTIONS = 128
"""Open at once, a thread and a file descriptor each; so whoever opens thousands takes none from the clients of the brokers."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
CSP = "Content-Security-Policy"
PLAIN = (("Content-Type", "text/plain; charset=utf-8"),)
PRIVATE = (
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
"""What may hold message text is kept by nobody on the way, and given to no other page."""

log = get_logger("http")


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files; without a certificate the port speaks plain HTTP."""

    certificate: str = ""
    key: str = ""
    client_ca: str = ""


class _Tls:
    """What the port proves itself with, read again when the files change, and whom it asks to do the same."""

    def __init__(self, files: Tls) -> None:
        self._files = files
        self._seen = self._versions()
        self._context = self._loaded()

    def wrapped(self, connection: socket.socket) -> ssl.SSLSocket:
        """The connection, encrypted. The handshake comes with the first read, on the connection's own thread and time."""
        try:
            if (seen := self._versions()) != self._seen:
                self._seen = seen
                self._context = self._loaded()
        except OSError as error:  # half written, or of certificate and key only one is new
            log.warning("certificate_unreadable", why=str(error), then="what it held before stays in use")
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key or None, password=_no_password)
        if self._files.client_ca:
            context.load_verify_locations(self._files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _versions(self) -> list[tuple[int, int]]:
        found = [os.stat(name) for name in (self._files.certificate, self._files.key, self._files.client_ca) if name]
        return [(one.st_mtime_ns, one.st_ino) for one in found]


def _no_password() -> str:
    raise OSError("its key is encrypted: give one that is not, in a file that only textstream may read")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    tls: _Tls | None = None

    def __init__(self, address: tuple[str, int], *arguments: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._lock = threading.Lock()
        self._open: dict[socket.socket, bool] = {}  # oldest first: whether its request is read
        super().__init__(address, *arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        return (connection if self.tls is None else self.tls.wrapped(connection)), address

    def process_request(self, request: Any, client_address: Any) -> None:
        """On a thread of its own. Where too many are open, whoever has owed his request the longest makes room."""
        with self._lock:
            has_room = len(self._open) < MAX_CONNECTIONS or self._hang_up_on_an_idle_one()
            if has_room:
                self._open[request] = False
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def has_read(self, request: socket.socket) -> None:
        """It is being answered: no other takes its place."""
        with self._lock:
            if request in self._open:
                self._open[request] = True

    def shutdown_request(self, request: Any) -> None:
        """Close it, which makes room."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def _hang_up_on_an_idle_one(self) -> bool:
        """Its own thread reads the end, and closes it. False where all are being answered."""
        idle = next((one for one, is_read in self._open.items() if not is_read), None)
        if idle is not None:
            del self._open[idle]
            with contextlib.suppress(OSError):
                socket.socket.shutdown(idle, socket.SHUT_RDWR)
        return idle is not None

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up, is too slow, or speaks no TLS: not worth a traceback."""
        log.debug("request_not_answered", exc_info=True)


class _Writer(io.BufferedIOBase):
    """Writes to a client; whatever it fails with, the client has hung up, and that is no news."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            self._connection.sendall(data)
        except OSError as error:  # a TimeoutError among them: too slow
            raise ConnectionAbortedError(str(error)) from None
        return len(data)


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds a client may take over its request, and to take in what is written at once

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.wfile = _Writer(self.connection)

    def parse_request(self) -> bool:
        is_one = super().parse_request()
        cast(_Server, self.server).has_read(self.request)
        return is_one

    def log_message(self, *_: Any) -> None:
        """Probes come every few seconds: not worth a line each."""


class HttpServer:
    """Serves until closed; `port` is the one it listens on, also where 0 was asked for."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health, live: Live, tls: Tls = Tls()) -> None:
        self._page = Page(live, registry, health)
        app = _application(registry, health, self._page, is_loopback=host in LOOPBACK)
        try:
            proof = _Tls(tls) if tls.certificate else None
        except OSError as error:  # ssl.SSLError is one
            what = f"the certificate, key or authorities of the HTTP port cannot be read ({error})"
            raise Misconfigured(f"{what}: correct observe.http_certificate, http_key or http_client_ca") from None
        if proof is None and (tls.key or tls.client_ca):
            raise Misconfigured("observe.http_key and http_client_ca do nothing without observe.http_certificate: set that too")
        try:
            self._server = make_server(host, port, app, _Server, _Handler)
        except OSError as error:
            where = f"{host}:{port} ({error.strerror})"
            raise Misconfigured(f"cannot listen on {where}: change observe.http_host or observe.http_port") from None
        self._server.tls = proof
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end what is being watched."""
        self._page.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    body: bytes | Iterable[bytes]
    headers: tuple[tuple[str, str], ...]


def _application(
    registry: CollectorRegistry, health: Health, page: Page, *, is_loopback: bool
) -> Callable[..., Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/metrics":
            return cast(Iterable[bytes], metrics(environ, start_response))
        if method not in ("GET", "HEAD"):
            answer = _text("405 Method Not Allowed", "use GET or HEAD", ("Allow", "GET, HEAD"))
        elif path in ("/livez", "/readyz"):
            ok, message = health.live() if path == "/livez" else health.ready()
            answer = _text("200 OK" if ok else "503 Service Unavailable", message)
        elif path not in ("/", "/events"):
            answer = _text("404 Not Found", "try /, /metrics, /livez or /readyz")
        elif is_loopback and not is_own_name(environ.get("HTTP_HOST", "localhost")):
            answer = _text("403 Forbidden", "open this page as http://127.0.0.1, or as localhost, with the port")
        else:
            answer = _html(page) if path == "/" else _events(page, open_it=method == "GET")
        sized = (("Content-Length", str(len(answer.body))),) if isinstance(answer.body, bytes) else ()
        start_response(answer.status, [*answer.headers, *sized])
        if method == "HEAD":
            return []
        return [answer.body] if isinstance(answer.body, bytes) else answer.body

    return application


def _text(status: str, message: str, *headers: tuple[str, str]) -> _Answer:
    return _Answer(status, f"{message}\n".encode(), (*PLAIN, *headers))


def _html(page: Page) -> _Answer:
    return _Answer("200 OK", page.html, (("Content-Type", "text/html; charset=utf-8"), *PRIVATE, (CSP, page.policy)))


def _events(page: Page, *, open_it: bool) -> _Answer:
    """Frames without end, for as many as may watch."""
    frames = page.watch() if open_it else iter(())
    if frames is None:
        return _text("503 Service Unavailable", FULL, ("Retry-After", "5"))
    return _Answer("200 OK", frames, (("Content-Type", "text/event-stream; charset=utf-8"), *PRIVATE))
