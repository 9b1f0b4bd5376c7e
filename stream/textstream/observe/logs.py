"""Logs: one event name a line, readable or JSON, on standard error; so many a minute of each name, and no message text.

An event's name never changes with what happened: that stands in the line's fields. So lines are counted and searched by name.
What the clients log themselves is `librdkafka.` and the name that librdkafka gives it; other libraries' is their logger's.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import structlog

MAX_EVENTS = 500
"""Event names that are limited apart; librdkafka and we have about a hundred. The rest share `OTHER`."""
OTHER = "other"
MINUTE_S = 60.0
INFINITY = float("inf")
SUPPRESSED = "lines_suppressed"
"""The event that sums up what was not logged."""


def configure(
    log_format: Literal["console", "json"],
    level: str,
    *,
    lines_per_minute: int = 0,
    suppressed: Callable[[str], object] = lambda _: None,
) -> None:
    """Send structlog's events, librdkafka's and OpenTelemetry's lines through one formatter. Call it once, at start.

    At most `lines_per_minute` of an event are logged, 0 for all; `suppressed` gets the name of each that is not.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else console
    handler = _Handler(Limit(lines_per_minute), suppressed)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_named, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    for name in ("textstream", "opentelemetry"):
        root = logging.getLogger(name)
        root.handlers[:] = [handler]
        root.setLevel(level.upper())
        root.propagate = False
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger below `textstream`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"textstream.{name}")
    return logger


def event_name(record: logging.LogRecord) -> str:
    """The name of a line's event, ours or not."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("event"))
    if record.name == "textstream.kafka" and isinstance(record.args, tuple) and len(record.args) == 3:
        return f"librdkafka.{str(record.args[0]).lower()}"  # "%s [%s] %s": name, client, what happened
    return record.name.removeprefix("textstream.")


@dataclass(slots=True)
class _Bucket:
    """Lines that may still be logged, and how many were not since `since`."""

    left: float
    filled_at: float
    suppressed: int = 0
    since: float = 0.0


class Limit:
    """So many lines of an event at once, and as many again a minute. Pure: time comes in, in seconds that only grow."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, _Bucket] = {}
        self._due_at = INFINITY

    def lets_through(self, event: str, now: float) -> bool:
        """Whether the next line of this event may be logged. Ask once for each."""
        if not self._per_minute:
            return True
        bucket = self._bucket(event, now)
        gained = (now - bucket.filled_at) * self._per_minute / MINUTE_S
        bucket.left, bucket.filled_at = min(self._per_minute, bucket.left + gained), now
        if bucket.left >= 1:
            bucket.left -= 1
            return True
        if not bucket.suppressed:
            bucket.since = now
            self._due_at = min(self._due_at, now + MINUTE_S)
        bucket.suppressed += 1
        return False

    def due(self, now: float) -> list[tuple[str, int]]:
        """Event and number of lines, where some have been suppressed for a minute; each is told once."""
        if now < self._due_at:
            return []
        late = [(event, bucket) for event, bucket in self._buckets.items() if bucket.suppressed]
        told = [(event, bucket.suppressed) for event, bucket in late if now >= bucket.since + MINUTE_S]
        for event, _ in told:
            self._buckets[event].suppressed = 0
        self._due_at = min((bucket.since + MINUTE_S for _, bucket in late if bucket.suppressed), default=INFINITY)
        return told

    def name(self, event: str) -> str:
        """What an event is limited, counted and told as: `OTHER` where there are too many."""
        return event if event in self._buckets or len(self._buckets) < MAX_EVENTS else OTHER

    def _bucket(self, event: str, now: float) -> _Bucket:
        return self._buckets.setdefault(self.name(event), _Bucket(self._per_minute, now))


class _Handler(logging.StreamHandler[Any]):
    """Standard error, within the limit; debug lines come only when they are asked for, so they all come."""

    def __init__(self, limit: Limit, suppressed: Callable[[str], object]) -> None:
        super().__init__(sys.stderr)
        self._limit = limit
        self._suppressed = suppressed

    def emit(self, record: logging.LogRecord) -> None:
        """Under the handler's lock, as all emitting is."""
        event = record.event = event_name(record)  # while the line's arguments are with it
        if record.levelno > logging.DEBUG and event != SUPPRESSED:
            now = time.monotonic()
            self._tell(now)
            if not self._limit.lets_through(event, now):
                self._suppressed(self._limit.name(event))
                return
        super().emit(record)

    def close(self) -> None:
        """At the end of the process: what was suppressed and not told yet."""
        self._tell(INFINITY)
        super().close()

    def _tell(self, now: float) -> None:
        for event, lines in self._limit.due(now):
            get_logger("logs").warning(SUPPRESSED, of=event, lines=lines, limit="observe.log_lines_per_minute")


def _named(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A library's line as an event of ours: its name, and what it says as a field."""
    return {**event, "event": event["_record"].event, "message": event["event"]}
