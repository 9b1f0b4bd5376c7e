"""Traces on a real Kafka: the context that an outcome bears is that of its batch, and replaces the producer's."""

import pytest
from opentelemetry.trace import SpanKind

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running
from tests.support.kafka import Outgoing, wait_until
from tests.unit.test_tracing import Recorded, parent


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_outcomes_bear_their_batchs_context(guarantee: str, new_stream: NewStream) -> None:
    """Events, a tombstone and a dead letter, each with one traceparent: of the span that sent it, in its batch's trace, which
    links to the producer's span."""
    stream, recorded = new_stream(partitions=2), Recorded()
    values = [b'{"text": "good"}', b"no JSON", None, b'{"text": "also good"}']
    producers = [("traceparent", parent(number + 1)) for number in range(len(values))]
    stream.kafka.produce_all(
        stream.input,
        [
            Outgoing(value, b"key", n % 2, [of, ("mine", b"1")])
            for n, (value, of) in enumerate(zip(values, producers, strict=True))
        ],
    )
    with Running(stream, tracing=recorded.tracing, delivery__guarantee=guarantee) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
    assert {link.context.span_id for span in recorded.of(SpanKind.CONSUMER) for link in span.links} == {1, 2, 3, 4}
    sent = {(span.name, format(span.context.span_id, "016x")) for span in recorded.of(SpanKind.PRODUCER)}
    for topic in (stream.enriched, stream.dead):
        for record in stream.kafka.read_all(topic):
            of = (record.header("traceparent") or b"").decode()
            assert (f"send {topic}", of.split("-")[2]) in sent
            assert record.header("mine") == b"1"
    assert stream.audit().lost == 0
