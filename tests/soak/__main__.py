"""Does a worker that runs for long grow? A real Kafka, the shipped model, most of what one worker can do, and rebalances.

    python -m tests.soak --seconds 3600

A first worker is measured while it works off a backlog; then messages come at a share of that rate for the whole time, a second
worker joins and leaves again and again, and resident memory, file descriptors and threads of the first are sampled. Memory is
the median of a window after the warm-up against that of as long a window at the end. Exit status 1 when it grew by more than
`MOST_GROWTH`, descriptors or threads grew, a worker ended, or the lag is more than `MOST_LAG_S` of input at the end.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from confluent_kafka import Producer

from tests.support.kafka import RealKafka, start_kafka, unique, wait_until
from tests.support.reaper import Reaper
from tests.support.worker import Worker

MOST_GROWTH = 0.02
"""Of resident memory, from after the warm-up to the end."""
SHARE = 0.7
"""Of the measured rate."""
WINDOW = 0.1
"""Share of the time: what is compared is the median of one after the warm-up, which takes as long unless it is said, and of the
last. The warm-up ends when the tables of words met so far are full, 200,000 of them: every message here brings a new one."""
MOST_LAG_S = 10.0
BACKLOG = 60_000
SAMPLE_S = 5.0
VISIT_S = 60.0
"""The second worker stays for so long, and then stays away for so long."""
PARTITIONS = 4
KEPT = {"retention.bytes": str(256 << 20), "segment.bytes": str(64 << 20), "retention.ms": "-1"}
"""An hour of messages is more than a disk should have to hold; the worker reads long before they are deleted."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The first worker at `at_s` seconds: resident kibibytes, open descriptors, threads."""

    at_s: float
    resident_kib: int
    descriptors: int
    threads: int


def sample(pid: int, at_s: float) -> Sample:
    """As the kernel tells it."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(at_s, int(status["VmRSS"].split()[0]), opened, int(status["Threads"]))


def texts(seed: int) -> Iterator[bytes]:
    """The sample's messages without end, good and bad, each with a word that was never met."""
    chance = random.Random(seed)
    lines = (Path(__file__).parents[2] / "stream/textstream/samples/stream.jsonl").read_bytes().splitlines()
    while True:
        new = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=6)).encode()
        yield chance.choice(lines).replace(b'"}', b" " + new + b'"}')


class Sender(threading.Thread):
    """Sends at a rate until it is told to stop."""

    def __init__(self, kafka: RealKafka, topic: str, rate: float) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True, "linger.ms": 5})
        self._topic, self._rate = topic, rate
        self._stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        """In steps of ten milliseconds, each as many as are due."""
        source, began = texts(1), time.monotonic()
        while not self._stopping.wait(0.01):
            for _ in range(int((time.monotonic() - began) * self._rate) - self.sent):
                self._producer.produce(self._topic, next(source), partition=self.sent % PARTITIONS)
                self.sent += 1
            self._producer.poll(0)
        self._producer.flush(60)

    def stop(self) -> None:
        """And wait until everything has gone out."""
        self._stopping.set()
        self.join()


def main() -> int:
    """Run, print what was seen, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3600, help="of load (default: 3600)")
    parser.add_argument("--share", type=float, default=SHARE, help=f"of the measured rate (default: {SHARE})")
    parser.add_argument("--warm-up", type=float, help="seconds before memory counts (default: a tenth of the time)")
    parser.add_argument("--guarantee", choices=["at_least_once", "exactly_once"], default="at_least_once")
    parser.add_argument("--out", type=Path, help="write every sample as JSON")
    arguments = parser.parse_args()
    reaper = Reaper()
    with tempfile.TemporaryDirectory() as folder:
        kafka = start_kafka(reaper)
        try:
            return soak(kafka, reaper, Path(folder), arguments)
        finally:
            kafka.close()
            reaper.close()


def soak(kafka: RealKafka, reaper: Reaper, folder: Path, arguments: argparse.Namespace) -> int:
    """The run itself."""
    topic, group = kafka.create_topic(unique("soak"), PARTITIONS, **KEPT), unique("soak")
    for name in ("enriched", "dead"):
        kafka.create_topic(f"{topic}.{name}", PARTITIONS, **KEPT)
    settings = {"delivery__guarantee": arguments.guarantee, "delivery__commit_interval_ms": 1_000}
    with Worker(kafka, reaper, folder, topic, group, **settings) as first:
        rate = capacity(kafka, first, group, topic)
        sender = Sender(kafka, topic, arguments.share * rate)
        sender.start()
        samples: list[Sample] = []
        began, visits, second = time.monotonic(), 0, None
        while (at_s := time.monotonic() - began) < arguments.seconds:
            samples.append(sample(first.pid, at_s))
            away = int(at_s / VISIT_S) % 2 == 0
            if second is None and not away:
                second = Worker(kafka, reaper, folder, topic, group, **settings)
                visits += 1
            elif second is not None and away:
                assert second.stop() == 0, second.log[-2000:]
                second = None
            assert first.running, first.log[-4000:]
            time.sleep(SAMPLE_S)
        if second is not None:
            second.kill()
        sender.stop()
        behind = sum(kafka.end_offsets(topic).values()) - sum(kafka.committed_offsets(group, topic).values())
        status = first.stop()
    return judged(arguments, rate, samples, visits, sender.sent, behind, status)


def capacity(kafka: RealKafka, worker: Worker, group: str, topic: str) -> float:
    """Messages/s while a backlog is worked off, sent before the worker gets to it."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "queue.buffering.max.messages": 2 * BACKLOG})
    source = texts(0)
    for number in range(BACKLOG):
        producer.produce(topic, next(source), partition=number % PARTITIONS)
    producer.flush(60)

    def committed() -> int:
        return sum(kafka.committed_offsets(group, topic).values())

    wait_until(lambda: committed() > 0, 120, lambda: f"nothing was read:\n{worker.log[-2000:]}")
    first, began = committed(), time.monotonic()
    wait_until(lambda: committed() >= 0.95 * BACKLOG, 300, "the backlog was not worked off")
    return (committed() - first) / (time.monotonic() - began)


def judged(
    arguments: argparse.Namespace, rate: float, samples: list[Sample], visits: int, sent: int, behind: int, status: int
) -> int:
    """Print, write, and 0 where nothing grew."""
    width = max(1, int(WINDOW * len(samples)))
    warm_up = WINDOW * arguments.seconds if arguments.warm_up is None else arguments.warm_up
    early = [one for one in samples if one.at_s >= warm_up][:width] or samples
    late = samples[-width:]

    def grown(name: str) -> float:
        return median(getattr(one, name) for one in late) / median(getattr(one, name) for one in early) - 1

    memory, descriptors, threads = (grown(name) for name in ("resident_kib", "descriptors", "threads"))
    fine = memory <= MOST_GROWTH and descriptors <= 0 and threads <= 0 and status == 0
    fine = fine and behind <= MOST_LAG_S * arguments.share * rate
    said = {
        "seconds": arguments.seconds, "warm_up": warm_up, "guarantee": arguments.guarantee,
        "capacity": round(rate), "share": arguments.share,
        "messages": sent, "rebalances": 2 * visits, "behind": behind, "exit_status": status,
        "resident_mib": round(median(one.resident_kib for one in late) / 1024), "memory_growth": round(memory, 4),
        "descriptor_growth": round(descriptors, 4), "thread_growth": round(threads, 4), "machine": platform.machine(),
        "fine": fine,
    }  # fmt: skip
    print(json.dumps(said))
    if arguments.out:
        arguments.out.write_text(json.dumps(said | {"samples": [asdict(one) for one in samples]}) + "\n", encoding="utf-8")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
