"""What every program of this folder is told and has to write; it runs in the environment of its framework, without textstream.

The event and its headers are those that textstream writes (`enriched` is compared with it in `test_streams`), made by plain
functions, so that what differs between the programs is their framework.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

BROKERS = os.environ.get("STREAM_BROKERS", "")
INPUT = os.environ.get("STREAM_INPUT", "")
OUTPUT = os.environ.get("STREAM_OUTPUT", "")
GROUP = os.environ.get("STREAM_GROUP", "")
LINGER_MS = int(os.environ.get("STREAM_LINGER_MS", "5"))
EXACTLY_ONCE = os.environ.get("STREAM_GUARANTEE") == "exactly_once"
SCORER = os.environ.get("STREAM_SCORER", "noop")

NEUTRAL = {"label": "neutral", "score": 0.0, "probabilities": {"negative": 0.25, "neutral": 0.5, "positive": 0.25}}
ENGLISH = {"code": "en", "probability": 1.0, "supported": True}
MODEL = {"name": SCORER, "version": "1.0.0", "digest": "sha256:" + "0" * 64}

Analyse = Callable[[str], dict[str, Any]]
Headers = list[tuple[str, bytes]]


def noop(_: str) -> dict[str, Any]:
    """What is said of a text by nobody."""
    return {"language": ENGLISH, "sentiment": NEUTRAL, "key_terms": [], "truncated": False}


def chosen() -> Analyse:
    """The scorer by STREAM_SCORER; what it needs is imported only here."""
    if SCORER == "noop":
        return noop
    import scorers

    return {"vader-yake": scorers.vader_yake, "minilm": scorers.minilm, "swift": scorers.swift}[SCORER]()


def enriched(
    analyse: Analyse, message: dict[str, Any], topic: str, partition: int, offset: int, timestamp_ms: int
) -> tuple[dict[str, Any], Headers]:
    """The event of one decoded message, and its headers."""
    text = message["text"]
    said = analyse(text)
    model = said.get("model", MODEL)
    name = f"{topic}-{partition}-{offset}"
    event = {
        "id": name,
        "text": text,
        "language": said["language"],
        "sentiment": said["sentiment"],
        "key_terms": said["key_terms"],
        "truncated": said["truncated"],
        "model": model,
        "source": {"topic": topic, "partition": partition, "offset": offset, "timestamp": rfc3339(timestamp_ms)},
        "processed_at": rfc3339(time.time_ns() // 1_000_000),
    }
    sentiment = said["sentiment"]
    headers = [
        ("textstream.id", name.encode()),
        ("textstream.source", f"{topic}/{partition}/{offset}".encode()),
        ("textstream.label", (sentiment["label"] if sentiment else "none").encode()),
        ("textstream.model", f"{model['name']}/{model['version']}@{model['digest']}".encode()),
        ("textstream.schema", b"1"),
    ]
    return event, headers


@lru_cache(maxsize=4096)
def rfc3339(timestamp_ms: int) -> str:
    """Milliseconds since the epoch; many messages share one."""
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
