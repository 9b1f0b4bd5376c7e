"""Errors of the Kafka client, by who must act."""

import pytest
from confluent_kafka import KafkaError

from textstream.errors import Fatal, Misconfigured, TextstreamError, Transient
from textstream.kafka.client import classified

FENCED = "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id"
FORBIDDEN = "Fatal error: Broker: Group authorization failed: ConsumerGroupHeartbeat fatal error"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (KafkaError(KafkaError._ALL_BROKERS_DOWN), Transient, 75),
        (KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), Transient, 75),
        (KafkaError(KafkaError.NOT_COORDINATOR), Transient, 75),
        (KafkaError(KafkaError._MSG_TIMED_OUT), Transient, 75),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), Misconfigured, 78),
        (KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, fatal=True), Misconfigured, 78),
        (KafkaError(KafkaError._AUTHENTICATION), Misconfigured, 78),
        (KafkaError(KafkaError._SSL), Misconfigured, 78),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), Misconfigured, 78),
        (KafkaError(KafkaError.INVALID_CONFIG), Misconfigured, 78),
        (KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True), Fatal, 70),
        (KafkaError(KafkaError._FENCED, fatal=True), Fatal, 70),
        (KafkaError(KafkaError._FATAL, FENCED), Fatal, 70),
        (KafkaError(KafkaError._FATAL, FORBIDDEN), Misconfigured, 78),
    ],
)
def test_who_must_act(error: KafkaError, kind: type[TextstreamError], status: int) -> None:
    """What passes is waited for; rights, passwords, certificates and topics are the operator's; a fatal error ends the process,
    also where a consumer hands it out as a message that is not marked so."""
    found = classified(error, "doing it")
    assert type(found) is kind
    assert found.exit_status == status
    assert str(found).startswith("doing it: ")
