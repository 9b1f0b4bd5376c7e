"""The topics of a pipeline: their names, what the broker takes on them, and how they are created."""

import contextlib
import re
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package's own way to import them
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from textstream.core.codec import Route, TopicLimits
from textstream.core.ports import Pipeline, Topics
from textstream.errors import Misconfigured
from textstream.kafka.client import NOT_ALLOWED, classified, opened, properties
from textstream.kafka.credentials import Credentials
from textstream.settings import Input, Kafka, Output

REQUEST_TIMEOUT_S = 10.0
"""Longest wait for one administrative answer."""


UNTOLD = {*NOT_ALLOWED, KafkaError._UNSUPPORTED_FEATURE}
"""Why a broker may keep a topic's limits to itself; then Kafka's defaults are taken for them."""


def named(reading: Input, output: Output, existing: Iterable[str] | None = None) -> tuple[Topics, ...]:
    """The topics of each input; a pattern stands for those among `existing` that it matches, and, without them, for none.

    Raises `Misconfigured` where an output would be read again, or there is no input.
    """
    if not reading.topics:
        raise Misconfigured("input.topics names no topic: set it in textstream.toml or with --input.topics")
    if twice := sorted({name for name in reading.topics if reading.topics.count(name) > 1}):
        raise Misconfigured(f"input.topics names {twice[0]} twice: name it once")
    templates = output.topic, output.dead_topic, reading.replay_topic
    patterns = [name for name in reading.topics if name.startswith("^")]
    ours = [re.compile(re.escape(template).replace(re.escape("{topic}"), ".+")) for template in templates]
    matching = [
        name
        for name in sorted(existing or ())
        if not (name.startswith("__") or any(one.fullmatch(name) for one in ours))
        and any(re.match(pattern, name) for pattern in patterns)
    ]
    if existing is not None and patterns and not matching:
        raise Misconfigured(f"no topic matches {', '.join(patterns)}: create one, or correct input.topics")
    inputs = list(dict.fromkeys([*(name for name in reading.topics if name not in patterns), *matching]))
    topics = tuple(Topics(name, *(template.replace("{topic}", name) for template in templates)) for name in inputs)
    taken = dict.fromkeys(inputs, "an input")
    taken |= {name: "an output" for one in topics for name in (one.enriched, one.dead)}
    for one in topics:
        for outcome in (one.enriched, one.dead):
            if outcome in inputs:
                raise Misconfigured(f"topic {outcome} is an input and an output: change input.topics or [output]")
        if one.enriched == one.dead:
            raise Misconfigured(f"topic {one.dead} is for events and dead letters: change one of them in [output]")
        if one.replay in taken:
            what = taken[one.replay]
            raise Misconfigured(f"topic {one.replay} is {what} and the replay topic of {one.input}: change input.replay_topic")
        taken[one.replay] = "the replay topic of another input"
    return topics


class TopicAdmin:
    """Looks at topics and creates them. Errors are those of `textstream.errors`."""

    def __init__(self, settings: Kafka, **own: object) -> None:
        # Quiet: what goes wrong here is raised, in one line, not logged as well.
        self._admin = opened(AdminClient, properties(settings, {"log_level": 0, "error_cb": self._on_error, **own}, {}))
        self._credentials = Credentials(settings, {})
        self._servers = settings.bootstrap_servers
        self._last_error: KafkaError | None = None

    def partitions(self, *, within_s: float = REQUEST_TIMEOUT_S) -> dict[str, int]:
        """The number of partitions of every topic. Raises `Transient` when no broker answers in time."""
        return {name: len(topic.partitions) for name, topic in self._metadata(within_s).topics.items()}

    def _metadata(self, within_s: float = REQUEST_TIMEOUT_S) -> ClusterMetadata:
        self._credentials.renew(self._admin)
        try:
            metadata = self._admin.list_topics(timeout=min(within_s, REQUEST_TIMEOUT_S))
        except KafkaException as error:
            self._admin.poll(0)  # serves error_cb, which knows why: a refused connection, a password, a certificate
            cause = self._last_error or error.args[0]
            raise classified(cause, f"no broker answers at {self._servers} (kafka.bootstrap_servers)") from None
        self._admin.poll(0)
        self._last_error = None  # what went wrong before is over
        return metadata

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # a consequence, never the cause
            self._last_error = error

    def inspect(self, topics: tuple[Topics, ...], *, within_s: float = REQUEST_TIMEOUT_S) -> Pipeline:
        """These topics as the brokers know them. Raises `Misconfigured` where one is missing."""
        partitions = self.partitions(within_s=within_s)
        for one in topics:
            for name in (one.input, one.enriched, one.dead):
                if name not in partitions:
                    raise Misconfigured(f"topic {name} does not exist: create it, or run `textstream topics create`")
        limits = self.limits(sorted({name for one in topics for name in (one.enriched, one.dead)}), within_s=within_s)
        replays = {one.replay: one.input for one in topics if one.replay in partitions}
        routes = {one.input: Route(limits[one.enriched], limits[one.dead]) for one in topics}
        routes |= {name: routes[source] for name, source in replays.items()}
        return Pipeline(topics, partitions, routes, replays, self.identities([one.input for one in topics], within_s=within_s))

    def identities(self, names: list[str], *, within_s: float = REQUEST_TIMEOUT_S) -> dict[str, str]:
        """The brokers' own name for each topic, which no other ever gets; nothing of those that do not tell."""
        if not self._has_controller(within_s):
            return {}
        known: dict[str, str] = {}
        limit_s = min(within_s, REQUEST_TIMEOUT_S)
        for name, future in self._admin.describe_topics(TopicCollection(names), request_timeout=limit_s).items():
            with contextlib.suppress(KafkaException):
                known[name] = str(future.result().topic_id)
        return known

    def _has_controller(self, within_s: float) -> bool:
        """The embedded broker has none: what only a controller answers would time out."""
        metadata = self._metadata(within_s)
        return metadata.controller_id in metadata.brokers

    def limits(self, names: Iterable[str], *, within_s: float = REQUEST_TIMEOUT_S) -> dict[str, TopicLimits]:
        """What each topic takes; Kafka's defaults where we may not ask (ACL DescribeConfigs) or the broker cannot say."""
        if not self._has_controller(within_s):
            return {name: TopicLimits() for name in names}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        limits: dict[str, TopicLimits] = {}
        futures = self._admin.describe_configs(resources, request_timeout=min(within_s, REQUEST_TIMEOUT_S))
        for resource, future in futures.items():
            try:
                entries = {name: entry.value for name, entry in future.result().items()}
            except KafkaException as error:
                if error.args[0].code() not in UNTOLD:
                    raise classified(error.args[0], f"reading the limits of topic {resource.name}") from None
                entries = {}
            limits[resource.name] = _limits(entries)
        return limits

    def create(self, topics: tuple[Topics, ...], *, partitions: int, replication_factor: int) -> dict[str, str]:
        """Create what is missing; outputs get as many partitions as their input. Returns {topic: what was done}.

        A replay topic takes records as large as its input does.
        """
        existing = self.partitions()
        wanted: dict[str, int] = {}
        for one in topics:
            count = existing.get(one.input, partitions)
            wanted |= {name: count for name in one.all if name not in existing}
        replayed = {one.replay: one.input for one in topics if one.replay in wanted and one.input in existing}
        limits = self.limits(replayed.values()) if replayed else {}
        new = [
            NewTopic(
                name,
                num_partitions=count,
                replication_factor=replication_factor,
                config=_as_large_as(limits[replayed[name]]) if name in replayed else {},
            )
            for name, count in wanted.items()
        ]
        futures = self._admin.create_topics(new, request_timeout=REQUEST_TIMEOUT_S) if new else {}
        done = dict.fromkeys(_all_names(topics), "exists")
        for name, future in futures.items():
            try:
                future.result()
                done[name] = f"created with {wanted[name]} partitions"
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise classified(error.args[0], f"topic {name} cannot be created") from None
        return done

    def delete(self, topics: tuple[Topics, ...]) -> None:
        """Delete these topics; what cannot be deleted is left."""
        for future in self._admin.delete_topics(_all_names(topics), request_timeout=REQUEST_TIMEOUT_S).values():
            future.exception()


def _all_names(topics: tuple[Topics, ...]) -> list[str]:
    """Each once, for inputs may share outputs: a name that is asked for twice crashes the client (its thread of answers)."""
    return list(dict.fromkeys(name for one in topics for name in one.all))


def _as_large_as(source: TopicLimits) -> dict[str, str]:
    """The configuration of a topic for the same records; what is the default of Kafka is left to the broker."""
    most = source.max_message_bytes
    return {"max.message.bytes": str(most)} if most != TopicLimits().max_message_bytes else {}


def _limits(entries: Mapping[str, str | None]) -> TopicLimits:
    kafka = TopicLimits()

    def entry(name: str, default: int) -> int:
        value = entries.get(name)
        return int(value) if value is not None else default

    return TopicLimits(
        entry("max.message.bytes", kafka.max_message_bytes),
        entry("message.timestamp.before.max.ms", kafka.timestamp_before_max_ms),
        entry("message.timestamp.after.max.ms", kafka.timestamp_after_max_ms),
    )
