"""Traces, by OpenTelemetry's conventions for messaging: a span for each batch, linked to where its messages came from.

A batch has messages of many producers, so its trace is its own: `process` is its root, with links to the contexts that messages
bear, and a child `send` for each topic that its outcomes go to. Outcomes bear the context of their `send`, in the headers that
W3C Trace Context names. Nothing of a message's text is told, and nothing of its key.

Imported only where it is asked for (`observe.tracing`): the rest runs without OpenTelemetry. What the SDK reads from standard
variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_RESOURCE_ATTRIBUTES) stands in its own documentation.
"""

import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from textstream.core.ports import Clock, Pipeline, Scored
from textstream.core.process import Prepared
from textstream.core.record import Header, Outcome
from textstream.errors import Misconfigured

MAX_LINKS = 128
"""Most contexts that a span links to: the SDK keeps no more of itself (OTEL_SPAN_LINK_COUNT_LIMIT)."""
MAX_TRACEPARENT_BYTES, MAX_TRACESTATE_BYTES = 256, 512
"""A longer header is nobody's context: the first has 55, of the second W3C has everybody pass on 512."""
MAX_OUR_TRACESTATE_BYTES = 128
"""A sampler may add one to a trace of ours; one that is longer is left out, since a record has little room to spare."""
CLOSE_WITHIN_S = 5.0
"""Longest that a collector which does not answer may hold up the end of a worker; by itself, the SDK takes 30 s."""
NAMES = {"traceparent": MAX_TRACEPARENT_BYTES, "tracestate": MAX_TRACESTATE_BYTES}
HTTP = "http/protobuf"

_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Makes a trace of each scored batch. Lives on the polling thread."""

    def __init__(self, provider: TracerProvider, group: str) -> None:
        self._provider = provider
        self._group = group
        self._tracer = provider.get_tracer("textstream", version("textstream"))

    def trace(self, scored: Scored, pipeline: Pipeline, clock: Clock) -> None:
        """The spans of a batch that is about to be published; its outcomes get the headers that name them."""
        items, outcomes = scored.batch.items, scored.enriched.outcomes
        now_ns, now = clock.wall_ms() * 1_000_000, clock.now()
        began_ns, started_ns, finished_ns = (
            now_ns - int((now - then) * 1e9) for then in (scored.submitted_at, scored.started_at, scored.finished_at)
        )
        sources = [item.record.source.topic for item in items]
        process = self._tracer.start_span(
            _named("process", sources),
            Context(),  # the root of its trace, whatever runs around it
            SpanKind.CONSUMER,
            {**self._attributes("process", sources), **_partition(items)},
            links(items),
            began_ns,
        )
        process.add_event("scoring", timestamp=started_ns)
        process.add_event("scored", {"textstream.dead_letters": sum(one.kind == "dead" for one in outcomes)}, finished_ns)
        for topic, sent in _by_topic(outcomes, pipeline).items():
            self._send(topic, sent, process, now_ns)
        process.end(now_ns)

    def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Export what was not yet, for as long as may be; what is left then goes with the process."""
        ending = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        ending.start()
        ending.join(within_s)

    def _send(self, topic: str, outcomes: Sequence[Outcome], process: Span, now_ns: int) -> None:
        """From here on the client has them; when the broker does is told by the metrics (stage `deliver`)."""
        attributes = self._attributes("send", [topic] * len(outcomes))
        span = self._tracer.start_span(
            _named("send", [topic]), set_span_in_context(process, Context()), SpanKind.PRODUCER, attributes, (), now_ns
        )
        headers = _headers(span)
        for outcome in outcomes:
            outcome.headers += headers
        span.end(now_ns)

    def _attributes(self, operation: str, topics: Sequence[str]) -> dict[str, str | int]:
        named = {"messaging.destination.name": topics[0]} if len(set(topics)) == 1 else {}
        member = {"messaging.consumer.group.name": self._group} if operation == "process" else {}
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": operation,
            "messaging.operation.name": operation,
            "messaging.batch.message_count": len(topics),
            **named,
            **member,
        }


def otlp(group: str, environ: Mapping[str, str]) -> Tracing:
    """Traces by OTLP over HTTP, to where the standard variables say. Raises `Misconfigured` where they ask for gRPC."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if environ.get(name, HTTP) != HTTP:
            raise Misconfigured(
                f"{name} = {environ[name]}: traces go out by {HTTP} alone; set that, and the collector's HTTP port"
            )
    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ours = {"service.version": version("textstream")} | ({} if named else {"service.name": "textstream"})
    provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider, group)


def links(items: Sequence[Prepared]) -> list[Link]:
    """To the contexts that messages bear: each once, at most `MAX_LINKS`; a header that is none is passed over."""
    found: dict[tuple[int, int], SpanContext] = {}
    for item in items:
        if item.record.headers and (context := _context(item.record.headers)).is_valid:
            found.setdefault((context.trace_id, context.span_id), context)
            if len(found) == MAX_LINKS:
                break
    return [Link(context) for context in found.values()]


def _context(headers: Sequence[Header]) -> SpanContext:
    carrier = {
        name: content.decode("ascii", "replace")
        for name, content in headers
        if name in NAMES and content is not None and len(content) <= NAMES[name]
    }
    return get_current_span(_propagator.extract(carrier, Context())).get_span_context()


def _headers(span: Span) -> list[Header]:
    """What names a span to whoever reads an outcome. The codec left out the producer's of these names."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, set_span_in_context(span, Context()))
    if len(carrier.get("tracestate", "")) > MAX_OUR_TRACESTATE_BYTES:
        del carrier["tracestate"]
    return [(name, value.encode()) for name, value in carrier.items()]


def _named(operation: str, topics: Sequence[str]) -> str:
    """`process reviews`; without a topic where the batch is of several."""
    return f"{operation} {topics[0]}" if len(set(topics)) == 1 else operation


def _partition(items: Sequence[Prepared]) -> dict[str, str]:
    first, *others = {item.record.source.partition for item in items}
    return {} if others else {"messaging.destination.partition.id": str(first)}


def _by_topic(outcomes: Sequence[Outcome], pipeline: Pipeline) -> dict[str, list[Outcome]]:
    """The outcomes by the topic that they go to."""
    topics = {one.input: one for one in pipeline.topics} | {one.replay: one for one in pipeline.topics}
    sent: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        one = topics.get(outcome.record.source.topic)
        if one is not None:  # else its input went meanwhile, and so do its records
            sent.setdefault(one.dead if outcome.kind == "dead" else one.enriched, []).append(outcome)
    return sent
