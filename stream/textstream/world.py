"""The worker's world as it is: Kafka's brokers, and the model on a thread of its own (`core.ports.World`)."""

from collections.abc import Sequence

from textstream.core.codec import Codec
from textstream.core.ports import Assignment, Clock, Pipeline
from textstream.core.process import Scorer
from textstream.kafka.sink import Sink, TransactionalSink
from textstream.kafka.source import Source
from textstream.kafka.topics import TopicAdmin, named
from textstream.model.cpus import usable_cpus
from textstream.scoring import ScoringThread
from textstream.settings import Settings


class RealWorld:
    """Opens what the settings name. Raises `Misconfigured` where librdkafka refuses one."""

    def __init__(self, settings: Settings, scorer: Scorer, clock: Clock) -> None:
        self._settings = settings
        self._scorer = scorer
        self._clock = clock
        named(settings.input, settings.output)  # what is wrong with the names themselves is told at once
        self._admin = TopicAdmin(settings.kafka)

    def inspect(self, within_s: float) -> Pipeline:
        """The topics as the brokers know them."""
        existing = self._admin.partitions(within_s=within_s)
        return self._admin.inspect(named(self._settings.input, self._settings.output, existing), within_s=within_s)

    def scoring(self, codec: Codec) -> ScoringThread:
        """The model, at work."""
        stall_after_s, one_cpu = self._settings.observe.stall_after_s, usable_cpus() == 1
        return ScoringThread(codec, self._scorer, stall_after_s=stall_after_s, clock=self._clock, one_cpu=one_cpu)

    def source(self, assignment: Assignment, topics: Sequence[str]) -> Source:
        """A member of the group."""
        return Source(self._settings.kafka, topics, assignment)

    def sink(self, pipeline: Pipeline) -> Sink:
        """The writer of outcomes, for at least once."""
        return Sink(self._settings.kafka, pipeline)

    def transactional_sink(self, pipeline: Pipeline) -> TransactionalSink:
        """The writer of outcomes and offsets, for exactly once."""
        return TransactionalSink(self._settings.kafka, pipeline, self._settings.delivery.transaction_timeout_s)
