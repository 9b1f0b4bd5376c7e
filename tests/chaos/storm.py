"""One storm: a stream of its own on a cluster, workers of one guarantee and protocol, a schedule of faults, and the count."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]  # the package's own way

from tests.chaos.coordinator import coordinator
from tests.chaos.count import Count
from tests.chaos.crew import Crew
from tests.chaos.feed import Feed
from tests.chaos.mortal import AT_LEAST_ONCE_POINTS, EXACTLY_ONCE_POINTS
from tests.support.kafka import GivenKafka, JavaKafka, unique
from tests.support.reaper import Reaper

PARTITIONS, ADDED_PARTITIONS, OTHER_PARTITIONS = 4, 2, 5
TICK_S = 0.05
HEAL_S = 90
"""Longest until a broker that came back is in sync again."""


@dataclass(frozen=True)
class Plan:
    """What is done to one stream; everything random in it comes from the seed."""

    guarantee: str
    protocol: str
    messages: int
    seconds: float  # of feeding and of faults
    kills: int  # planned: at named points and at random in turn
    pauses: int
    crowd: tuple[int, ...]  # how many workers, in equal parts of the time
    session_s: float
    finish_s: float  # longest until all is committed, once everything is written and mended
    seed: int
    model: str = "fake"

    @property
    def name(self) -> str:
        """For the log."""
        return f"{self.guarantee}-{self.protocol}-{self.model}"

    @property
    def points(self) -> tuple[str, ...]:
        """The points of this guarantee where a worker may be told to die."""
        return EXACTLY_ONCE_POINTS if self.guarantee == "exactly_once" else AT_LEAST_ONCE_POINTS


@dataclass(frozen=True)
class Fault:
    """Something that happens so many seconds after the beginning."""

    at_s: float
    what: str
    do: Callable[[], object]


class Diary:
    """What happened when, in a file and, where asked for, on the screen."""

    def __init__(self, path: Path, began: float, *, aloud: bool) -> None:
        self._file = path.open("a", buffering=1)
        self._began, self._aloud = began, aloud
        self._name = path.stem

    def note(self, what: str) -> None:
        """One line."""
        line = f"{time.monotonic() - self._began:7.1f} s  {what}"
        self._file.write(line + "\n")
        if self._aloud:
            print(f"{self._name:32} {line}", flush=True)


class Storm:
    """A storm that is to be run once."""

    def __init__(self, kafka: JavaKafka, reaper: Reaper, folder: Path, plan: Plan) -> None:
        self._kafka, self._plan, self._folder = kafka, plan, folder
        self._mine = GivenKafka(kafka.bootstrap_servers)  # clients of its own: storms may blow beside each other
        self.group = unique(plan.name)
        # Outcomes keep their input's partition where the counts match, else they go by key; only there may partitions be
        # added to the input without another way for the same key.
        self._kept, self._keyed = (kafka.create_topic(unique(kind), PARTITIONS) for kind in ("kept", "keyed"))
        for kind in ("enriched", "dead"):
            kafka.create_topic(f"{self._kept}.{kind}", PARTITIONS)
            kafka.create_topic(f"{self._keyed}.{kind}", OTHER_PARTITIONS)
        self._feed = Feed(kafka.bootstrap_servers, self.topics, plan.messages, plan.seconds, plan.seed)
        self._crew = Crew(reaper, folder, plan.model, self._settings())
        self._stopping = threading.Event()

    @property
    def topics(self) -> list[str]:
        """The input topics."""
        return [self._kept, self._keyed]

    @property
    def kills(self) -> int:
        """How many workers were killed."""
        return self._crew.kills

    def _settings(self) -> dict[str, object]:
        plan = self._plan
        settings: dict[str, object] = {
            "kafka.bootstrap_servers": self._kafka.bootstrap_servers,
            "kafka.group_id": self.group,
            "input.topics": ",".join(self.topics),
            "observe.http_port": 0,
        }
        if plan.guarantee != "at_least_once":
            settings["delivery.guarantee"] = plan.guarantee
            settings["delivery.transaction_timeout_s"] = plan.session_s  # a killed worker's successor waits for its end
        if plan.protocol != "classic":
            settings["kafka.group_protocol"] = plan.protocol
        consumer: dict[str, str] = {"topic.metadata.refresh.interval.ms": "2000"}
        if plan.protocol == "classic":  # the brokers hold those of the other protocol
            heartbeat_ms = int(plan.session_s * 1000 / 4)
            consumer |= {"session.timeout.ms": str(int(plan.session_s * 1000)), "heartbeat.interval.ms": str(heartbeat_ms)}
        return settings | {"kafka.consumer": json.dumps(consumer)}

    def run(self, diary: Diary) -> Count:
        """Let it blow, let it settle, count."""
        faults = self._faults()
        began = time.monotonic()
        self._feed.start()
        try:
            while faults or not self._feed.done:
                while faults and time.monotonic() - began >= faults[0].at_s:
                    diary.note(faults[0].what)
                    faults.pop(0).do()
                self._tick()
            diary.note(f"all written, {self._crew.kills} kills so far")
            self._settle(diary)
            self._crew.stop()
            diary.note(f"{self._crew.starts} starts, ends by status {dict(self._crew.statuses)}, {dict(self._crew.died_at)}")
        finally:
            self._crew.close()
            self._feed.stop()
        assert not self._feed.refused, f"the cluster refused inputs: {self._feed.refused[:3]}"
        found = self._count(diary)
        assert found.inputs == self._feed.acknowledged, (
            f"the cluster acknowledged {self._feed.acknowledged} inputs and has {found.inputs}"
        )
        return found

    def _faults(self) -> list[Fault]:
        plan, chance = self._plan, random.Random(self._plan.seed)
        crew = self._crew

        def within(parts: int, part: int) -> float:
            return plan.seconds * (part + chance.random()) / parts

        faults = [
            Fault(plan.seconds * part / len(plan.crowd), f"{wanted} workers", partial(crew.scale, wanted))
            for part, wanted in enumerate(plan.crowd)
        ]
        for number in range(plan.kills):
            victim, at_s = chance.randrange(max(plan.crowd)), within(plan.kills, number)
            if number % 2:
                faults.append(Fault(at_s, f"worker {victim} dies", partial(crew.kill, victim)))
            else:
                point = plan.points[(plan.seed + number // 2) % len(plan.points)]
                faults.append(Fault(at_s, f"worker {victim} dies at {point}", partial(crew.kill_at, victim, point)))
        for number in range(plan.pauses):
            victim, at_s = chance.randrange(max(plan.crowd)), within(plan.pauses, number)
            faults.append(Fault(at_s, f"worker {victim} stops", partial(crew.pause, victim)))
            faults.append(Fault(at_s + 1.3 * plan.session_s, "whoever stopped goes on", crew.wake_all))
        faults.append(Fault(plan.seconds / 2, f"{ADDED_PARTITIONS} partitions more", self._add_partitions))
        return sorted(faults, key=lambda fault: fault.at_s)

    def _add_partitions(self) -> None:
        total = PARTITIONS + ADDED_PARTITIONS
        self._mine.admin.create_partitions([NewPartitions(self._keyed, total)])

    def _tick(self) -> None:
        self._crew.supervise()
        time.sleep(TICK_S)

    def _settle(self, diary: Diary) -> None:
        """Until the group's committed offsets stand at the ends of all inputs; what is missing then will be counted as lost."""
        deadline = time.monotonic() + self._plan.finish_s
        look_at = 0.0
        while time.monotonic() < deadline:
            self._tick()
            if time.monotonic() >= look_at:
                if self._is_committed():
                    return
                look_at = time.monotonic() + 0.5
        diary.note(f"not all committed {self._plan.finish_s:g} s after the last input: the counter will tell")

    def _is_committed(self) -> bool:
        try:
            return all(self._mine.is_committed(self.group, topic) for topic in self.topics)
        except KafkaException:
            return False  # a broker that is just coming back

    def _count(self, diary: Diary) -> Count:
        began = time.monotonic()
        arguments = {
            "--bootstrap-servers": self._kafka.bootstrap_servers,
            "--group": self.group,
            "--guarantee": self._plan.guarantee,
        }
        command = [sys.executable, str(Path(__file__).with_name("count.py"))]
        command += [part for pair in arguments.items() for part in pair]
        command += [part for topic in self.topics for part in ("--topic", topic)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        *examples, last = done.stdout.splitlines() or [""]
        for example in examples:
            diary.note(example)
        assert done.returncode in (0, 1) and last.startswith("{"), f"the counter failed:\n{done.stdout}{done.stderr}"
        found = Count(**json.loads(last))
        diary.note(f"counted in {time.monotonic() - began:.1f} s: {last}")
        return found


class BrokerFaults(threading.Thread):
    """Stops or kills the brokers in turn, the coordinator of a group among them, and starts each again."""

    def __init__(self, kafka: JavaKafka, diary: Diary, at_s: Sequence[float], away_s: float, group: str, *, kill: bool) -> None:
        super().__init__(name="broker faults", daemon=True)
        self._kafka, self._diary, self._at_s, self._away_s = kafka, diary, at_s, away_s
        self._group, self._kill = group, kill
        self.restarts = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        """Every restart, one after the other."""
        began = time.monotonic()
        try:
            for number, at_s in enumerate(self._at_s):
                time.sleep(max(0.0, began + at_s - time.monotonic()))
                self._restart(number)
        except BaseException as error:  # raised again by `finish`
            self.error = error

    def finish(self) -> None:
        """Wait for the last one."""
        self.join()
        if self.error is not None:
            raise self.error

    def _restart(self, number: int) -> None:
        named = coordinator(self._kafka.bootstrap_servers, self._group) if number % 2 == 0 else None
        index = number % len(self._kafka.brokers) if named is None else named - 1
        broker = self._kafka.brokers[index]
        who = f"broker {index + 1}{', the coordinator,' if named is not None else ''}"
        if self._kill and number % 2:
            self._diary.note(f"{who} dies")
            broker.kill()
        else:
            self._diary.note(f"{who} stops")
            broker.stop()
        time.sleep(self._away_s)
        broker.start()
        self.restarts += 1
        self._wait_until_healed()
        self._diary.note(f"{who} is back and in sync")

    def _wait_until_healed(self) -> None:
        deadline = time.monotonic() + HEAL_S
        while not self._healed():
            assert time.monotonic() < deadline, f"the cluster did not heal within {HEAL_S} s"
            time.sleep(0.2)

    def _healed(self) -> bool:
        """Whether every replica of every partition is in sync."""
        try:
            topics = self._kafka.admin.list_topics(timeout=10).topics.values()
        except KafkaException:
            return False
        return all(len(p.isrs) == len(p.replicas) for topic in topics for p in topic.partitions.values())
