"""`textstream tail` on a real Kafka: what comes is shown, nothing else moves, and it ends as it should."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from tests.contract.conftest import NewStream
from tests.support.events import event, term
from tests.support.kafka import Outgoing, RealKafka, unique, wait_until
from tests.support.stream import Stream
from tests.support.worker import as_flags, clean_environment, textstream
from textstream.event import Label

END_WITHIN_S = 30


def value(text: str, label: Label | None = "neutral", said: str = "") -> bytes:
    """An event as a worker writes it."""
    return json.dumps(event(text, label, terms=[term(text, said, label or "neutral")] if said else [])).encode()


def flags(stream: Stream) -> dict[str, object]:
    """Settings that name the stream, and a group that nobody is a member of."""
    return {
        "kafka.bootstrap_servers": stream.kafka.bootstrap_servers,
        "kafka.group_id": stream.group,
        "input.topics": stream.input,
    }


def texts(printed: str) -> list[str]:
    """The texts of the events that were printed."""
    return [json.loads(line)["text"] for line in printed.splitlines()]


def tail(stream: Stream, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`textstream tail …`, to its end."""
    done = textstream("tail", *arguments, *as_flags(flags(stream)))
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def following(stream: Stream, *arguments: str, output: int = subprocess.PIPE) -> "Iterator[subprocess.Popen[str]]":
    """One that reads already: what is produced from now on comes."""
    errors = stream.folder / f"{unique('tail')}.log"
    command = [sys.executable, "-m", "textstream", "tail", *arguments, *as_flags(flags(stream))]
    environment = clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "100"}
    with (
        errors.open("w") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=log, text=True, env=environment) as process,
    ):
        try:
            wait_until(lambda: "following" in errors.read_text(), END_WITHIN_S, lambda: errors.read_text())
            yield process
        finally:
            process.kill()


def test_what_comes_is_shown_and_nothing_is_committed(new_stream: NewStream, kafka: RealKafka) -> None:
    """By default only what comes after the start; Ctrl-C ends it with 130; the brokers never hear of a group."""
    stream = new_stream(partitions=2)
    kafka.produce_all(stream.enriched, [Outgoing(value("before"))])
    with following(stream) as process:
        kafka.produce_all(stream.enriched, [Outgoing(value(f"m{n}"), partition=n % 2) for n in range(4)])
        assert process.stdout is not None
        assert sorted(texts("".join(process.stdout.readline() for _ in range(4)))) == ["m0", "m1", "m2", "m3"]
        process.send_signal(signal.SIGINT)
        assert process.wait(END_WITHIN_S) == 130
        assert process.stdout.read() == ""
    groups = kafka.admin.list_consumer_groups(request_timeout=30).result()
    assert not groups.errors
    assert stream.group not in {group.group_id for group in groups.valid}
    assert kafka.committed_offsets(stream.group, stream.enriched) == {}


def test_filters_and_a_beginning_and_an_end(new_stream: NewStream, kafka: RealKafka) -> None:
    """From the earliest or a time on, by label, term and language, and no more than asked for; TOPIC may be the input."""
    stream = new_stream()
    old, new = 1_700_000_000_000, 1_780_000_000_000  # in 2023 and 2026
    events = [
        Outgoing(value("slow charger", "negative", "charger"), timestamp=old),
        Outgoing(None, b"tombstone", timestamp=old),
        Outgoing(value("nice room", "positive", "room"), timestamp=new),
        Outgoing(value("rude staff", "negative", "staff"), timestamp=new),
        Outgoing(value("👍", None), timestamp=new),
    ]
    kafka.produce_all(stream.enriched, events)
    for arguments, expected in (
        (["--limit", "4"], ["slow charger", "nice room", "rude staff", "👍"]),
        (["--limit", "2", "--label", "negative"], ["slow charger", "rude staff"]),
        (["--limit", "2", "--label", "unscored", "--label", "positive", stream.input], ["nice room", "👍"]),
        (["--limit", "1", "--term", "STAF+", "--language", "en", stream.enriched], ["rude staff"]),
    ):
        done = tail(stream, "--from", "earliest", *arguments)
        assert (done.returncode, texts(done.stdout)) == (0, expected), done.stderr
    done = tail(stream, "--from", "2026-01-01", "--limit", "2")
    assert texts(done.stdout) == ["nice room", "rude staff"]


def test_a_bad_event_is_told_and_passed_over(new_stream: NewStream, kafka: RealKafka) -> None:
    """Whatever anybody wrote to the topic, one short line for it, and the next event comes."""
    stream = new_stream()
    bad = [b"\xff", b"[]", b'{"text": "\x1b[31m"}', b""]
    kafka.produce_all(stream.enriched, [*map(Outgoing, bad), Outgoing(value("good"))])
    done = tail(stream, "--from", "earliest", "--limit", "1")
    assert (done.returncode, texts(done.stdout)) == (0, ["good"])
    notes = [line for line in done.stderr.splitlines() if "is no enriched event" in line]
    assert [note.split(" is ")[0] for note in notes] == [f"{stream.enriched}-0-{n}" for n in range(len(bad))]
    assert "\x1b" not in "".join(notes)


def test_what_was_taken_back_is_not_shown(new_stream: NewStream, kafka: RealKafka) -> None:
    """An event of an aborted transaction never stood."""
    stream = new_stream()
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": unique("t")})
    producer.init_transactions(30)
    for text in ("aborted", "committed"):
        producer.begin_transaction()
        producer.produce(stream.enriched, value(text))
        producer.flush(30)
        producer.abort_transaction(30) if text == "aborted" else producer.commit_transaction(30)
    assert texts(tail(stream, "--from", "earliest", "--limit", "1").stdout) == ["committed"]


def test_dead_letters(new_stream: NewStream, kafka: RealKafka) -> None:
    """With --dead the dead letters, as `dlq inspect` shows them; filters of events do not go with it."""
    stream = new_stream()
    kafka.produce_all(stream.dead, [Outgoing(b"{", headers=[("textstream.reason", b"not_json")])])
    done = tail(stream, "--dead", "--from", "earliest", "--limit", "1")
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (0, "not_json")
    done = tail(stream, "--dead", "--label", "negative")
    assert (done.returncode, "leave them out, or --dead" in done.stderr) == (78, True)


def test_a_topic_that_is_not_there_is_told(new_stream: NewStream) -> None:
    """One line, status 78, and no topic was made by asking."""
    stream = new_stream()
    name = unique("absent")
    for _ in range(2):
        done = tail(stream, name)
        assert (done.returncode, len(done.stderr.splitlines())) == (78, 1)
        assert f"topic {name}.enriched or {name} does not exist" in done.stderr


def test_it_ends_with_whoever_reads_it(new_stream: NewStream, kafka: RealKafka) -> None:
    """A closed pipe ends it at once, with 141 and without a word, also while nothing comes."""
    stream = new_stream()
    with following(stream) as process:
        kafka.produce_all(stream.enriched, [Outgoing(value("first"))])
        assert process.stdout is not None
        assert texts(process.stdout.readline()) == ["first"]
        process.stdout.close()
        assert process.wait(END_WITHIN_S) == 141


def test_on_a_terminal_terms_are_coloured(new_stream: NewStream, kafka: RealKafka) -> None:
    """A person sees the label, and the term in the style of its sentiment."""
    stream = new_stream()
    ours, theirs = pty.openpty()
    with following(stream, "--limit", "1", output=theirs) as process:
        os.close(theirs)
        kafka.produce_all(stream.enriched, [Outgoing(value("rude staff", "negative", "staff"))])
        shown = os.read(ours, 65_536).decode()
        assert process.wait(END_WITHIN_S) == 0
    os.close(ours)
    assert "negative" in shown and "\x1b[4;38" in shown.split("rude ")[1]
