"""What every Kafka client here has in common: its properties, its errors, its log lines."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from textstream.errors import Fatal, Misconfigured, TextstreamError, Transient
from textstream.kafka.credentials import read, token_callback
from textstream.settings import Kafka, is_secret

Client = TypeVar("Client")

logger = logging.getLogger("textstream.kafka")  # librdkafka's own lines come out here
log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("textstream.kafka")  # and ours

NOT_ALLOWED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
WRONG = {
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_CONFIG,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError._SSL,
}
MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}


def properties(settings: Kafka, own: Mapping[str, object], extra: Mapping[str, str]) -> dict[str, Any]:
    """librdkafka's configuration: our defaults, then the user's, which never hold those our promises rest on.

    Raises `Misconfigured` where a credential cannot be read.
    """
    tokens = {"oauth_cb": token_callback(settings.token_callback)} if settings.token_callback else {}
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "textstream",
        "logger": logger,
        **tokens,
        **own,
        **read({**settings.client, **extra}),
    }


PROTOCOLS: dict[str, dict[str, object]] = {
    "classic": {"group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"},
    "consumer": {"group.protocol": "consumer"},  # the brokers assign (KIP-848)
}


def group(settings: Kafka) -> dict[str, object]:
    """How we are a member of the group."""
    static = {"group.instance.id": settings.group_instance_id} if settings.group_instance_id else {}
    return {**PROTOCOLS[settings.group_protocol], "group.id": settings.group_id, **static}


def opened(factory: Callable[[dict[str, Any]], Client], config: dict[str, Any]) -> Client:
    """A client with this configuration. Raises `Misconfigured` where librdkafka refuses a property."""
    try:
        return factory(config)
    except KafkaException as error:
        why = " ".join(error.args[0].str().split())  # some of librdkafka's messages have two lines
    except (TypeError, ValueError) as error:
        why = str(error)
    for name, value in config.items():
        if is_secret(name) and value:
            why = why.replace(str(value), "***")
    raise Misconfigured(f"{why}: change it under [kafka] in the settings")


def try_properties(settings: Kafka) -> None:
    """Raise `Misconfigured` where librdkafka refuses one of the user's properties: at start, before anything is waited for."""
    opened(Producer, properties(settings, {}, settings.producer))
    opened(Consumer, properties(settings, group(settings), settings.consumer)).close()


def classified(error: KafkaError, doing: str) -> TextstreamError:
    """A client's error, by who must act."""
    what, code = f"{doing}: {error.str()}", _code(error)
    if code in NOT_ALLOWED:  # fatal to a client, some of them, but a new one would meet them too
        return Misconfigured(f"{what}: check the credentials under [kafka.client] and the ACLs of this user")
    if error.fatal() or code == KafkaError._FATAL:
        return Fatal(f"{what}; a restart begins anew")
    if code in MISSING:
        return Misconfigured(f"{what}: create the topic (`textstream topics create`) or correct input.topics")
    if code in WRONG:
        return Misconfigured(f"{what}: change what it names")
    return Transient(what)


def _code(error: KafkaError) -> int:
    """A consumer's fatal errors come as messages, not marked as fatal, and their own code stands in the text alone."""
    if error.code() != KafkaError._FATAL:
        return error.code()
    return next((code for code in NOT_ALLOWED if KafkaError(code).str() in error.str()), KafkaError._FATAL)
