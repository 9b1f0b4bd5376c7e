"""Bytes to text, and outcomes to bytes: the input and output contracts of one pipeline, pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

import orjson

from textstream import native
from textstream.analysis import EncodedAnalysis
from textstream.core.record import Header, Outcome, OutcomeKind, Record, is_ours
from textstream.core.replay import replayed
from textstream.errors import Poison
from textstream.event import LABELS, SCHEMA_VERSION, ModelInfo, event_id, rfc3339

CLOCK_SKEW_MS = 60_000
"""How far the broker's clock may be behind ours; a timestamp that near to the limit is replaced rather than refused."""

RECORD_OVERHEAD_BYTES = 512
"""What a record costs on the wire beside its key, value and headers: the batch header's 61 bytes and varints, doubled; and the
headers of a trace (`observe.tracing`), which come last."""
HEADER_OVERHEAD_BYTES = 10
"""Two varints of at most 5 bytes for each header."""

OUR_HEADERS_BYTES = 4_096
"""More than an event's own headers ever are: a topic's name has at most 249 characters."""
LAST_TIMESTAMP_MS = 2**63 - 1
"""The largest that Kafka can say, and what it has for limits that are none."""
MAX_ERROR_CHARACTERS = 500
"""Longest `__connect.errors.exception.message`: enough for a reader, bounded for the broker."""


_LABELLED: dict[str, Header] = {label: ("textstream.label", label.encode()) for label in (*LABELS, "none")}

# RFC 6901: no sign, no leading zero.
_ARRAY_INDEX = re.compile("0|[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class TopicLimits:
    """What the broker takes on an output topic; the defaults are those of Apache Kafka 4."""

    max_message_bytes: int = 1_048_588
    timestamp_before_max_ms: int = LAST_TIMESTAMP_MS
    timestamp_after_max_ms: int = 3_600_000

    def takes(self, timestamp_ms: int, now_ms: int) -> bool:
        """Whether a record may keep its timestamp: 0 and -1 mean that it never had one."""
        oldest, newest, _ = self.bounds(now_ms)
        return oldest <= timestamp_ms <= newest

    def bounds(self, now_ms: int) -> tuple[int, int, int]:
        """From which and to which timestamp a record may keep it, and `room`."""
        older, newer = self._margins
        return max(1, now_ms - older), min(now_ms + newer, LAST_TIMESTAMP_MS), self.room

    @property
    def room(self) -> int:
        """Bytes of key and value below which a record with no headers but ours is taken for sure."""
        return self.max_message_bytes - OUR_HEADERS_BYTES

    @cached_property
    def _margins(self) -> tuple[int, int]:
        """How much older and newer than now, in ms."""
        before, after = self.timestamp_before_max_ms, self.timestamp_after_max_ms
        return before - min(CLOCK_SKEW_MS, before // 2), after - min(CLOCK_SKEW_MS, after // 2)


@dataclass(slots=True, frozen=True)
class Route:
    """The two output topics of one input topic, with their limits."""

    enriched: TopicLimits = field(default_factory=TopicLimits)
    dead: TopicLimits = field(default_factory=TopicLimits)


class _Place(NamedTuple):
    """What the outcomes of a partition share: bytes before the offset, in JSON (`opening`, `source`) and in headers."""

    opening: bytes
    source: bytes
    id: bytes
    name: bytes


@lru_cache(maxsize=4096)  # more partitions than a worker reads
def _place(topic: str, partition: int) -> _Place:
    id_ = event_id(topic, partition, 0)[:-1]
    opening, quoted = orjson.dumps(id_)[:-1], orjson.dumps(topic)
    source = b',"source":{"topic":%b,"partition":%d,"offset":' % (quoted, partition)
    return _Place(b'{"id":' + opening, source, id_.encode(), f"{topic}/{partition}/".encode())


@lru_cache(maxsize=4096)  # a batch names the same milliseconds again and again
def _time(timestamp_ms: int) -> bytes:
    """RFC 3339 as JSON."""
    return orjson.dumps(rfc3339(timestamp_ms))


def _now(now_ms: int) -> bytes:
    now = _time(now_ms)
    assert now != b"null", f"the clock shows {now_ms} ms, beyond the year 9999"
    return now


class Codec:
    """The input format and the output contract of a pipeline.

    `routes` maps each topic that is read to the limits of its outputs, `replays` each replay topic among them to its input;
    `pointer` is a JSON pointer (RFC 6901).
    """

    def __init__(
        self,
        *,
        input_format: Literal["json", "text"],
        pointer: str,
        keep_input: bool,
        model: ModelInfo,
        routes: Mapping[str, Route],
        replays: Mapping[str, str] | None = None,
    ) -> None:
        self._decode = self._decode_json if input_format == "json" else self._decode_utf8
        self._pointer = pointer
        self._path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        self._keep_input = keep_input and input_format == "json"
        self._model_headers, self._model_json = _model_headers(model), orjson.dumps(model)
        self._routes = routes
        self._replays = replays or {}

    def originals(self, records: Sequence[Record]) -> list[Record]:
        """Replays as the records that they stand for; every other record as it is, whatever its headers say."""
        sources = self._replays
        return [replayed(one, sources[topic]) if (topic := one.position.topic) in sources else one for one in records]

    def route(self, routes: Mapping[str, Route], replays: Mapping[str, str]) -> None:
        """What is read beside what was, and what its outputs take. Of what went, records may be in flight."""
        self._routes, self._replays = {**self._routes, **routes}, {**self._replays, **replays}

    def decode(self, record: Record) -> str | None:
        """The record's text; None for a tombstone. Raises `Poison`."""
        if record.fault is not None:
            raise record.fault
        return None if record.value is None else self._decode(record.value)

    def _decode_utf8(self, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise Poison("not_utf8", "decode", f"the value is not UTF-8: {error}") from None

    def _decode_json(self, value: bytes) -> str:
        try:
            document = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            self._decode_utf8(value)  # which of the two it is not
            raise Poison("not_json", "decode", f"the value is not JSON: {error}") from None
        for key in self._path:
            try:
                document = document[_index(key) if isinstance(document, list) else key]
            except (KeyError, IndexError, TypeError):
                raise Poison("no_text", "decode", f"the JSON value has nothing at {self._pointer!r}") from None
        if not isinstance(document, str):
            message = f"the text at {self._pointer!r} is {_json_type(document)}, not a string"
            raise Poison("text_not_string", "decode", message)
        return document

    def usual(
        self, records: list[Record], texts: list[str], analyses: list[EncodedAnalysis | Poison | None], now_ms: int
    ) -> list[Outcome | None]:
        """What `encode` gives of each record, by the compiled part; None in the place of one that is left to it.

        Those are records without an analysis, or with one that names its model; with headers; replays; and what is nearly as
        large as the broker takes.
        """
        if native.compiled is None:
            return [None] * len(records)

        def site(topic: str, partition: int) -> tuple[_Place, tuple[int, int, int]]:
            return _place(topic, partition), self._routes[topic].enriched.bounds(now_ms)

        outcomes: list[Outcome | None] = native.compiled.events(
            records, texts, analyses, site, self._model_json, self._model_headers, _LABELLED, now_ms, _now(now_ms),
            self._keep_input, EncodedAnalysis, Outcome,
        )  # fmt: skip
        return outcomes

    def encode(self, record: Record, text: str, analysis: EncodedAnalysis, now_ms: int) -> Outcome:
        """The enriched event of one record. Raises `Poison` when the broker would not take it."""
        headers, model = self._model_headers, self._model_json
        if analysis.model is not None:
            headers, model = _model_headers(analysis.model), orjson.dumps(analysis.model)
        value = self._event(record, text, analysis.json, model, now_ms)
        return self._fitting(self._outcome(record, "enriched", value, now_ms, analysis.label or "none", headers))

    def _event(self, record: Record, text: str, analysis: bytes, model: bytes, now_ms: int) -> bytes:
        """`event.enriched_event` as JSON, put together from what is JSON already."""
        topic, partition, offset, _ = record.origin or record.position
        place, number, processed_at = _place(topic, partition), b"%d" % offset, _now(now_ms)
        kept = (b',"input":', record.value or b"") if self._keep_input else ()
        return b"".join(
            (
                place.opening, number, b'","text":', orjson.dumps(text), b",", analysis, b',"model":', model,
                place.source, number, b',"timestamp":', _time(record.timestamp_ms), b'},"processed_at":', processed_at, *kept,
                b"}",
            )
        )  # fmt: skip

    def tombstone(self, record: Record, now_ms: int) -> Outcome:
        """The null value, forwarded. Raises `Poison` when the broker would not take it."""
        return self._fitting(self._outcome(record, "tombstone", None, now_ms))

    def _fitting(self, outcome: Outcome) -> Outcome:
        record = outcome.record
        limits = self._routes[(record.origin or record.position)[0]].enriched
        if not record.headers and len(outcome.value or b"") + len(record.key or b"") < limits.room:
            return outcome  # nearly every record, without counting further
        if (size := wire_size(outcome.value, record.key, outcome.headers)) > limits.max_message_bytes:
            message = (
                f"the outcome is {size} bytes, its topic takes {limits.max_message_bytes}: raise max.message.bytes or send less"
            )
            raise Poison("too_large", "encode", message)
        return outcome

    def dead_letter(self, record: Record, poison: Poison, now_ms: int) -> Outcome:
        """The original record with what was wrong with it, cut down where the broker would not take it whole."""
        position = record.source
        about: list[Header] = [
            ("__connect.errors.topic", position.topic.encode()),
            ("__connect.errors.partition", str(position.partition).encode()),
            ("__connect.errors.offset", str(position.offset).encode()),
            ("__connect.errors.stage", poison.stage.encode()),
            ("__connect.errors.exception.class.name", b"textstream.errors.Poison"),
            ("__connect.errors.exception.message", str(poison)[:MAX_ERROR_CHARACTERS].encode("utf-8", "replace")),
            ("textstream.reason", poison.reason.encode()),
            ("textstream.attempts", str(poison.attempts).encode()),
            ("textstream.replays", str(record.replays).encode()),
        ]
        whole = self._outcome(record, "dead", record.value, now_ms, about=about, reason=poison.reason)
        limit = self._routes[position.topic].dead.max_message_bytes
        return whole if wire_size(whole.value, record.key, whole.headers) <= limit else _cut(whole, limit)

    def _outcome(
        self,
        record: Record,
        kind: OutcomeKind,
        value: bytes | None,
        now_ms: int,
        label: str = "none",
        model: tuple[Header, ...] | None = None,
        *,
        about: Sequence[Header] = (),
        reason: str = "",
    ) -> Outcome:
        """One record's outcome under the input's headers and ours, at a time that the broker takes."""
        topic, partition, offset, _ = record.origin or record.position
        route = self._routes[topic]
        limits = route.dead if kind == "dead" else route.enriched
        place, number = _place(topic, partition), b"%d" % offset
        headers = [
            *about,
            ("textstream.id", place.id + number),
            ("textstream.source", place.name + number),
            _LABELLED[label],
            *(model or self._model_headers),
        ]
        if record.headers:
            headers[:0] = [header for header in record.headers if not is_ours(header[0], dead=kind == "dead")]
        timestamp_ms = record.timestamp_ms
        if not limits.takes(timestamp_ms, now_ms):
            headers.append(("textstream.timestamp", str(timestamp_ms).encode()))
            timestamp_ms = now_ms
        return Outcome(record, kind, value, headers, timestamp_ms, label, reason)


def wire_size(value: bytes | None, key: bytes | None, headers: list[Header]) -> int:
    """Upper bound of a record's bytes in a batch of its own, uncompressed."""
    size = RECORD_OVERHEAD_BYTES + len(value or b"") + len(key or b"")
    for name, content in headers:
        size += HEADER_OVERHEAD_BYTES + (len(name) if name.isascii() else len(name.encode())) + len(content or b"")
    return size


def _cut(whole: Outcome, limit: int) -> Outcome:
    """Shorten the value; where that is not enough, drop the producer's headers, then the key. The position stays."""
    record = whole.record
    ours = [header for header in whole.headers if is_ours(header[0], dead=True)]
    for headers, key, cut in (
        (whole.headers, record.key, "value"),
        (ours, record.key, "value,headers"),
        (ours, None, "value,headers,key"),
    ):
        marked = [*headers, ("textstream.truncated", cut.encode())]
        room = limit - wire_size(None, key, marked)
        if room >= 0:
            break
    value = None if record.value is None else record.value[: max(room, 0)]
    kept = record if key == record.key else replace(record, key=key, headers=())
    return Outcome(kept, "dead", value, marked, whole.timestamp_ms, reason=whole.reason)


def _model_headers(model: ModelInfo) -> tuple[Header, ...]:
    return (
        ("textstream.model", f"{model['name']}/{model['version']}@{model['digest']}".encode()),
        ("textstream.schema", SCHEMA_VERSION.encode()),
    )


def _index(key: str) -> int:
    if not _ARRAY_INDEX.fullmatch(key):
        raise KeyError(key)
    return int(key)


def _json_type(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return names.get(type(value), "null")
