"""The HTTP endpoints: /metrics for Prometheus, /livez and /readyz for the orchestrator."""

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from textstream.errors import Misconfigured
from textstream.observe.health import Health


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds a client may take over its request

    def log_message(self, *_: Any) -> None:
        """Probes come every few seconds: not worth a line each."""


class HttpServer:
    """Serves until closed; `port` is the one it listens on, also where 0 was asked for."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        app = _application(registry, health)
        try:
            self._server = make_server(host, port, app, _Server, _Handler)
        except OSError as error:
            where = f"{host}:{port} ({error.strerror})"
            raise Misconfigured(f"cannot listen on {where}: change observe.http_host or observe.http_port") from None
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
