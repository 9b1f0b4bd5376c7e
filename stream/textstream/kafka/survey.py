"""What the brokers tell of a pipeline, for `textstream check`: they are asked, nothing is joined, read or written.

Rights are not guessed from failures: a broker that describes a topic or a group says what the asker may do with it.
"""

import contextlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package's own way to import them
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from textstream.kafka.client import MISSING, NOT_ALLOWED, classified, opened, properties
from textstream.kafka.topics import REQUEST_TIMEOUT_S, UNTOLD, TopicAdmin
from textstream.settings import Kafka

COORDINATOR_WITHIN_S, COORDINATOR_PAUSE_S = 15.0, 0.2
"""How long a group's coordinator may take to load it, and the pause between two questions."""
TELL_WITHIN_S = 2.0
"""How long librdkafka may take to say what a broker can: it asks as it connects, and says so in lines of its log."""
LOADING = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}

_API = re.compile(r"ApiKey \w+ \((\d+)\) Versions \d+\.\.\d+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A topic as described. `may` holds names of operations; without `partitions` it is missing, or hidden from us.

    `config` is None where we may not ask for it, `newest_ms` is the latest timestamp of any record, None without one.
    """

    name: str
    may: frozenset[str] = frozenset()
    hidden: bool = False
    partitions: Sequence[tuple[bool, int, int]] = ()  # whether it has a leader, replicas, of them in sync
    config: Mapping[str, str] | None = None
    newest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SeenGroup:
    """A group as described: what we may do with it, its state, and the static members that it has."""

    may: frozenset[str] = frozenset()
    state: str = ""
    members: int = 0
    instances: frozenset[str] = field(default_factory=frozenset)


class _Lines(logging.Handler):
    """librdkafka's own lines, for what it tells nowhere else; kept here, shown to nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.apis: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if found := _API.search(record.getMessage()):
            self.apis.add(int(found[1]))


class Survey(TopicAdmin):
    """Looks closer than a worker has to. Raises as `TopicAdmin`; what one may not see is part of the answer."""

    def __init__(self, settings: Kafka) -> None:
        self._lines = _Lines()
        told = logging.Logger("textstream.survey", logging.DEBUG)  # of nobody's tree: its lines end here
        told.addHandler(self._lines)
        super().__init__(settings, log_level=7, debug="feature", logger=told)
        self._settings = settings

    def cluster(self) -> tuple[str, int]:
        """Its name, and how many brokers it has. Raises `Transient` where none answers."""
        metadata = self._metadata()
        return str(metadata.cluster_id), len(metadata.brokers)

    def describes(self) -> bool:
        """Whether there is a controller to answer the rest; the embedded broker has none."""
        return self._has_controller(REQUEST_TIMEOUT_S)

    def apis(self) -> set[int]:
        """The numbers of the requests (KIP-35) that a broker knows; empty where librdkafka does not say."""
        deadline = monotonic() + TELL_WITHIN_S
        while not self._lines.apis and monotonic() < deadline:
            self._admin.poll(COORDINATOR_PAUSE_S)
        self._admin.poll(0)
        return self._lines.apis

    def broker_setting(self, name: str) -> str | None:
        """A setting of a broker, None where we may not ask (ACL DescribeConfigs on the cluster)."""
        broker = str(next(iter(self._metadata().brokers)))
        return (self._configs(ResourceType.BROKER, [broker])[broker] or {}).get(name)

    def topics(self, names: Sequence[str]) -> dict[str, Seen]:
        """These topics, with what may be done to them, how they are kept and how new they are."""
        answers = self._admin.describe_topics(
            TopicCollection(list(names)), include_authorized_operations=True, request_timeout=REQUEST_TIMEOUT_S
        )
        found = {name: self._seen(name, future) for name, future in answers.items()}
        there = [name for name, seen in found.items() if seen.partitions]
        configs = self._configs(ResourceType.TOPIC, there)
        newest = self._newest({name: len(found[name].partitions) for name in there})
        for name in there:
            one = found[name]
            found[name] = Seen(name, one.may, partitions=one.partitions, config=configs[name], newest_ms=newest.get(name))
        return found

    def group(self) -> SeenGroup:
        """Our group, also one that nobody ever joined."""
        name = self._settings.group_id
        deadline = monotonic() + COORDINATOR_WITHIN_S
        while True:
            answers = self._admin.describe_consumer_groups(
                [name], include_authorized_operations=True, request_timeout=REQUEST_TIMEOUT_S
            )
            try:
                found = answers[name].result()
            except KafkaException as error:
                code = error.args[0].code()
                if code in NOT_ALLOWED:
                    return SeenGroup()
                if code not in LOADING or monotonic() > deadline:
                    raise classified(error.args[0], f"describing group {name}") from None
                sleep(COORDINATOR_PAUSE_S)
            else:
                instances = frozenset(one.group_instance_id for one in found.members if one.group_instance_id)
                return SeenGroup(_names(found.authorized_operations), found.state.name, len(found.members), instances)

    def may_be_transactional(self, identity: str) -> bool:
        """Whether we may write under this transactional id. Asked by taking the id, so never one that a worker may be using."""
        own = {"transactional.id": identity, "log_level": 0}
        producer = opened(Producer, properties(self._settings, own, self._settings.producer))
        try:
            producer.init_transactions(COORDINATOR_WITHIN_S)
        except KafkaException as error:
            if error.args[0].code() in NOT_ALLOWED:
                return False
            raise classified(error.args[0], f"taking the transactional id {identity}") from None
        return True

    def _seen(self, name: str, future: "Future[Any]") -> Seen:
        try:
            found = future.result()
        except KafkaException as error:
            if error.args[0].code() not in MISSING | NOT_ALLOWED:
                raise classified(error.args[0], f"describing topic {name}") from None
            return Seen(name, hidden=error.args[0].code() in NOT_ALLOWED)
        partitions = [(one.leader is not None, len(one.replicas), len(one.isr)) for one in found.partitions]
        return Seen(name, _names(found.authorized_operations), partitions=partitions)

    def _configs(self, kind: ResourceType, names: Iterable[str]) -> dict[str, Mapping[str, str] | None]:
        resources = [ConfigResource(kind, name) for name in names]
        if not resources:
            return {}
        configs: dict[str, Mapping[str, str] | None] = {}
        for resource, future in self._admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S).items():
            try:
                configs[resource.name] = {
                    name: entry.value for name, entry in future.result().items() if entry.value is not None
                }
            except KafkaException as error:
                if error.args[0].code() not in UNTOLD:
                    raise classified(error.args[0], f"reading the settings of {resource.name}") from None
                configs[resource.name] = None
        return configs

    def _newest(self, topics: Mapping[str, int]) -> dict[str, int]:
        """The latest timestamp in each topic that has records, without reading one (KIP-734); nothing of older brokers."""
        latest = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(name, number): latest for name, count in topics.items() for number in range(count)}
        newest: dict[str, int] = {}
        if not asked:
            return newest
        for partition, future in self._admin.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S).items():
            with contextlib.suppress(KafkaException):
                timestamp_ms = future.result().timestamp
                if timestamp_ms >= 0:
                    newest[partition.topic] = max(newest.get(partition.topic, 0), timestamp_ms)
        return newest


def _names(operations: Iterable[Any] | None) -> frozenset[str]:
    return frozenset(operation.name for operation in operations or ())
