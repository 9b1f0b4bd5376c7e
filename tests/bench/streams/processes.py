"""Contenders as processes: started on cores of their own, watched through /proc with all their children, ended for good."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.streams.contenders import Contender, Job
from tests.support.reaper import Reaper

STOP_S = 15.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and all its children, at one time."""

    cpu_s: float
    resident_bytes: int


class Running:
    """The processes of one contender, each the leader of a session that its children belong to."""

    def __init__(self, contender: Contender, job: Job, cores: Sequence[int], log: Path, reaper: Reaper) -> None:
        self._log, self._reaper = log, reaper
        self.started_s = time.monotonic()
        command, environment = contender.command(job), contender.environment(job)
        with log.open("wb") as output:
            self._processes = [
                subprocess.Popen(
                    ["taskset", "-c", str(cores[index % len(cores)]), *command],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=log.parent,
                    start_new_session=True,
                )
                for index in range(contender.workers)
            ]  # fmt: skip
        for process in self._processes:
            reaper.watch(process.pid)

    @property
    def said(self) -> str:
        """What they printed."""
        return self._log.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether none runs any more."""
        return all(process.poll() is not None for process in self._processes)

    def check(self, *, may_finish: bool = False) -> None:
        """Raise where one has ended, but in order and where it may."""
        for process in self._processes:
            if (status := process.poll()) is not None and not (may_finish and status == 0):
                raise ContenderEnded(f"it ended with status {process.returncode}: {self.said[-1500:]}")

    def usage(self) -> Usage:
        """As the kernel counts it now."""
        sessions = {process.pid for process in self._processes}
        found = [stat for stat in _stats() if stat.session in sessions]
        return Usage(sum(one.cpu_s for one in found), sum(one.resident_bytes for one in found))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not end by it."""
        for how, within_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
            for process in self._processes:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, how)
            deadline = time.monotonic() + within_s
            for process in self._processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.01, deadline - time.monotonic()))
        for process in self._processes:
            self._reaper.release(process.pid)


class ContenderEnded(Exception):
    """A contender did not last; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class _Stat:
    session: int
    cpu_s: float
    resident_bytes: int


def _stats() -> Iterator[_Stat]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                yield parsed((folder / "stat").read_text())


def parsed(stat: str) -> _Stat:
    """proc(5): what follows the command's name, which may hold anything, up to its last parenthesis."""
    fields = stat.rpartition(")")[2].split()
    session, user, system, waited_user, waited_system = (int(fields[at]) for at in (3, 11, 12, 13, 14))
    return _Stat(session, (user + system + waited_user + waited_system) / TICKS, int(fields[21]) * PAGE)
