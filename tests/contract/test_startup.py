"""A worker that cannot start says in one line what to change, and the exit status says who must act."""

import json
import re
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contract.conftest import NewStream
from tests.support.kafka import RealKafka, unique
from tests.support.worker import as_flags, textstream

EX_TEMPFAIL, EX_CONFIG = 75, 78


def run(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`textstream run` with a free HTTP port."""
    return textstream("run", "--observe.http_port", "0", *arguments, environment=environment, cwd=cwd)


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """The exit status, and one line on standard error that holds these words: no traceback, no usage."""
    assert done.returncode == status, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("textstream: ")]
    assert done.stderr.splitlines()[-1] == line
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in line


@pytest.fixture(scope="module")
def ready(new_stream: NewStream) -> list[str]:
    """Flags with which a worker would start."""
    stream = new_stream()
    return as_flags({"kafka.bootstrap_servers": stream.kafka.bootstrap_servers, "input.topics": stream.input})


def test_an_unreachable_broker() -> None:
    """Nobody listens: the worker tries until `startup_timeout_s`, then exits 75, for a supervisor to try again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        began = time.monotonic()
        flags = {"kafka.bootstrap_servers": address, "input.topics": "t", "delivery.startup_timeout_s": 3}
        done = run(*as_flags(flags))
    assert_one_line(done, EX_TEMPFAIL, "startup_timeout_s", address)
    assert 2 < time.monotonic() - began < 30


def test_a_missing_input_topic(kafka: RealKafka) -> None:
    """The topic's name and the command that creates it."""
    topic = unique("missing")
    done = run(*as_flags({"kafka.bootstrap_servers": kafka.bootstrap_servers, "input.topics": topic}))
    assert_one_line(done, EX_CONFIG, topic, "textstream topics create")


def test_a_missing_output_topic(kafka: RealKafka) -> None:
    """An input alone is not enough: the output topics are named, and none is made in secret."""
    topic = kafka.create_topic(unique("alone"))
    done = run(*as_flags({"kafka.bootstrap_servers": kafka.bootstrap_servers, "input.topics": topic}))
    assert_one_line(done, EX_CONFIG, f"{topic}.enriched", "textstream topics create")


def test_topics_create(kafka: RealKafka) -> None:
    """`textstream topics create` makes what is missing, with the input's number of partitions, and is content the second
    time; then `check` is green, and shows the limits that must stand in order."""
    topic = kafka.create_topic(unique("created"), partitions=3)
    flags = as_flags({"kafka.bootstrap_servers": kafka.bootstrap_servers, "input.topics": topic})
    for _ in range(2):
        assert textstream("topics", "create", *flags).returncode == 0
    for name in (f"{topic}.enriched", f"{topic}.dead", f"{topic}.replay"):
        assert kafka.partitions(name) == [0, 1, 2]
    checked = textstream("check", "--observe.http_port", "0", *flags)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{topic}.dead" in checked.stdout
    assert f"{topic}.replay (3)" in checked.stdout
    assert re.search(r"worst batch \S+ s, delivery.drain_timeout_s 25 s, max.poll.interval.ms 300 s", checked.stdout)


def test_a_replay_topic_is_wanted_but_not_needed(new_stream: NewStream) -> None:
    """Without one a worker starts, and `check` is green and says what cannot be done."""
    stream = new_stream()
    flags = {"kafka.bootstrap_servers": stream.kafka.bootstrap_servers, "input.topics": stream.input}
    checked = textstream("check", "--observe.http_port", "0", *as_flags(flags))
    assert checked.returncode == 0, checked.stdout
    assert f"nothing can be replayed without {stream.input}.replay" in checked.stdout


def test_check_says_what_is_missing(kafka: RealKafka) -> None:
    """`textstream check` exits with the status of what it found, and names it."""
    topic = unique("missing")
    flags = {"kafka.bootstrap_servers": kafka.bootstrap_servers, "input.topics": topic, "observe.http_port": 0}
    done = textstream("check", *as_flags(flags))
    assert done.returncode == EX_CONFIG
    assert topic in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TEXTSTREAM_KAFKA_BOOTSTRAP_SERVER", "localhost:1", ("TEXTSTREAM_KAFKA_BOOTSTRAP_SERVERS",)),
        ("TEXTSTREAM_BATCH_MAX_TOKENS", "many", ("batch.max_tokens",)),
        ("TEXTSTREAM_INPUT_FORMAT", "xml", ("input.format", "json", "text")),
        ("TEXTSTREAM_KAFKA_CONSUMER", '{"enable.auto.commit": "true"}', ("enable.auto.commit",)),
        ("TEXTSTREAM_KAFKA_CONSUMER", '{"fetch.mim.bytes": "1"}', ("fetch.mim.bytes",)),
        ("TEXTSTREAM_KAFKA_PRODUCER", "acks=1", ("JSON",)),
    ],
)
def test_a_wrong_variable(ready: list[str], variable: str, value: str, words: tuple[str, ...]) -> None:
    """A misspelt TEXTSTREAM_ variable is refused with the name that was meant; so is a value that cannot be."""
    assert_one_line(run(*ready, environment={variable: value}), EX_CONFIG, *words)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[kafka]\nbootstrap_server = 'x'", ("kafka.bootstrap_server", "kafka.bootstrap_servers")),
        ("[kafak]\ngroup_id = 'x'", ("kafak", "kafka")),
        ("[batch]\nmax_messages = 0", ("batch.max_messages",)),
        ("[kafka.producer]\nacks = 1", ("acks",)),
        ("[input\n", ("textstream.toml",)),
    ],
)
def test_a_wrong_settings_file(tmp_path: Path, toml: str, words: tuple[str, ...]) -> None:
    """An unknown section or setting, an impossible value, a property that is not the user's, a file that is no TOML."""
    (tmp_path / "textstream.toml").write_text(toml)
    assert_one_line(run("--input.topics", "t", cwd=tmp_path), EX_CONFIG, *words)


def test_no_topics() -> None:
    """Without `input.topics` there is nothing to do, and the setting to give is named."""
    assert_one_line(run(), EX_CONFIG, "input.topics")


def test_a_loop_is_refused(kafka: RealKafka) -> None:
    """A worker that would read what it writes does not start."""
    topic = kafka.create_topic(unique("loop"))
    flags = {"kafka.bootstrap_servers": kafka.bootstrap_servers, "input.topics": topic, "output.topic": topic}
    assert_one_line(run(*as_flags(flags)), EX_CONFIG, topic)


@pytest.mark.parametrize("damage", ["a changed byte", "a missing file", "a newer format", "no directory"])
def test_a_damaged_bundle(ready: list[str], tmp_path: Path, damage: str) -> None:
    """A bundle that is not what its manifest says is refused, and the file is named."""
    spec = find_spec("textstream")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    bundle = tmp_path / "bundle"
    shutil.copytree(Path(spec.submodule_search_locations[0]) / "bundles/swift", bundle)
    graph = min(bundle.glob("*.onnx"))
    named = graph.name
    if damage == "a changed byte":
        content = bytearray(graph.read_bytes())
        content[len(content) // 2] ^= 1
        graph.write_bytes(content)
    elif damage == "a missing file":
        graph.unlink()
    elif damage == "a newer format":
        manifest = bundle / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
        named = "99"
    else:
        shutil.rmtree(bundle)
        named = str(bundle)
    assert_one_line(run(*ready, "--model.bundle", str(bundle)), EX_CONFIG, named)
