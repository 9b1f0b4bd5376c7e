"""What a worker may do: a right or a password that is missing, or is withdrawn while it runs, ends it and is named."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from tests.contract.test_check import checked
from tests.contract.test_worker import Running, messages
from tests.support.fakes import FakeScorer
from tests.support.kafka import GuardedKafka, wait_until
from tests.support.reaper import Reaper
from tests.support.stream import Stream
from textstream.clock import SystemClock
from textstream.core.ports import Report, TransactionalSink
from textstream.core.process import Prepared
from textstream.core.record import Outcome, Position, Record
from textstream.errors import Misconfigured, TextstreamError
from textstream.layers import load_settings
from textstream.world import RealWorld

READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
ALO, EO = "at_least_once", "exactly_once"
Right = tuple[ResourceType, str, AclOperation]


@pytest.fixture(scope="module")
def guarded(reaper: Reaper) -> Iterator[GuardedKafka]:
    """A broker that asks who is there."""
    kafka = GuardedKafka(reaper, group_consumer_session_timeout_ms="3000", group_consumer_heartbeat_interval_ms="750")
    kafka.start()
    yield kafka
    kafka.close()


@pytest.fixture
def stream(guarded: GuardedKafka, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A stream of its own there."""
    return Stream(guarded, reaper, tmp_path_factory.mktemp("stream"))


def rights(stream: Stream) -> list[Right]:
    """All that a worker needs."""
    topic, group, transaction = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
    return [
        (topic, stream.input, READ),
        (topic, stream.enriched, WRITE),
        (topic, stream.dead, WRITE),
        (group, stream.group, READ),
        (transaction, f"{stream.group}-one", WRITE),
    ]


def running(stream: Stream, guarantee: str, protocol: str = "classic", password: str = GuardedKafka.password) -> Running:
    """A worker that says who it is; a static member where its transactional id must be known."""
    session = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"} if protocol == "classic" else {}
    return Running(
        stream,
        kafka__consumer=session,  # it may not be allowed to leave
        kafka__group_protocol=protocol,
        **as_user(stream, guarantee, password),
    )


def as_user(stream: Stream, guarantee: str, password: str = GuardedKafka.password) -> dict[str, object]:
    """The settings of who needs a right for all that it does."""
    assert isinstance(stream.kafka, GuardedKafka)
    who = {"sasl.mechanism": "PLAIN", "sasl.username": GuardedKafka.user, "sasl.password": password}
    client = {"security.protocol": "SASL_PLAINTEXT", "topic.metadata.refresh.interval.ms": "500", **who}
    return {
        "kafka__bootstrap_servers": stream.kafka.guarded_servers,
        "kafka__client": client,
        "delivery__guarantee": guarantee,
        **({"kafka__group_instance_id": "one"} if guarantee == EO else {}),
    }


def assert_refused(worker: Running, *words: str) -> None:
    """It ends, for the operator to act, and says what is missing."""
    wait_until(lambda: worker.error is not None, 60, "the worker went on")
    assert isinstance(worker.error, Misconfigured), repr(worker.error)
    for word in words:
        assert word in str(worker.error)


def test_a_wrong_password_is_said_at_start(stream: Stream) -> None:
    """Exit status 78 after one try: waiting mends no password."""
    with running(stream, ALO, password="guessed") as worker:
        assert_refused(worker, "kafka.client")


@pytest.mark.parametrize(
    ("guarantee", "protocol", "missing", "said"),
    [
        (ALO, "classic", 0, "does not exist"),  # a broker does not show what one may not see
        (ALO, "classic", 1, "does not exist"),
        (ALO, "classic", 3, "ACLs"),
        (ALO, "consumer", 3, "ACLs"),
        (EO, "classic", 3, "ACLs"),
        (EO, "classic", 4, "ACLs"),
    ],
)
def test_a_right_that_is_missing_at_start(stream: Stream, guarantee: str, protocol: str, missing: int, said: str) -> None:
    """Input, output, group, transactional id: exit status 78, and the rights are what is to be looked at."""
    for number, right in enumerate(rights(stream)):
        if number != missing:
            stream.kafka.allow(*right)
    with running(stream, guarantee, protocol) as worker:
        assert_refused(worker, said)


COMMANDS = (
    "--operation Read --topic {input}",
    "--operation Write --topic {enriched}",
    "--operation Write --topic {dead}",
    "--operation Read --group {group}",
    "--operation Write --transactional-id {group}-one",
)
"""What gives each of `rights`."""


@pytest.mark.parametrize("missing", range(len(COMMANDS)))
def test_check_names_the_right_that_is_missing(stream: Stream, missing: int) -> None:
    """`textstream check` fails with one line of rights, which holds the command that gives the one that is missing; once it is
    given, the check is green."""
    for number, right in enumerate(rights(stream)):
        if number != missing:
            stream.kafka.allow(*right)
    status, lines = checked(stream, **as_user(stream, EO))
    (line,) = [line for line in lines if not line["ok"]]
    assert (status, line["name"]) == (78, "rights")
    command = COMMANDS[missing].format(input=stream.input, enriched=stream.enriched, dead=stream.dead, group=stream.group)
    assert line["to_do"] == f"kafka-acls.sh --add --allow-principal User:{GuardedKafka.user} {command}"
    stream.kafka.allow(*rights(stream)[missing])
    status, lines = checked(stream, **as_user(stream, EO))
    assert status == 0, lines


@pytest.mark.parametrize(
    ("guarantee", "protocol", "withdrawn"),
    [
        (ALO, "classic", 0),
        (ALO, "classic", 1),
        (ALO, "classic", 3),
        (ALO, "consumer", 3),
        (EO, "classic", 1),
        (EO, "classic", 3),
        (EO, "classic", 4),
    ],
)
def test_a_right_that_is_withdrawn(stream: Stream, guarantee: str, protocol: str, withdrawn: int) -> None:
    """Exit status 78, and what had its outcome refused is not committed; with the right again the next worker loses nothing."""
    for right in rights(stream):
        stream.kafka.allow(*right)
    stream.kafka.produce_all(stream.input, messages(10, 1))
    with running(stream, guarantee, protocol) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
        stream.kafka.withdraw(*rights(stream)[withdrawn])
        stream.kafka.produce_all(stream.input, messages(10, 1))
        assert_refused(worker, "ACLs")
    stream.kafka.allow(*rights(stream)[withdrawn])
    with running(stream, guarantee, protocol) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
    found = stream.audit()
    assert found.lost == found.disordered == 0, found.examples


def test_an_abort_names_the_right_that_was_missing(stream: Stream) -> None:
    """The client alone knows why such a transaction failed: the broker says only that it never saw it begin."""
    for right in rights(stream):
        stream.kafka.allow(*right)
    flags = {name.replace("__", "."): value for name, value in as_user(stream, EO).items()}
    flags |= {"kafka.group_id": stream.group, "input.topics": stream.input}
    # The topic is not looked at meanwhile: that would tell the client before it asks to write there.
    flags["kafka.producer"] = {"topic.metadata.refresh.interval.ms": "600000"}
    world = RealWorld(load_settings(environ={}, flags=flags), FakeScorer(), SystemClock())
    sink = world.transactional_sink(world.inspect(10))
    record = Record(Position(stream.input, 0, 0, 1), b"text")
    outcome = Prepared(record), Outcome(record, "enriched", b"{}", [], 1_764_000_000_000)
    sink.begin()
    sink.send(*outcome)
    assert reported(sink) is None
    sink.commit({}, None, 10)
    stream.kafka.withdraw(*rights(stream)[1])
    sink.begin()
    sink.send(*outcome)
    assert reported(sink) is not None
    with pytest.raises(Misconfigured, match="ACLs"):
        sink.abort(10)
    sink.close()


def reported(sink: TransactionalSink) -> TextstreamError | None:
    """What is told of the one outcome that was sent."""
    reports: list[Report] = []

    def told() -> bool:
        reports.extend(sink.reports(0.1))
        return bool(reports)

    wait_until(told, 30, "nothing was reported")
    ((_, _, error, _),) = reports
    return error
