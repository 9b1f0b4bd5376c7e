"""What `textstream bench` tells whoever measures latency."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from textstream.bench import load
from textstream.bench.run import _Stage
from textstream.core.ports import Topics
from textstream.kafka.embedded import CONSUMER_PROPERTIES
from textstream.layers import load_settings


class Still(_Stage):
    """A stage on which nothing runs."""

    def __init__(self, settings: Any) -> None:
        self._settings, self._client, self._values, self._output = settings, {}, [b"{}"], "out"
        self._empty = Topics("in", "out", "dead", "replay")

    @contextmanager
    def _running(self, *_: object) -> Iterator[Any]:
        yield SimpleNamespace(is_alive=lambda: True)

    def _ends(self, _: str) -> list[int]:
        return [0]

    def _first(self, *_: object) -> float:
        return 0.0

    def _send_one(self) -> None:
        pass


def test_its_reader_reads_as_a_worker_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the consumer's properties, secrets in files among them: left to wait half a second, it measured its own wait."""
    told: list[load.Place] = []

    def measure(_: object, place: load.Place, *args: object, **__: object) -> tuple[Any, Any, list[float]]:
        told.append(place)
        found: Sequence[float] = [1.0, 2.0]
        return SimpleNamespace(messages=1), SimpleNamespace(percentiles_ms=lambda *_: found), []

    monkeypatch.setattr(load, "measure", measure)
    (tmp_path / "secret").write_text("s3cret\n")
    consumer = CONSUMER_PROPERTIES | {"ssl.key.password_file": str(tmp_path / "secret")}
    settings = load_settings(environ={}, flags={"input.topics": ["in"], "kafka.consumer": consumer})
    assert Still(settings).latencies_ms(None, 100, 1, 50, 99) == [1.0, 2.0]
    (place,) = told
    assert place.reader["fetch.wait.max.ms"] == CONSUMER_PROPERTIES["fetch.wait.max.ms"]
    assert place.reader["ssl.key.password"] == "s3cret"
    assert "fetch.wait.max.ms" not in place.sender
