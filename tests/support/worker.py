"""A worker as an operator runs it: a process of its own, started by the command line, stopped by signals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.support.kafka import RealKafka, wait_until
from tests.support.reaper import Reaper

STOP_TIMEOUT_S = 40


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without TEXTSTREAM_ variables, which are settings to the command."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEXTSTREAM_")} | extra


def textstream(
    *arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "textstream", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean_environment(**(environment or {})),
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
    )


def as_flags(settings: Mapping[str, object]) -> list[str]:
    """{"kafka.group_id": "g"} as the command line takes it."""
    return [part for name, value in settings.items() for part in (f"--{name}", _as_text(value))]


def _as_text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


class Worker:
    """`textstream run` in a process; leaving the `with` block kills it, unless it was stopped."""

    def __init__(
        self, kafka: RealKafka, reaper: Reaper, folder: Path, topic: str, group: str, *arguments: str, **settings: object
    ) -> None:
        """Extra settings are given as `section__name`; the arguments are those of a backfill."""
        self._reaper = reaper
        self.log_file = folder / f"worker-{len(list(folder.glob('worker-*')))}.log"
        flags = {
            "kafka.bootstrap_servers": kafka.bootstrap_servers,
            "kafka.group_id": group,
            "input.topics": topic,
            "observe.http_port": 0,
            "delivery.commit_interval_ms": 200,
        } | {name.replace("__", "."): value for name, value in settings.items()}
        with self.log_file.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "textstream", "run", *arguments, *as_flags(flags)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(),
                cwd=folder,
                start_new_session=True,
            )
        reaper.watch(self._process.pid)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def address(self) -> str:
        """Host and port of its HTTP endpoints, which it logs once it serves them."""
        return "127.0.0.1:" + self.log.split("http=127.0.0.1:")[1].split()[0]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its HTTP endpoints."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def send(self, how: signal.Signals) -> None:
        """Send a signal and go on."""
        self._process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit status."""
        self.send(how)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: the process has no say in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit status, once it ends by itself."""
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {STOP_TIMEOUT_S} s:\n{self.log[-4000:]}") from None
        self._reaper.release(self._process.pid)
        return status


def wait_for_members(kafka: RealKafka, group: str, count: int, partitions: int, timeout_s: float = 60) -> dict[str, int]:
    """Wait until the group has `count` members that hold all `partitions` between them, each at least one."""
    held: dict[str, int] = {}

    def settled() -> bool:
        held.clear()
        held.update(kafka.assigned_partitions(group))
        return len(held) == count and sum(held.values()) == partitions and min(held.values()) > 0

    wait_until(settled, timeout_s, lambda: f"the group {group} is {held}, not {count} members with {partitions} partitions")
    return held


def finish(kafka: RealKafka, worker: Worker, group: str, topic: str, timeout_s: float = 60) -> None:
    """Wait until everything in the topic is committed; fail early, with its log, when the worker ends before."""

    def done() -> bool:
        assert worker.running, f"the worker ended with {worker.wait()}:\n{worker.log[-4000:]}"
        return kafka.is_committed(group, topic)

    wait_until(
        done,
        timeout_s,
        lambda: f"{kafka.committed_offsets(group, topic)} of {kafka.end_offsets(topic)}\n{worker.log[-4000:]}",
    )
