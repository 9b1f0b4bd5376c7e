"""The HTTP endpoints: /metrics for Prometheus, /livez and /readyz for the orchestrator."""

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from textstream.errors import Misconfigured
from textstream.observe.health import Health

logger = logging.getLogger("textstream.http")


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
            logger.warning("the new certificate of the HTTP port cannot be read, the old one stays in use: %s", error)
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

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        return (connection if self.tls is None else self.tls.wrapped(connection)), address

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up, is too slow, or speaks no TLS: not worth a traceback."""
        logger.debug("a request was not answered", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds a client may take over its request

    def log_message(self, *_: Any) -> None:
        """Probes come every few seconds: not worth a line each."""


class HttpServer:
    """Serves until closed; `port` is the one it listens on, also where 0 was asked for."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health, tls: Tls = Tls()) -> None:
        app = _application(registry, health)
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
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _application(registry: CollectorRegistry, health: Health) -> Callable[..., Iterable[bytes]]:
    metrics = make_wsgi_app(registry)
    judgements = {"/livez": health.live, "/readyz": health.ready}

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        ok, message = judgements[path]() if path in judgements else (None, "try /metrics, /livez or /readyz")
        status = {True: "200 OK", False: "503 Service Unavailable", None: "404 Not Found"}[ok]
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{message}\n".encode()]

    return application
