"""The demo's loop: send what is due, read what has come, show it. Beside it runs only the worker, as in production."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import orjson
from confluent_kafka import Message

from textstream.demo.screen import Screen
from textstream.demo.stream import Stream
from textstream.demo.traffic import DEAD, ENRICHED, NUMBER, TOPIC, Reader, Sender
from textstream.errors import Fatal
from textstream.event import EnrichedEvent
from textstream.kafka.embedded import CONSUMER_PROPERTIES, EmbeddedBroker
from textstream.layers import load_settings
from textstream.model.scorer import Scorer
from textstream.observe.view import DeadLetter, View, ViewModel
from textstream.settings import Settings
from textstream.worker_thread import WorkerThread

FRAME_S = 0.25
JOIN_TIMEOUT_S = 30.0
"""For the worker to get its partitions; the embedded broker lets every new group wait 3 s."""
FINISH_TIMEOUT_S = 15.0
"""For the last outcomes."""


@dataclass(frozen=True, slots=True)
class Played:
    """What happened: `sent` messages, of which `unaccounted` have no outcome, in `seconds` of sending."""

    view: View
    sent: int
    unaccounted: int
    seconds: float


@contextmanager
def staged(stream: Stream, screen: Screen) -> Iterator["Stage"]:
    """Broker, topics, model, worker and reader, ready to play; taken down in the opposite order."""
    empty = ViewModel(0).at(0)
    screen.show(empty, "starting the embedded broker")
    with EmbeddedBroker() as broker:
        broker.create_topics(TOPIC, ENRICHED, DEAD)
        settings = _settings(stream, broker.bootstrap_servers)
        screen.show(empty, "loading the model")
        scorer = Scorer.load(settings.model.bundle)
        with WorkerThread(settings, scorer) as worker, Reader(settings.kafka) as reader:
            yield Stage(stream, settings, worker, reader, screen)


def _settings(stream: Stream, bootstrap_servers: str) -> Settings:
    """Defaults, whatever the reader's environment and folder hold: the demo is the same everywhere."""
    flags = {
        "input.topics": [TOPIC],
        "input.format": stream.format,
        "kafka.bootstrap_servers": bootstrap_servers,
        "kafka.consumer": CONSUMER_PROPERTIES,
    }
    return load_settings(environ={}, flags=flags)


class Stage:
    """Plays the stream once."""

    def __init__(self, stream: Stream, settings: Settings, worker: WorkerThread, reader: Reader, screen: Screen) -> None:
        self._stream = stream
        self._servers = settings.kafka.bootstrap_servers
        self._sender = Sender(stream, settings.kafka)
        self._worker = worker
        self._reader = reader
        self._screen = screen
        self._model = ViewModel(time.time())
        self._frame_due = 0.0

    def play(self, stop: threading.Event) -> Played:
        """Join, replay, finish. Raises what stopped the worker."""
        self._join(stop)
        seconds = 0.0 if stop.is_set() else self._replay(stop)
        self._finish()
        return Played(self._model.at(time.time()), self._sender.sent, self._sender.in_flight, seconds)

    def _join(self, stop: threading.Event) -> None:
        """Send nothing before the worker reads: a backlog would look like latency."""
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        while not self._worker.reads() and not stop.is_set():
            if time.monotonic() > deadline:
                raise Fatal(f"the worker got no partitions within {JOIN_TIMEOUT_S:.0f} s: start the demo again")
            self._turn(f"broker at {self._servers}, the worker joins its consumer group (3 s)")

    def _replay(self, stop: threading.Event) -> float:
        self._model = ViewModel(time.time())
        started, seconds = time.monotonic(), self._stream.seconds
        while True:
            elapsed_s = time.monotonic() - started
            self._sender.send_due(elapsed_s)
            self._turn(f"replaying {self._stream.name}", f"{elapsed_s:.0f} of {seconds:g} s")
            if elapsed_s >= seconds or stop.is_set():
                return elapsed_s

    def _finish(self) -> None:
        deadline = time.monotonic() + FINISH_TIMEOUT_S
        while self._sender.in_flight and time.monotonic() < deadline:
            self._turn("waiting for the last outcomes")

    def _turn(self, phase: str, detail: str = "") -> None:
        self._worker.check()
        for message in self._reader.read():
            self._take(message)
        if (now := time.monotonic()) >= self._frame_due:
            self._frame_due = now + FRAME_S
            self._screen.show(self._model.at(time.time()), phase, detail)

    def _take(self, message: Message) -> None:
        """Fold one outcome in; a repeated one (delivery is at least once) is known by its number."""
        headers = dict(cast("list[tuple[str, bytes]]", message.headers()))
        if NUMBER in headers and not self._sender.settle(headers[NUMBER]):
            return  # without a number it is somebody else's: the broker's address is on the screen
        value, now = message.value(), time.time()
        if message.topic() == DEAD:
            why = headers["__connect.errors.exception.message"].decode()
            self._model.add_dead(DeadLetter(headers["textstream.reason"].decode(), why), now)
        elif value is None:
            self._model.add_tombstone(now)
        else:
            self._model.add_enriched(cast(EnrichedEvent, orjson.loads(value)), now)
