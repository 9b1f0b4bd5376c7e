"""A broker inside this process, for `textstream demo`: librdkafka's mock cluster on a loopback port.

Other clients, in other processes too, reach it like any broker. It serves demonstrations, never proofs:

- a partition keeps 100,000 messages or 5 MB, whichever is less, and silently drops its oldest beyond that;
- no topic administration: a topic is made, with `PARTITIONS` partitions, by the first client that names it;
- no real checks of groups or transactions: a stale member or a fenced producer may be let through;
- it lives in memory and ends with the process.
"""

from typing import Self

from confluent_kafka import KafkaException, Producer

from textstream.errors import Fatal

PARTITIONS = 4
"""Fixed inside librdkafka, checked here when a topic is made."""
CONSUMER_PROPERTIES = {"fetch.wait.max.ms": "5"}
"""For whoever reads from it: unlike Kafka, it answers a fetch only when its wait is over, even when a record has come."""
START_TIMEOUT_S = 5.0
LOG_LEVEL = "4"
"""Warnings and worse: the mock cluster announces itself at the notice level, which would end up in the live view."""


class EmbeddedBroker:
    """The broker runs from `with` to the end of its block; close every client before."""

    def __init__(self) -> None:
        # The cluster lives inside this client and is destroyed with it; nothing is ever produced through it.
        self._host: Producer | None = None
        self._address = ""

    def __enter__(self) -> Self:
        self._host = Producer({"test.mock.num.brokers": "1", "log_level": LOG_LEVEL})
        try:
            brokers = self._host.list_topics(timeout=START_TIMEOUT_S).brokers.values()
        except KafkaException as error:
            self._host = None
            raise Fatal(f"the embedded broker did not start within {START_TIMEOUT_S:.0f} s: {error.args[0]}") from None
        self._address = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        return self

    def __exit__(self, *_: object) -> None:
        self._host = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port, as `kafka.bootstrap_servers` takes it."""
        assert self._host is not None, "the embedded broker runs only inside its `with` block"
        return self._address

    def create_topics(self, *names: str) -> None:
        """Make these topics by naming them, as the mock cluster takes no requests of administration."""
        assert self._host is not None, "the embedded broker runs only inside its `with` block"
        for name in names:
            made = self._host.list_topics(name, timeout=START_TIMEOUT_S).topics[name]
            assert made.error is None, f"{name}: {made.error}"
            assert len(made.partitions) == PARTITIONS, f"{name} has {len(made.partitions)} partitions"
