"""Chaos on a real Apache Kafka: three brokers, workers and brokers killed, stopped and started, and then a count.

    python -m tests.chaos            at least 50 kills, 10 broker restarts and 1,000,000 messages over the matrix
    python -m tests.chaos --short    all of it small, within 50 s

The matrix is guarantee by group protocol. The long form goes through it one by one and writes each result to
`results.jsonl` in its folder; with `--resume FOLDER` only what is missing there is run. The short form runs all at once.
The last line is `lost N doubled N disordered N inputs N kills N restarts N`; the exit status is 1 where one of the first
three is not 0, and then the folder with all logs stays.
"""

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.chaos.storm import BrokerFaults, Diary, Plan, Storm
from tests.support.kafka import JavaKafka
from tests.support.reaper import Reaper
from textstream.settings import declared

GUARANTEES, PROTOCOLS = ("at_least_once", "exactly_once"), ("classic", "consumer")
BROKERS = 3
LONG = Plan(
    "", "", messages=252_000, seconds=240, kills=16, pauses=3, crowd=(1, 4, 4, 2), session_s=6, finish_s=240, seed=0
)  # fmt: skip
SHORT = Plan("", "", messages=4_000, seconds=12, kills=3, pauses=1, crowd=(1, 2), session_s=3, finish_s=90, seed=0)
RESTARTS = 3
"""Broker restarts in each part of the long matrix; one in the short form."""


@dataclass
class Result:
    """What one storm gave, or all of them."""

    name: str
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    inputs: int = 0
    kills: int = 0
    restarts: int = 0

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled or disordered."""
        return not (self.lost or self.doubled or self.disordered)

    def __str__(self) -> str:
        return (
            f"lost {self.lost} doubled {self.doubled} disordered {self.disordered} "
            f"inputs {self.inputs} kills {self.kills} restarts {self.restarts}"
        )


def total(results: Iterable[Result]) -> Result:
    """The sum over the matrix."""
    every = list(results)
    counted = ("lost", "doubled", "disordered", "inputs", "kills", "restarts")
    return Result("all", **{name: sum(getattr(result, name) for result in every) for name in counted})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the matrix, or the asked part of it."""
    asked = _parser().parse_args(argv)
    seed = random.randrange(2**31) if asked.seed is None else asked.seed
    folder = asked.resume or Path(tempfile.mkdtemp(prefix="textstream-chaos-"))
    folder.mkdir(exist_ok=True)
    print(f"seed {seed}, logs in {folder}", flush=True)
    base = SHORT if asked.short else LONG
    if asked.messages is not None:
        base = replace(base, messages=asked.messages)
    plans = [
        replace(base, guarantee=guarantee, protocol=protocol, model=asked.model, seed=seed + number)
        for number, (guarantee, protocol) in enumerate(
            itertools.product(
                asked.guarantee or _there_is("delivery.guarantee", GUARANTEES),
                asked.protocol or _there_is("kafka.group_protocol", PROTOCOLS),
            )
        )
    ]
    began = time.monotonic()
    reaper = Reaper()
    try:
        kafka = _cluster(reaper, base.session_s)
        try:
            results = _all_at_once(kafka, reaper, folder, plans) if asked.short else _in_turn(kafka, reaper, folder, plans)
        finally:
            _keep_broker_logs(kafka, folder)
            kafka.close()
    finally:
        reaper.close()
    for result in results:
        print(f"{result.name}: {result}")
    whole = total(results)
    print(f"{time.monotonic() - began:.0f} s, seed {seed}" + ("" if whole.clean else f"; logs stay in {folder}"))
    if whole.clean and not asked.resume:
        shutil.rmtree(folder)
    print(whole, flush=True)
    return 0 if whole.clean else 1


def _there_is(setting: str, choices: Sequence[str]) -> Sequence[str]:
    """All choices of a setting, or its default while it is not declared yet."""
    return choices if setting in {known.path for known in declared()} else choices[:1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break things on a real Kafka, and count.")
    parser.add_argument("--short", action="store_true", help="all of it small, within 50 s")
    parser.add_argument("--seed", type=int, help="of the schedule (default: another one each time; it is printed)")
    parser.add_argument("--guarantee", action="append", choices=GUARANTEES, help="only this one")
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help="only this one")
    parser.add_argument("--messages", type=int, help="in each part of the matrix")
    parser.add_argument("--model", choices=["fake", "swift"], default="fake", help="which model scores (default: fake)")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="keep the logs there; skip what results.jsonl has")
    return parser


def _cluster(reaper: Reaper, session_s: float) -> JavaKafka:
    began = time.monotonic()
    kafka = JavaKafka(
        reaper,
        BROKERS,
        broker_session_timeout_ms="6000",
        group_consumer_session_timeout_ms=str(int(session_s * 1000)),
        group_consumer_heartbeat_interval_ms=str(int(session_s * 1000 / 4)),
        transaction_abort_timed_out_transaction_cleanup_interval_ms="1000",
    )
    kafka.start()
    print(f"{BROKERS} brokers ready after {time.monotonic() - began:.1f} s", flush=True)
    return kafka


def _in_turn(kafka: JavaKafka, reaper: Reaper, folder: Path, plans: Sequence[Plan]) -> list[Result]:
    file = folder / "results.jsonl"
    done = {row["name"]: Result(**row) for row in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    for plan in plans:
        if plan.name not in done:
            at_s = [plan.seconds * (number + 0.5) / RESTARTS for number in range(RESTARTS)]
            (done[plan.name],) = _blow(kafka, reaper, folder, [plan], at_s, away_s=plan.session_s / 2, aloud=True)
            with file.open("a") as results:
                results.write(json.dumps(asdict(done[plan.name])) + "\n")
            print(f"{plan.name}: {done[plan.name]}", flush=True)
    return list(done.values())


def _all_at_once(kafka: JavaKafka, reaper: Reaper, folder: Path, plans: Sequence[Plan]) -> list[Result]:
    return _blow(kafka, reaper, folder, plans, [plans[0].seconds / 3], away_s=1, aloud=False)


def _blow(
    kafka: JavaKafka, reaper: Reaper, folder: Path, plans: Sequence[Plan], at_s: Sequence[float], away_s: float, *, aloud: bool
) -> list[Result]:
    """Run these storms beside each other, under the same broker faults, which count for the first."""
    began = time.monotonic()
    storms = []
    for plan in plans:
        logs = folder / plan.name
        logs.mkdir(exist_ok=True)
        storms.append(Storm(kafka, reaper, logs, plan))
    diaries = [Diary(folder / f"{plan.name}.log", began, aloud=aloud) for plan in plans]
    faults = BrokerFaults(
        kafka, Diary(folder / "brokers.log", began, aloud=aloud), at_s, away_s, storms[0].group, kill=len(plans) == 1
    )
    faults.start()
    with ThreadPoolExecutor(len(storms)) as pool:
        counts = list(pool.map(Storm.run, storms, diaries))
    faults.finish()
    results = [
        Result(plan.name, found.lost, found.doubled, found.disordered, found.inputs, storm.kills)
        for plan, storm, found in zip(plans, storms, counts, strict=True)
    ]
    results[0].restarts = faults.restarts
    return results


def _keep_broker_logs(kafka: JavaKafka, folder: Path) -> None:
    for number, broker in enumerate(kafka.brokers, start=1):
        if broker.log_file.exists():
            shutil.copy(broker.log_file, folder / f"broker-{number}.log")


if __name__ == "__main__":
    sys.exit(main())
