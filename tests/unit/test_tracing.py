"""Traces of batches: their spans and links, the headers of outcomes, OTLP over HTTP, and nothing of it when it is off."""

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from tests.support.fakes import FakeScorer
from tests.support.kafka import wait_until
from tests.support.worker import clean_environment
from textstream.core.process import Prepared
from textstream.core.record import Position, Record
from textstream.errors import Misconfigured
from textstream.kafka.embedded import CONSUMER_PROPERTIES, PARTITIONS, EmbeddedBroker
from textstream.layers import load_settings
from textstream.observe.tracing import MAX_LINKS, Tracing, links, otlp
from textstream.worker_thread import WorkerThread

TRACE = "0af7651916cd43dd8448eb211c80319c"


def parent(number: int) -> bytes:
    """The traceparent of a producer's span."""
    return f"00-{TRACE}-{number:016x}-01".encode()


class Recorded:
    """Spans that stay in memory; `of` finds them by their kind."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider, "group")

    def of(self, kind: SpanKind) -> Sequence[ReadableSpan]:
        """The ended spans of a kind."""
        return [span for span in self._exporter.get_finished_spans() if span.kind is kind]


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """With the topics of a pipeline."""
    with EmbeddedBroker() as broker:
        broker.create_topics("in", "in.enriched", "in.dead")
        yield broker


def served(broker: EmbeddedBroker, messages: Sequence[tuple[bytes, list[tuple[str, bytes]]]], recorded: Recorded) -> None:
    """Have a real worker read these messages, each a value and its headers, and publish what comes of them."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for value, headers in messages:
        producer.produce("in", value, partition=0, headers=list(headers))
    producer.flush()
    flags = {
        "kafka.bootstrap_servers": broker.bootstrap_servers,
        "kafka.consumer": CONSUMER_PROPERTIES,
        "input.topics": ["in"],
        "input.format": "text",
    }
    worker = WorkerThread(load_settings(environ={}, flags=flags), FakeScorer(), tracing=recorded.tracing)

    def settled() -> float:
        dead = worker.value("textstream_outcomes_total", topic="in", outcome="dead", reason="not_utf8")
        return dead + worker.value("textstream_outcomes_total", topic="in", outcome="enriched", reason="")

    with worker:
        wait_until(lambda: settled() == len(messages), 60, lambda: f"not served: {worker.error!r}")


def headers_of(broker: EmbeddedBroker, topic: str, count: int) -> list[list[tuple[str, bytes]]]:
    """The headers of what stands in a topic."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader", **CONSUMER_PROPERTIES})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found = []
    while len(found) < count:
        message = consumer.poll(10)
        assert message is not None, f"{len(found)} of {count} in {topic}"
        assert message.error() is None, message.error()
        found.append([(name, bytes(content)) for name, content in message.headers() or []])
    consumer.close()
    return found


def test_the_trace_of_a_batch(broker: EmbeddedBroker) -> None:
    """A real worker, headers of three producers' spans, poison among the messages: each batch is a root `process` with links to
    the spans that its messages name, and a child `send` for each output topic, whose context every outcome bears, once."""
    recorded = Recorded()
    texts = [(b"one", parent(1)), (b"two", parent(2)), (b"\xff", parent(3))]
    foreign = [("traceparent", b"nonsense"), ("tracestate", b"them=1")]
    served(broker, [*((value, [("traceparent", of)]) for value, of in texts), (b"four", foreign)], recorded)
    process, sends = recorded.of(SpanKind.CONSUMER), recorded.of(SpanKind.PRODUCER)
    assert {link.context.span_id for span in process for link in span.links} == {1, 2, 3}
    assert all(link.context.trace_id == int(TRACE, 16) for span in process for link in span.links)
    by_id = {span.context.span_id: span for span in process}
    for span in process:
        assert (span.name, span.parent) == ("process in", None)
        assert dict(span.attributes or {}) == {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": "in",
            "messaging.destination.partition.id": "0",
            "messaging.consumer.group.name": "group",
            "messaging.batch.message_count": (span.attributes or {})["messaging.batch.message_count"],
        }
        assert [event.name for event in span.events] == ["scoring", "scored"]
        times = [span.start_time or 0, *(event.timestamp for event in span.events), span.end_time or 0]
        assert times == sorted(times)
    assert sum(int(str((span.attributes or {})["messaging.batch.message_count"])) for span in process) == 4
    assert {span.name for span in sends} == {"send in.enriched", "send in.dead"}
    for topic, count in (("in.enriched", 3), ("in.dead", 1)):
        made = {format(span.context.span_id, "016x"): span for span in sends if span.name == f"send {topic}"}
        for headers in headers_of(broker, topic, count):
            (of,) = [content.decode() for name, content in headers if name == "traceparent"]
            assert not [name for name, _ in headers if name == "tracestate"]
            _, trace, span_id, _ = of.split("-")
            span = made[span_id]
            assert span.parent is not None
            assert by_id[span.parent.span_id].context.trace_id == int(trace, 16) == span.context.trace_id


def item(*headers: tuple[str, bytes | None]) -> Prepared:
    """A message with these headers."""
    return Prepared(Record(Position("in", 0, 0, 0), b"", headers=headers))


def test_links_are_bounded() -> None:
    """A large batch links to so many contexts and no more, and to each once."""
    many = [item(("traceparent", parent(number // 2 + 1))) for number in range(8 * MAX_LINKS)]
    found = [link.context.span_id for link in links(many)]
    assert found == list(range(1, MAX_LINKS + 1))


@given(
    st.lists(
        st.tuples(st.sampled_from(["traceparent", "tracestate", "other"]), st.none() | st.binary(max_size=300)), max_size=4
    )
)
def test_whatever_producers_write(headers: list[tuple[str, bytes | None]]) -> None:
    """No header keeps a message from being processed: what is no context has no link."""
    assert len(links([item(*headers)])) <= 1
    assert links([item(*headers, ("traceparent", parent(7)))])[0].context.span_id == 7


def test_a_tracestate_goes_with_its_link() -> None:
    """Vendors find theirs in it; one that is longer than W3C asks for is left out, the link stays."""
    (link,) = links([item(("traceparent", parent(1)), ("tracestate", b"a=1,b=2"))])
    assert link.context.trace_state.to_header() == "a=1,b=2"
    (link,) = links([item(("traceparent", parent(1)), ("tracestate", b"a=" + b"1" * 600))])
    assert not link.context.trace_state


class Collector(http.server.ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.got: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.got.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_traces_go_to_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP over HTTP to where OTEL_EXPORTER_OTLP_ENDPOINT says, under the service's name, all of it by the worker's end."""
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    tracing = otlp("group", {})
    with tracing._tracer.start_as_current_span("a"):
        pass
    tracing.close()
    collector.shutdown()
    collector.server_close()
    (resource,) = [spans for request in collector.got for spans in request.resource_spans]
    named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert named["service.name"] == "textstream"
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["a"]


def test_a_collector_that_is_mute_holds_no_worker_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: the end comes within its limit all the same, however much is left to export."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{mute.getsockname()[1]}")
        tracing = otlp("group", {})
        for _ in range(1_000):
            tracing._tracer.start_span("a").end()
        began = time.monotonic()
        tracing.close(within_s=0.5)
        assert time.monotonic() - began < 5


def test_grpc_is_refused() -> None:
    """Asked for by the standard variable, it is not silently something else."""
    with pytest.raises(Misconfigured, match="OTEL_EXPORTER_OTLP_PROTOCOL = grpc"):
        otlp("group", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def run(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """`textstream run` where importing OpenTelemetry fails, and no broker answers."""
    (folder / "opentelemetry").mkdir()
    (folder / "opentelemetry/__init__.py").write_text("raise ModuleNotFoundError('none', name='opentelemetry')")
    command = [sys.executable, "-m", "textstream", "run", "--input.topics", "in", "--observe.http_port", "0"]
    command += ["--kafka.bootstrap_servers", "127.0.0.1:1", "--delivery.startup_timeout_s", "1", *flags]
    environment = clean_environment(PYTHONPATH=str(folder))
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_without_the_extra_it_is_refused(tmp_path: Path) -> None:
    """Status 78, before anything is waited for, with what to install."""
    done = run(tmp_path, "--observe.tracing", "otlp")
    assert done.returncode == 78, done.stderr
    assert "pip install 'textstream[otel]'" in done.stderr.splitlines()[-1]


def test_off_it_costs_nothing(tmp_path: Path) -> None:
    """Off, which is the default, nothing of OpenTelemetry is imported: a worker goes on to its broker without it."""
    done = run(tmp_path)
    assert done.returncode == 75, done.stderr
