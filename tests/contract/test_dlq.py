"""`textstream dlq` on a real Kafka: dead letters of every reason are counted, shown and replayed, and nothing else moves."""

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition

from tests.contract.conftest import NewStream
from tests.support.fakes import FakeScorer
from tests.support.kafka import Outgoing, Record, unique, wait_until
from tests.support.raw_produce import RawRecord, produce_batch
from tests.support.stream import Stream
from tests.support.worker import as_flags, clean_environment, textstream
from textstream.layers import load_settings
from textstream.worker_thread import WorkerThread

SENT_AT = int(time.time() * 1000) - 3_600_000
HEADERS = [("a", b"1"), ("a", None), ("é", b"\xff"), ("textstream.source", b"forged/0/0"), ("__connect.errors.topic", b"x")]
LARGE = json.dumps({"text": "spam " * 400_000, "body": "short"}).encode()

MENDED = {
    "no_text": b'{"body": "elsewhere"}',
    "text_not_string": b'{"text": 42, "body": "elsewhere"}',
    "too_large": LARGE,
    "scoring_failed": b'{"text": "bad", "body": "good"}',
}
"""Dead letters by reason, of which another pointer makes events."""
NEVER = {"not_utf8": b'{"text": "caf\xe9"}', "not_json": b"\x1b[31m{\xe2\x80\xae"}
EVERY = [*MENDED, *NEVER, "bad_headers", "bad_replay"]


class DeadStream(Stream):
    """A stream with a replay topic, served in this process by a scorer that fails on one text."""

    @property
    def replay(self) -> str:
        """Where its dead letters are replayed."""
        return f"{self.input}.replay"

    @property
    def flags(self) -> dict[str, object]:
        """What every command needs."""
        return {
            "kafka.bootstrap_servers": self.kafka.bootstrap_servers,
            "kafka.group_id": self.group,
            "input.topics": self.input,
        }

    def serve(self, outcomes: int, **settings: object) -> None:
        """Run a worker until it has had so many outcomes acknowledged."""
        more = {name.replace("__", "."): value for name, value in settings.items()} | {"delivery.breaker_run": 0}
        more |= {"delivery.breaker_share": 1}  # nothing but dead letters is what is wanted here
        with WorkerThread(load_settings(environ={}, flags=self.flags | more), FakeScorer(fails_on=["bad"])) as worker:
            wait_until(lambda: worker.error is not None or _acknowledged(worker) >= outcomes, 60, lambda: _acknowledged(worker))
        worker.check()
        assert _acknowledged(worker) == outcomes

    def dlq(self, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`textstream dlq …`, which ends well or says why in one line."""
        done = textstream("dlq", command, *arguments, *as_flags(self.flags))
        assert "Traceback" not in done.stderr
        return done

    def poison(self, count: int, partitions: int = 1) -> list[Record]:
        """Records without a text at the pointer, in turn over the partitions."""
        values = [json.dumps({"body": f"message {n}"}).encode() for n in range(count)]
        self.kafka.produce_all(self.input, [Outgoing(v, b"k%d" % n, n % partitions) for n, v in enumerate(values)])
        return self.kafka.read_all(self.input)


NewDeadStream = Callable[..., DeadStream]


def _acknowledged(worker: WorkerThread) -> float:
    [outcomes] = [m for m in worker.metrics.registry.collect() if m.name == "textstream_outcomes"]
    return sum(sample.value for sample in outcomes.samples if sample.name.endswith("_total"))


@pytest.fixture(scope="module")
def new_dead_stream(new_stream: NewStream) -> NewDeadStream:
    """Make one; its replay topic is made by the command, unless `replay=False`."""

    def make(replay: bool = True, **config: object) -> DeadStream:
        stream = new_stream(**config)
        stream.__class__ = DeadStream
        assert isinstance(stream, DeadStream)
        if replay:
            done = textstream("topics", "create", *as_flags(stream.flags))
            assert f"{stream.replay}: created" in done.stdout, done.stderr
        return stream

    return make


@pytest.fixture(scope="module")
def every(new_dead_stream: NewDeadStream) -> DeadStream:
    """One dead letter of every reason, each but the last over two partitions in turn."""
    stream = new_dead_stream(partitions=2, max_message_bytes=str(16 << 20))
    values = [*MENDED.values(), *NEVER.values()]
    records = [Outgoing(v, b"key", n % 2, HEADERS, SENT_AT) for n, v in enumerate(values)]
    stream.kafka.produce_all(stream.input, records, **{"message.max.bytes": 16 << 20})
    bad_headers = RawRecord(b'{"body": "elsewhere"}', b"key", ((b"\xff", b"2"),), SENT_AT)
    produce_batch(stream.kafka.bootstrap_servers, stream.input, 0, [bad_headers])
    stream.serve(len(EVERY) - 1)
    stream.kafka.produce_all(stream.replay, [Outgoing(b'{"body": "nobody replayed this"}', b"key", 1)])
    stream.serve(1)
    return stream


def rows(printed: str) -> list[list[str]]:
    """The table's rows."""
    return [line.split() for line in printed.splitlines()[1:]]


def test_inspect_counts_by_reason(every: DeadStream) -> None:
    """Every reason has its count; with `--by-partition` each partition apart, and the sums agree."""
    done = every.dlq("inspect")
    assert done.returncode == 0, done.stderr
    assert sorted(rows(done.stdout)) == sorted([every.dead, reason, "1"] for reason in EVERY)
    apart = rows(every.dlq("inspect", "--by-partition").stdout)
    assert Counter(partition for _, partition, _, _ in apart) == {"0": 4, "1": 4}


def test_inspect_leaves_no_trace_in_the_group(every: DeadStream) -> None:
    """It joins no group and commits nothing: a group of that name does not come to be."""
    group = unique("inspecting")
    done = textstream("dlq", "inspect", *as_flags(every.flags | {"kafka.group_id": group}))
    assert done.returncode == 0
    assert every.kafka.committed_offsets(group, every.dead) == {}
    assert every.kafka.assigned_partitions(group) == {}


@pytest.mark.parametrize(
    ("filters", "reasons"),
    [
        (["--reason", "not_json,no_text"], {"not_json", "no_text"}),
        (["--reason", "not_json", "--reason", "too_large"], {"not_json", "too_large"}),
        (["--partition", "0", "--offset", "1:3"], {"too_large", "not_utf8"}),
        (["--offset", "0=:1", "--offset", "1=3:"], {"no_text", "bad_replay"}),
        (["--from", "2030-01-01"], set()),
        (["--until", "2030-01-01", "--reason", "not_json"], {"not_json"}),
        (["--from", str(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(SENT_AT / 1000 + 60)))], {"bad_replay"}),
    ],
)
def test_the_filters(every: DeadStream, filters: list[str], reasons: set[str]) -> None:
    """Reason, place and time choose dead letters, all of them at once."""
    done = every.dlq("inspect", "--json", *filters)
    assert {json.loads(line)["reason"] for line in done.stdout.splitlines()} == reasons


def test_inspect_shows_what_stands_in_them(every: DeadStream) -> None:
    """`--show` gives place, source, reason, message, counts, the producer's headers and the value, cut and escaped."""
    shown = every.dlq("inspect", "--reason", "not_json", "--show", "9").stdout
    assert f"{every.dead}/1/2  not_json" in shown
    assert f"source    {every.input}/1/2" in shown
    assert "attempts  1, in decode; replays 0" in shown
    assert 'header    é = "\\xff"' in shown
    assert "header    a = null" in shown
    assert 'value     "\\x1b[31m{\\u202e"' in shown
    assert not set("\x1b\u202e") & set(shown), "a value must not steer the terminal"
    large = every.dlq("inspect", "--reason", "too_large", "--show", "1").stdout
    assert re.search(r'value     "\{.{299}" … 10\d{5} bytes, cut by the worker', large)


def test_inspect_gives_json_lines(every: DeadStream) -> None:
    """Records, at most as many as asked for, then counts of all; each line one object."""
    lines = [json.loads(line) for line in every.dlq("inspect", "--json", "--show", "3").stdout.splitlines()]
    assert Counter(line["type"] for line in lines) == {"dead_letter": 3, "count": len(EVERY)}
    [letter] = [
        json.loads(line)
        for line in every.dlq("inspect", "--json", "--show", "9", "--reason", "no_text").stdout.splitlines()
        if "dead_letter" in line
    ]
    assert letter["source"] == {"topic": every.input, "partition": 0, "offset": 0}
    assert (letter["value"], letter["value_bytes"], letter["key"]) == ('{"body": "elsewhere"}', 21, "key")
    assert ["textstream.reason", "no_text"] in letter["headers"]


def test_a_dry_run_sends_nothing(every: DeadStream) -> None:
    """It says what would be sent and what would not, and the topics stay as they are."""
    ends = every.kafka.end_offsets(every.replay)
    done = every.dlq("replay", "--dry-run")
    assert done.returncode == 65, "the foreign record of the replay topic is the dead letter of no input"
    assert f"would replay {len(EVERY) - 1} to {every.replay}, at least once: " in done.stdout
    assert f"left out {every.dead}/1/3: of no topic in input.topics" in done.stdout
    assert "1 too_large" in done.stdout
    assert every.kafka.end_offsets(every.replay) == ends


def test_replay_after_the_cause_was_mended(new_dead_stream: NewDeadStream) -> None:
    """With another pointer the replays become events under the ids of their originals, one that was cut too; what fails again
    is a dead letter of the same position with one replay more, and is left out when the limit is reached."""
    stream = new_dead_stream(partitions=2, max_message_bytes=str(16 << 20))
    values = [*MENDED.values(), *NEVER.values()]
    records = [Outgoing(v, b"key", n % 2, HEADERS, SENT_AT) for n, v in enumerate(values)]
    positions = stream.kafka.produce_all(stream.input, records, **{"message.max.bytes": 16 << 20})
    stream.serve(len(values))
    assert stream.dlq("replay", "--max-replays", "1").returncode == 0
    for sent in stream.kafka.read_all(stream.replay):
        assert (sent.key, sent.timestamp) == (b"key", SENT_AT)
        assert sent.headers[:3] == HEADERS[:3], "the producer's, and none of those that replaced them"
        assert [name for name, _ in sent.headers[3:] if name == "__connect.errors.topic"] in ([], ["__connect.errors.topic"])
        source = (sent.header("textstream.source") or b"").decode()
        assert source.startswith(f"{stream.input}/{sent.partition}/")
        assert sent.value == values[positions.index((sent.partition, int(source.rsplit("/", 1)[1])))], (
            "whole, though it was cut"
        )

    stream.serve(len(values), input__pointer="/body")
    events = {
        record.header("textstream.id"): json.loads(record.value or b"") for record in stream.kafka.read_all(stream.enriched)
    }
    expected = [f"{stream.input}-{partition}-{offset}" for partition, offset in positions[: len(MENDED)]]
    assert sorted(events) == sorted(id_.encode() for id_ in expected)
    for event in events.values():
        assert event["id"] == "{topic}-{partition}-{offset}".format(**event["source"])
        assert event["source"]["timestamp"].startswith(time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(SENT_AT / 1000)))
        assert event["text"] in ("elsewhere", "short", "good")
    letters = Counter(
        (record.header("textstream.id"), record.header("textstream.replays")) for record in stream.kafka.read_all(stream.dead)
    )
    ids = [f"{stream.input}-{partition}-{offset}".encode() for partition, offset in positions]
    assert letters == Counter([(id_, b"0") for id_ in ids] + [(id_, b"1") for id_ in ids[len(MENDED) :]])
    assert stream.kafka.is_committed(stream.group, stream.replay)

    again = stream.dlq("replay", "--max-replays", "1", "--dry-run", "--offset", "0=3:", "--offset", "1=3:")
    assert again.returncode == 0
    assert "would replay nothing" in again.stdout
    assert "left out 2: replayed as often as --max-replays allows" in again.stdout


def test_an_original_that_retention_removed(new_dead_stream: NewDeadStream) -> None:
    """A cut dead letter whose original is gone from the source is said, counted and left out; those beside it are replayed."""
    stream = new_dead_stream(max_message_bytes=str(16 << 20))
    values = [LARGE, b'{"body": "beside"}', LARGE]
    stream.kafka.produce_all(stream.input, [Outgoing(value) for value in values], **{"message.max.bytes": 16 << 20})
    stream.serve(3)
    for future in stream.kafka.admin.delete_records([TopicPartition(stream.input, 0, 2)]).values():
        future.result()
    done = stream.dlq("replay")
    assert done.returncode == 65
    assert f"left out {stream.dead}/0/0: cut by the worker, and the original is gone from its source" in done.stdout
    assert "left out 1: cut by the worker" in done.stdout
    assert [record.value for record in stream.kafka.read_all(stream.replay)] == values[1:]


def test_a_replay_topic_that_takes_less_than_the_source(new_dead_stream: NewDeadStream) -> None:
    """An original that the replay topic would refuse is told from the others before anything is sent, and left out."""
    stream = new_dead_stream(replay=False, max_message_bytes=str(16 << 20))
    stream.kafka.create_topic(stream.replay)
    stream.kafka.produce_all(stream.input, [Outgoing(LARGE), Outgoing(b"{}")], **{"message.max.bytes": 16 << 20})
    stream.serve(2)
    done = stream.dlq("replay")
    assert done.returncode == 65
    assert "left out 1: larger than the topic takes (max.message.bytes)" in done.stdout
    assert [record.value for record in stream.kafka.read_all(stream.replay)] == [b"{}"]


def test_order_is_kept(new_dead_stream: NewDeadStream) -> None:
    """Replays stand in the partition and the order of their originals, and so do the events made of them."""
    stream = new_dead_stream(partitions=2)
    sent = stream.poison(600, partitions=2)
    stream.serve(600)
    assert f"replayed 600 to {stream.replay}, at least once: 600 no_text" in stream.dlq("replay").stdout
    stream.serve(600, input__pointer="/body")
    for topic in (stream.replay, stream.enriched):
        found = stream.kafka.read_all(topic)
        for partition in (0, 1):
            sources = [record.header("textstream.source") for record in found if record.partition == partition]
            originals = [record for record in sent if record.partition == partition]
            assert sources == [f"{r.topic}/{r.partition}/{r.offset}".encode() for r in originals]


def test_the_rate_is_a_ceiling(new_dead_stream: NewDeadStream) -> None:
    """At 20 messages a second 21 of them take a second, by the broker's clock too."""
    stream = new_dead_stream()
    stream.poison(21)
    stream.serve(21)
    began = time.monotonic()
    assert "replayed 21 to" in stream.dlq("replay", "--rate", "20").stdout
    assert time.monotonic() - began >= 1


def test_a_signal_ends_it_in_order(new_dead_stream: NewDeadStream) -> None:
    """After SIGINT it says what was done and where to go on; going on from there sends the rest, in order, once."""
    stream = new_dead_stream()
    sent = stream.poison(100)
    stream.serve(100)
    command = [sys.executable, "-m", "textstream", "dlq", "replay", "--rate", "20", *as_flags(stream.flags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        stream.reaper.watch(process.pid)
        wait_until(lambda: sum(stream.kafka.end_offsets(stream.replay).values()) > 3, 60, "nothing was replayed")
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
        stream.reaper.release(process.pid)
    assert process.returncode == 130
    done = sum(stream.kafka.end_offsets(stream.replay).values())
    assert 3 < done < 100
    assert f"replayed {done} to {stream.replay}" in printed
    flags = printed[printed.index("--offset") :].split()
    assert f"replayed {100 - done} to" in stream.dlq("replay", *flags).stdout
    assert [record.value for record in stream.kafka.read_all(stream.replay)] == [record.value for record in sent]


def test_what_the_broker_refuses_ends_it(new_dead_stream: NewDeadStream) -> None:
    """A refusal stops the replay with its exit status, and with the offset of the first that was not taken."""
    stream = new_dead_stream(replay=False)
    stream.kafka.create_topic(stream.replay, cleanup_policy="compact")  # which refuses a record without a key
    records = [Outgoing(b"%d" % n, None if n == 5 else b"key") for n in range(9)]
    stream.kafka.produce_all(stream.input, records)
    stream.serve(9)
    done = stream.dlq("replay", "--rate", "3")  # slowly, so that the broker refuses one alone and not a batch of all
    assert done.returncode == 78
    assert f"replayed 5 to {stream.replay}" in done.stdout
    assert f"to go on behind these: --offset {stream.dead}/0=5:" in done.stdout
    assert done.stderr.splitlines()[-1].startswith(f"textstream: the broker refused a replay of {stream.dead}/0/5")
    assert [record.value for record in stream.kafka.read_all(stream.replay)][:5] == [b"%d" % n for n in range(5)]


def test_to_the_source(new_dead_stream: NewDeadStream) -> None:
    """`--to-source` sends new messages to the input: their events have new ids, and their own count of replays."""
    stream = new_dead_stream(replay=False)
    stream.poison(3)
    stream.serve(3)
    assert f"replayed 3 to {stream.input}" in stream.dlq("replay", "--to-source").stdout
    stream.serve(3, input__pointer="/body")
    ids = [record.header("textstream.id") for record in stream.kafka.read_all(stream.enriched)]
    assert ids == [f"{stream.input}-0-{offset}".encode() for offset in (3, 4, 5)]


def test_replays_are_read_from_the_first(new_dead_stream: NewDeadStream) -> None:
    """Where `input.start` is `latest` too, what was replayed before a worker ever read the replay topic is scored."""
    stream = new_dead_stream(replay=False)
    stream.poison(3)
    stream.serve(3)
    stream.kafka.create_topic(stream.replay)
    assert f"replayed 3 to {stream.replay}" in stream.dlq("replay").stdout
    stream.serve(3, input__pointer="/body", input__start="latest")
    assert len(stream.kafka.read_all(stream.enriched)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay",), "{input}.replay does not exist: run `textstream topics create`"),
        (("replay", "--rate", "0"), "--rate 0 is no rate"),
        (("inspect", "absent.dead"), "topic absent.dead does not exist"),
        (("inspect", "--partition", "7"), "--partition 7"),
    ],
)
def test_a_mistake_is_one_line(new_dead_stream: NewDeadStream, arguments: tuple[str, ...], message: str) -> None:
    """What is missing or mistyped is one line that says what to change, and exit status 78."""
    stream = new_dead_stream(replay=False)
    command, *more = arguments
    done = stream.dlq(command, *more)
    assert done.returncode == 78
    assert message.replace("{input}", stream.input) in done.stderr
    assert len(done.stderr.splitlines()) == 1
