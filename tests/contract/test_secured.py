"""Brokers that ask who is there: a worker proves itself in each way, with no right but those it needs, and tells no secret."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from tests.contract.test_rights import rights
from tests.contract.test_worker import Running, messages
from tests.support.kafka import Outgoing, wait_until
from tests.support.reaper import Reaper
from tests.support.secured import CLIENT_ID, CLIENT_SECRET, Authority, SecuredKafka, Tokens
from tests.support.stream import Stream
from tests.support.worker import as_flags, textstream
from textstream.cli import main
from textstream.settings import property_name

Ways = dict[str, tuple[str, dict[str, str], dict[str, str]]]

SCRAM_PASSWORD = "canary-scram-1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of certificates, passwords and tokens."""
    return tmp_path_factory.mktemp("secured")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    """Who signs for broker and worker."""
    return Authority(folder)


@pytest.fixture(scope="module")
def tokens() -> Iterator[Tokens]:
    """The identity provider."""
    tokens = Tokens()
    yield tokens
    tokens.close()


@pytest.fixture(scope="module")
def secured(reaper: Reaper, authority: Authority, tokens: Tokens) -> Iterator[SecuredKafka]:
    """The broker."""
    kafka = SecuredKafka(reaper, authority, tokens)
    kafka.start()
    kafka.set_scram_password(SCRAM_PASSWORD)
    yield kafka
    kafka.close()


@pytest.fixture
def stream(secured: SecuredKafka, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A stream of its own there, with ten messages, and the rights of a worker on it and no others."""
    stream = Stream(secured, reaper, tmp_path_factory.mktemp("stream"))
    for right in rights(stream):
        secured.allow(*right)
    secured.produce_all(stream.input, messages(10, 1))
    return stream


@pytest.fixture
def ways(folder: Path, authority: Authority, tokens: Tokens) -> Ways:
    """For each way to prove oneself: the broker's address for it, [kafka.client], and other settings."""
    (folder / "plain").write_text(SecuredKafka.password + "\n")
    if not (folder / "scram").exists():
        (folder / "scram").write_text(SCRAM_PASSWORD)
    (folder / "client-secret").write_text(CLIENT_SECRET)
    (folder / "token").write_text(tokens.token())
    tls = {"ssl.ca.location": str(authority.certificate)}
    certificate = str(authority.issue("worker"))
    sasl = tls | {"security.protocol": "sasl_ssl"}
    who = sasl | {"sasl.username": SecuredKafka.user}
    oauth = sasl | {"sasl.mechanism": "OAUTHBEARER"}
    oidc = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": f"{tokens.url}/token",
        "sasl.oauthbearer.client.id": CLIENT_ID,
        "sasl.oauthbearer.client.secret_file": str(folder / "client-secret"),
    }
    callback = {"kafka__token_callback": "tests.support.secured:token_from_file"}
    return {
        "tls": ("tls", tls | {"security.protocol": "ssl"}, {}),
        "mtls": (
            "mtls",
            tls | {"security.protocol": "ssl", "ssl.certificate.location": certificate, "ssl.key.location": certificate},
            {},
        ),
        "plain": ("plain", who | {"sasl.mechanism": "PLAIN", "sasl.password_file": str(folder / "plain")}, {}),
        "scram": ("scram", who | {"sasl.mechanism": "SCRAM-SHA-512", "sasl.password_file": str(folder / "scram")}, {}),
        "oidc": ("oauth", oauth | oidc, {}),
        "callback": ("oauth", oauth | {"sasl.oauthbearer.config": str(folder / "token")}, callback),
    }


@pytest.mark.parametrize("way", ["tls", "mtls", "plain", "scram", "oidc", "callback"])
def test_a_worker_proves_itself(way: str, stream: Stream, ways: Ways, tokens: Tokens) -> None:
    """TLS, mTLS, PLAIN, SCRAM and OAUTHBEARER, by OIDC and by a callable of one's own: everything is served and committed."""
    assert isinstance(stream.kafka, SecuredKafka)
    address, client, other = ways[way]
    servers = stream.kafka.address[address]
    with Running(stream, kafka__bootstrap_servers=servers, kafka__client=client, **other) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
    assert stream.audit().lost == 0
    assert way != "oidc" or tokens.granted > 0


@pytest.mark.parametrize(
    ("way", "wrong", "said"),
    [
        ("tls", {"ssl.ca.location": ""}, "certificate"),
        ("mtls", {"ssl.certificate.location": "", "ssl.key.location": ""}, "certificate"),
        ("plain", {"sasl.password": "canary-guessed"}, "kafka.client"),
        ("scram", {"sasl.password": "canary-guessed"}, "kafka.client"),
        ("oidc", {"sasl.oauthbearer.client.secret": "canary-guessed"}, "token"),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(
    way: str,
    wrong: dict[str, str],
    said: str,
    stream: Stream,
    ways: Ways,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broker of another authority, no certificate, a wrong password, no token: nothing is read, and the message says why."""
    assert isinstance(stream.kafka, SecuredKafka)
    address, client, other = ways[way]
    client = {name: value for name, value in client.items() if property_name(name) not in wrong}
    client |= {name: value for name, value in wrong.items() if value}
    servers, limit = stream.kafka.address[address], {"delivery__startup_timeout_s": 3}
    with Running(stream, kafka__bootstrap_servers=servers, kafka__client=client, **other, **limit) as worker:
        wait_until(lambda: worker.error is not None, 60, "the worker went on")
    assert said in str(worker.error)
    told = capfd.readouterr()
    for text in (str(worker.error), told.out, told.err, caplog.text):
        assert "canary" not in text
    assert not stream.kafka.committed_offsets(stream.group, stream.input)


def test_a_password_rotates(stream: Stream, ways: Ways, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the broker refuses it the worker waits; once the file holds the new one, it serves on."""
    assert isinstance(stream.kafka, SecuredKafka)
    address, client, _ = ways["scram"]
    new = f"{SCRAM_PASSWORD}-new"
    with Running(stream, kafka__bootstrap_servers=stream.kafka.address[address], kafka__client=client) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
        stream.kafka.set_scram_password(new)
        wait_until(lambda: "SASL authentication error" in caplog.text, 60, "the old password still serves")
        (folder / "scram").write_text(new)
        stream.kafka.produce_all(stream.input, messages(10, 1))
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
        assert worker.error is None
    assert stream.audit().lost == 0


def test_no_command_shows_a_secret(
    stream: Stream, ways: Ways, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`config show`, `check`, and `run` with all that librdkafka can log, its metrics too, never hold a password; `check` is
    content with the rights of a worker."""
    assert isinstance(stream.kafka, SecuredKafka)
    address, client, _ = ways["scram"]
    password = client.pop("sasl.password_file")
    monkeypatch.setenv("WORKER_PASSWORD", Path(password).read_text())
    client |= {
        "sasl.password_variable": "WORKER_PASSWORD",
        "ssl.key.password": "canary-key",
        "ssl.keystore.password": "canary-keystore",
        "sasl.oauthbearer.client.secret": "canary-secret",
    }
    servers = stream.kafka.address[address]
    where = {"kafka.bootstrap_servers": servers, "kafka.group_id": stream.group, "input.topics": stream.input}
    where |= {"observe.http_port": 0}
    told = []
    short = {"ssl.key.password": "canary-key", "sasl.password_variable": "WORKER_PASSWORD"}  # a longer line would be broken
    for command, given in ((["config", "show"], short), (["check"], client)):
        assert main([*command, *as_flags(where), "--kafka.client", json.dumps(given)]) == 0, capfd.readouterr()
        told.append("".join(capfd.readouterr()))
    assert '"ssl.key.password":"***"' in told[0]
    assert '"sasl.password_variable":"WORKER_PASSWORD"' in told[0]
    loud = {"observe__log_level": "debug", "kafka__client": json.dumps(client | {"debug": "all"})}
    with stream.worker(kafka__bootstrap_servers=servers, **loud) as worker:
        stream.finish(worker, 120)
        told.append(worker.get("/metrics")[1])
        assert worker.stop() == 0
    assert "SASL" in worker.log
    for text in (*told, worker.log):
        assert "canary" not in text


def test_replaying_needs_two_rights_more(stream: Stream, ways: Ways) -> None:
    """`dlq inspect` reads the dead letters, `dlq replay` also writes the replay topic: no more rights than these."""
    assert isinstance(stream.kafka, SecuredKafka)
    address, client, _ = ways["scram"]
    servers = stream.kafka.address[address]
    stream.kafka.produce_all(stream.input, [Outgoing(b"no JSON")])
    with Running(stream, kafka__bootstrap_servers=servers, kafka__client=client) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
    stream.kafka.create_topic(f"{stream.input}.replay")
    where = {"kafka.bootstrap_servers": servers, "kafka.group_id": stream.group, "input.topics": stream.input}
    command = [*as_flags(where), "--kafka.client", json.dumps(client)]
    stream.kafka.allow(ResourceType.TOPIC, stream.dead, AclOperation.READ)
    inspected = textstream("dlq", "inspect", *command, timeout_s=180)
    assert (inspected.returncode, "not_json" in inspected.stdout) == (0, True), inspected.stdout + inspected.stderr
    stream.kafka.allow(ResourceType.TOPIC, f"{stream.input}.replay", AclOperation.WRITE)
    replayed = textstream("dlq", "replay", *command, timeout_s=180)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert len(stream.kafka.read_all(f"{stream.input}.replay")) == 1
