"""The worker's page: one file without anything from elsewhere, and the stream of frames that it draws.

A frame is JSON, made once a second for all who watch, from the last view of `Live`, the metrics of lag and the health. Texts
come as pieces, marked or not, which the page inserts as text: nothing that a producer writes is ever markup.
"""

import base64
import hashlib
import ipaddress
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from textstream.event import LABELS, EnrichedEvent
from textstream.observe.health import Health
from textstream.observe.live import FRAME_S, Live
from textstream.observe.terminal import visible
from textstream.observe.view import MOOD_S, TERM_WINDOW_S, Mix, View, segments

MAX_WATCHERS = 8
"""Pages that may watch one worker: each holds a thread and a connection."""
FIRST_FRAME_S = 0.25
"""Before the first frame: an idle worker turns ten times a second, and draws when it sees that somebody watches."""
RECONNECT_MS = 2_000
"""How long a page waits before it asks again."""
MAX_PARTITIONS_SHOWN = 24
"""Partitions shown with their lag, those that lag most first."""
LAG = {"textstream_lag_messages": "messages", "textstream_lag_seconds": "seconds"}
MODEL = "textstream_model_info"

FULL = f"{MAX_WATCHERS} pages watch this worker, and it serves no more: close one of them"


class Page:
    """What `/` and `/events` answer."""

    def __init__(
        self, live: Live, registry: CollectorRegistry, health: Health, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.html = Path(__file__).with_name("page.html").read_bytes()
        self.policy = _policy(self.html.decode())
        self._live = live
        self._registry = registry
        self._health = health
        self._clock = clock
        self._closing = threading.Event()
        self._lock = threading.Lock()  # of what follows; the polling thread never takes it
        self._watching: set[Watch] = set()
        self._frame, self._framed_at = b"", float("-inf")

    def watch(self) -> "Watch | None":
        """A stream of frames, to be closed at its end; None where `MAX_WATCHERS` are open."""
        with self._lock:
            if len(self._watching) >= MAX_WATCHERS:
                return None
            watch = Watch(self, self._closing)
            self._watching.add(watch)
            self._live.watched = True
            return watch

    def leave(self, watch: "Watch") -> None:
        """It ended, however often that is said."""
        with self._lock:
            self._watching.discard(watch)
            self._live.watched = bool(self._watching)

    def close(self) -> None:
        """End all streams."""
        self._closing.set()

    def frame(self) -> bytes:
        """The present one, as JSON."""
        with self._lock:
            now = self._clock()
            if not 0 <= now - self._framed_at < FRAME_S / 2:
                self._frame, self._framed_at = orjson.dumps(self._content(now)), now
            return self._frame

    def _content(self, now: float) -> dict[str, Any]:
        content = {"status": self._status(), "show_text": self._live.show_text} | self._measured()
        if self._live.view is not None:
            view, drawn_at = self._live.view
            content |= {"age_s": max(0.0, now - drawn_at)} | _counted(view)
            if self._live.show_text:
                content |= _spoken(view)
        return content

    def _status(self) -> dict[str, str]:
        alive, why = self._health.live()
        ready, why_not = self._health.ready()
        if not alive:
            return {"state": "stalled", "why": why}
        return {"state": "reading", "why": ""} if ready else {"state": "waiting", "why": why_not}

    def _measured(self) -> dict[str, Any]:
        """Lag by partition, and the model: what the metrics say."""
        lag: dict[tuple[str, int], dict[str, float]] = {}
        model = ""
        for metric in self._registry.restricted_registry([*LAG, MODEL]).collect():
            for name, labels, value, *_ in metric.samples:
                if name == MODEL:
                    model = f"{labels['name']} {labels['version']}"
                else:
                    lag.setdefault((labels["topic"], int(labels["partition"])), {})[LAG[name]] = value
        behind = sorted(lag.items(), key=lambda one: (-one[1].get("messages", 0), one[0]))
        return {
            "model": model,
            "partitions": len(lag),
            "lag": {unit: _total(unit, [each[unit] for each in lag.values() if unit in each]) for unit in LAG.values()},
            "lags": [{"topic": topic, "partition": number} | each for (topic, number), each in behind[:MAX_PARTITIONS_SHOWN]],
        }


class Watch:
    """Frames for one page, as server-sent events; whoever iterates closes it."""

    def __init__(self, page: Page, closing: threading.Event) -> None:
        self._page = page
        self._closing = closing

    def __iter__(self) -> Iterator[bytes]:
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        wait_s = FIRST_FRAME_S
        while not self._closing.wait(wait_s):
            yield b"data: " + self._page.frame() + b"\n\n"
            wait_s = FRAME_S

    def close(self) -> None:
        """Make room for another."""
        self._page.leave(self)


def is_own_name(host: str) -> bool:
    """Whether a request's Host is an address or localhost: a name may be anybody's, made to point here (DNS rebinding)."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _policy(html: str) -> str:
    """The Content-Security-Policy: this page's own script and style, by their hashes, and nothing else."""
    script, style = (_sources(html, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _sources(html: str, tag: str) -> str:
    digests = (hashlib.sha256(found.encode()).digest() for found in re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _total(unit: str, values: list[float]) -> float | None:
    """Messages add up, of seconds the longest counts; None where nothing is known."""
    return (sum if unit == "messages" else max)(values) if values else None


def _counted(view: View) -> dict[str, Any]:
    """What holds nothing of a message."""
    return {
        "elapsed_s": view.elapsed_s,
        "enriched": view.enriched,
        "unscored": view.unscored,
        "tombstones": view.tombstones,
        "dead": view.dead,
        "rate": view.rate,
        "history": view.history,
        "latency": view.latency and {"p50_ms": view.latency.p50_ms, "p99_ms": view.latency.p99_ms},
        "sentiment": _mix(view.sentiment),
        "moods": [_mix(mix) for mix in view.moods],
        "mood_s": MOOD_S,
        "dead_letters": view.dead_letters,
    }


def _spoken(view: View) -> dict[str, Any]:
    """What is made of messages."""
    return {
        "languages": [[visible(code), count] for code, count in view.languages],
        "terms": [{"term": visible(term.normalized), "mix": _mix(term.mix)} for term in view.terms],
        "term_window_s": TERM_WINDOW_S,
        "latest": [_message(event) for event in view.latest],
    }


def _message(event: EnrichedEvent) -> dict[str, Any]:
    sentiment = event["sentiment"]
    return {
        "id": event["id"],
        "language": event["language"]["code"],
        "label": sentiment and sentiment["label"],
        "score": sentiment and sentiment["score"],
        "parts": [[visible(part), label] for part, label in segments(event)],
    }


def _mix(mix: Mix) -> list[int]:
    return [getattr(mix, label) for label in LABELS]
