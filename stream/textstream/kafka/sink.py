"""Writing: an idempotent producer. Outcomes go out, alone or in transactions; acknowledgements come back as values."""

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Offset

from textstream import native
from textstream.core.offsets import TopicPartition
from textstream.core.ports import Aborted, Membership, Pipeline, Report
from textstream.core.process import Prepared
from textstream.core.record import Outcome, Position
from textstream.errors import Fatal, Misconfigured, TextstreamError, Transient
from textstream.kafka.client import NOT_ALLOWED, classified, log, opened, properties
from textstream.kafka.credentials import Credentials
from textstream.settings import Kafka

BY_KEY = -1
"""librdkafka's RD_KAFKA_PARTITION_UA: the partitioner chooses."""

LIBRDKAFKA_MAX_BYTES = 1_000_000_000
"""The most that its `message.max.bytes` may be; a topic may take more."""
CLOSING_ABORT_S = 5.0
"""Longest that leaving an open transaction may take; the broker ends it by itself after `delivery.transaction_timeout_s`."""

OURS: dict[str, object] = {
    "acks": "all",
    "enable.idempotence": True,
    # For ever: an outage fills the in-flight budget and the worker waits; giving up would lose the order.
    "delivery.timeout.ms": 0,
    "partitioner": "murmur2_random",
    "queue.buffering.max.messages": 1_000_000,
    # A batch waits this long for more; the micro-batch before it has already gathered them.
    "linger.ms": 1,
}


class Sink:
    """Publishes outcomes of a pipeline, in the order given for each partition."""

    def __init__(self, kafka: Kafka, pipeline: Pipeline, **own: object) -> None:
        limits = [limit.max_message_bytes for route in pipeline.routes.values() for limit in (route.enriched, route.dead)]
        sizes = {
            "message.max.bytes": min(max(1_000_000, *limits), LIBRDKAFKA_MAX_BYTES),
            "batch.size": min(1_000_000, *limits),
        }
        named = {name.replace("_", "."): value for name, value in own.items()}
        config = {**OURS, **sizes, **named, "error_cb": self._on_error}
        self._producer = opened(Producer, properties(kafka, config, kafka.producer))
        self._credentials = Credentials(kafka, kafka.producer)
        self._reports: deque[Report] = deque()
        self._noted = partial(partial, self._on_delivery)  # (item, outcome) → what is called with the broker's answer
        if native.compiled is not None:
            self._noted = partial(native.compiled.Noted, self._reports, self._on_delivery)
        self._fatal: KafkaError | None = None
        self.unreported = 0
        self._topics: dict[tuple[str, str], tuple[str, int]] = {}
        self.route(pipeline)

    def route(self, pipeline: Pipeline) -> None:
        """Where outcomes go from now on; those of topics that went still go where they went."""
        for one in pipeline.topics:
            count = pipeline.partitions[one.input]
            for kind, name in (("enriched", one.enriched), ("tombstone", one.enriched), ("dead", one.dead)):
                to = (name, count if pipeline.partitions[name] == count else 0)
                # A record of the replay topic that is no replay has itself for its source.
                self._topics[one.input, kind] = self._topics[one.replay, kind] = to

    def send(self, item: Prepared, outcome: Outcome) -> bool:
        """Hand an outcome to the client; False when its queue is full: serve `reports` and try again."""
        record = outcome.record
        position = record.origin or record.position  # `record.source`, without the call
        # 0 kept partitions: the counts differ, so the key decides.
        name, kept_partitions = self._topics[position.topic, outcome.kind]
        try:
            self._producer.produce(
                name,
                outcome.value,
                record.key,
                position.partition if position.partition < kept_partitions else BY_KEY,
                on_delivery=self._noted(item, outcome),
                timestamp=outcome.timestamp_ms,
                headers=outcome.headers,  # type: ignore[arg-type]  # it takes text for a value too, and changes none
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise self._not_taken(position, error.args[0]) from None
        self.unreported += 1
        return True

    def _not_taken(self, position: Position, error: KafkaError) -> TextstreamError:
        return refused(position, error)

    def reports(self, timeout_s: float = 0) -> list[Report]:
        """The acknowledgements since the last call; waits up to `timeout_s` for the first. Raises `Fatal`."""
        self._credentials.renew(self._producer)
        try:
            self._producer.poll(0 if self._reports else timeout_s)
        except KafkaException as error:  # a fatal one, where transactions are used
            raise classified(error.args[0], "writing") from None
        if self._fatal is not None:
            raise classified(self._fatal, "writing")
        reports = list(self._reports)
        self._reports.clear()
        self.unreported -= len(reports)
        return reports

    def close(self) -> None:
        """Drop what is still queued: it is not committed, so it will be read and scored again."""
        self._producer.purge(in_flight=False)

    def _on_delivery(self, item: Prepared, outcome: Outcome, error: KafkaError | None, message: Message) -> None:
        told = None if error is None else refused(outcome.record.position, error)
        self._reports.append((item, outcome, told, message.latency() or 0.0))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error
        else:
            log.warning("producer_error", why=error.str())


class TransactionalSink(Sink):
    """Publishes in transactions. Opening it waits for the coordinator, which ends what an earlier owner of its id left open."""

    def __init__(self, kafka: Kafka, pipeline: Pipeline, timeout_s: float) -> None:
        # A static member's id is its own over restarts: the next process ends at once what the last one left open.
        who = kafka.group_instance_id or uuid.uuid4().hex
        timeout_ms = int(1000 * timeout_s)
        super().__init__(
            kafka,
            pipeline,
            transactional_id=f"{kafka.group_id}-{who}",
            transaction_timeout_ms=timeout_ms,
            delivery_timeout_ms=timeout_ms,  # what is not delivered by then aborts the transaction
        )
        self._open = False
        self._ended("no transactions", self._producer.init_transactions, timeout_s)

    def begin(self) -> None:
        """All that is sent from now on belongs to one transaction."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise classified(error.args[0], "beginning a transaction") from None
        self._open = True

    def _not_taken(self, position: Position, error: KafkaError) -> TextstreamError:
        """A client whose transaction has failed, unknown to us yet, says of an outcome only that this is not the moment."""
        if error.code() == KafkaError._STATE:
            self._tell_what_failed("outcome not taken")
        return super()._not_taken(position, error)

    def _tell_what_failed(self, doing: str) -> None:
        """Asked to begin another transaction, which it never does while one is open, the client tells why that one failed."""
        self._ended(doing, lambda _: self._producer.begin_transaction(), 0)

    def commit(self, offsets: Mapping[TopicPartition, int], membership: Membership, within_s: float) -> None:
        """End it: what was sent stands, and the group holds these next offsets."""
        deadline = monotonic() + within_s
        if offsets:
            told = [Offset(topic, partition, offset) for (topic, partition), offset in offsets.items()]
            hand_over = partial(self._producer.send_offsets_to_transaction, told, membership)
            self._ended("offsets not taken into the transaction", hand_over, deadline - monotonic())
        self._ended("transaction not committed", self._producer.commit_transaction, deadline - monotonic())
        self._open = False

    def abort(self, within_s: float) -> None:
        """End it: nothing that was sent stands. Raises `Misconfigured` where it failed for a right that is missing."""
        with suppress(Aborted, Fatal, Transient):  # it failed for something else, or has not failed
            self._tell_what_failed("transaction failed")
        self._abort(within_s)

    def _abort(self, within_s: float) -> None:
        self._ended("transaction not aborted", self._producer.abort_transaction, within_s)
        self._open = False

    def close(self) -> None:
        """Nothing of the open transaction stands."""
        if self._open:
            try:
                self._abort(CLOSING_ABORT_S)
            except (TextstreamError, Aborted) as error:
                log.warning("transaction_left_open", why=str(error), then="the broker ends it by itself")

    def _ended(self, doing: str, step: Callable[[float], Any], within_s: float) -> None:
        """One step, repeated while the client says that it may be: what timed out goes on where it was."""
        deadline = monotonic() + within_s
        while True:
            try:
                step(max(0.1, deadline - monotonic()))
            except KafkaException as raised:
                error = raised.args[0]
                if error.code() in NOT_ALLOWED:
                    raise classified(error, doing) from None
                if error.txn_requires_abort():
                    raise Aborted(f"{doing}: {error.str()}") from None
                if error.fatal() or not error.retriable():
                    raise classified(error, doing) from None
                if monotonic() >= deadline:
                    raise Transient(f"{doing} within {within_s:g} s: {error.str()}") from None
            else:
                return


def refused(position: Position, error: KafkaError) -> TextstreamError:
    """Why the broker did not take an outcome. librdkafka retries what can be retried, so what it reports is final."""
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD):
        # Of the whole batch, so which record it was cannot be told; with the limits read anew, it can before producing.
        return Misconfigured(
            f"the broker refused the outcome of {position.id} ({error.str()}): its topic's limits have changed or may not"
            " be read; allow DescribeConfigs on the output topics and restart"
        )
    found = classified(error, f"writing the outcome of {position.id}")
    return found if isinstance(found, Misconfigured) else Fatal(f"{found}; a restart scores it again")
