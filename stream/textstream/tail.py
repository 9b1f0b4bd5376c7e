"""`textstream tail`: what comes on output topics, as it comes, for a person or a pipe; without a group or a commit."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

from confluent_kafka import KafkaError
from pydantic import TypeAdapter, ValidationError

from textstream.core.offsets import TopicPartition
from textstream.core.ports import Topics
from textstream.core.record import Record
from textstream.errors import Misconfigured
from textstream.event import EnrichedEvent
from textstream.extent import milliseconds
from textstream.kafka.reader import Reader, position
from textstream.kafka.source import raise_unless_passing, read_record
from textstream.settings import Kafka

UNSCORED = "unscored"
"""What `--label` calls an event without a sentiment."""


class Tail:
    """The records of some topics, from a time, their start ("earliest") or what is their end now ("latest") on."""

    def __init__(self, kafka: Kafka, topics: Sequence[str], partitions: Mapping[str, int], begin: str) -> None:
        begin_ms = None if begin in ("earliest", "latest") else milliseconds("--from", begin)
        # Where retention has taken what was to be read next, the oldest that is left is.
        self._reader = Reader(kafka, {"auto.offset.reset": "earliest"})
        self._reader.assign(
            {
                (topic, number): self._first((topic, number), begin, begin_ms)
                for topic in topics
                for number in range(partitions[topic])
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def read(self, stop: threading.Event) -> Iterator[list[Record]]:
        """What has come, again and again, often nothing, until `stop`. Raises `TextstreamError`."""
        while not stop.is_set():
            records = []
            for message in self._reader.take():
                error = message.error()
                if error is None:
                    records.append(read_record(message, position(message)))
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise_unless_passing(error)
            yield records

    def _first(self, partition: TopicPartition, begin: str, begin_ms: int | None) -> int:
        if begin_ms is not None:
            return self._reader.offset_at(partition, begin_ms)
        low, high = self._reader.bounds(partition)
        return low if begin == "earliest" else high


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: all of these must hold, and what is empty or None holds for each."""

    labels: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    term: re.Pattern[str] | None = None

    def takes(self, event: EnrichedEvent) -> bool:
        """Whether it is one of them."""
        sentiment, code = event["sentiment"], event["language"]["code"]
        return (
            (not self.labels or (UNSCORED if sentiment is None else sentiment["label"]) in self.labels)
            and (not self.languages or code in self.languages or code.split("-")[0] in self.languages)
            and (self.term is None or any(map(self._names, event["key_terms"])))
        )

    def _names(self, term: Mapping[str, object]) -> bool:
        assert self.term is not None
        return any(self.term.search(str(term[form])) is not None for form in ("text", "normalized"))


def pattern(term: str) -> re.Pattern[str]:
    """`--term` as a regular expression, or, where it is none (C++), as the text itself; case does not matter."""
    try:
        return re.compile(term, re.IGNORECASE)
    except re.error:
        return re.compile(re.escape(term), re.IGNORECASE)


def outputs(topic: str, template: str, existing: Mapping[str, int]) -> list[str]:
    """The output topic that is meant by its own name or by its input's. Raises `Misconfigured` where there is neither."""
    names = dict.fromkeys([template.replace("{topic}", topic), topic] if "{topic}" in template else [topic])
    found = [name for name in names if name in existing]
    if not found:
        raise Misconfigured(f"topic {' or '.join(names)} does not exist: name an input or an output topic")
    return found[:1]


def all_outputs(topics: Sequence[Topics], existing: Mapping[str, int], *, dead: bool) -> list[str]:
    """Those of every input. Raises `Misconfigured` where one is missing."""
    names = list(dict.fromkeys(one.dead if dead else one.enriched for one in topics))
    if missing := [name for name in names if name not in existing]:
        raise Misconfigured(f"topic {missing[0]} does not exist: create it (`textstream topics create`) or correct [output]")
    return names


def read_event(value: bytes) -> EnrichedEvent:
    """An event as anybody may have written it. Raises `ValueError` that says in a few words why it is none."""
    try:
        return _adapter().validate_json(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None


@cache
def _adapter() -> TypeAdapter[EnrichedEvent]:
    return TypeAdapter(EnrichedEvent)
