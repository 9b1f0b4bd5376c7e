"""The workers of one group, watched by a supervisor that starts each again that ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.mortal import LAST_WORDS
from tests.support.reaper import Reaper
from tests.support.texts import ROOT
from tests.support.worker import as_flags, clean_environment

RESTART_PAUSE_S = 0.5
"""Between an end and the next start, as a supervisor would wait."""
STOP_TIMEOUT_S = 60


@dataclass
class Member:
    """A place in the crew, and the process that has it now."""

    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    stopped: bool = False  # by SIGSTOP


class Crew:
    """As many workers as are wanted; `supervise` is to be called often."""

    def __init__(self, reaper: Reaper, folder: Path, model: str, settings: Mapping[str, object]) -> None:
        self._reaper, self._folder = reaper, folder
        self._command = [sys.executable, "-m", "tests.chaos.mortal", model, "run", *as_flags(settings)]
        self._members: list[Member] = []
        self._wanted = 0
        self.starts = 0
        self.statuses: Counter[int] = Counter()  # with which they ended

    @property
    def kills(self) -> int:
        """How many ended by SIGKILL."""
        return self.statuses[-signal.SIGKILL]

    @property
    def died_at(self) -> Counter[str]:
        """How many died at each named point."""
        lines = (line for log in self._folder.glob("worker-*.log") for line in log.read_text(errors="replace").splitlines())
        return Counter(line.removeprefix(LAST_WORDS) for line in lines if line.startswith(LAST_WORDS))

    def scale(self, wanted: int) -> None:
        """Start or stop, in order, until there are so many."""
        self._wanted = wanted
        self._members += [Member() for _ in range(wanted - len(self._members))]
        for member in self._members[wanted:]:
            self._wake(member)
            self._send(member, signal.SIGTERM)

    def supervise(self) -> None:
        """See who ended, start who is wanted."""
        now = time.monotonic()
        for index, member in enumerate(self._members):
            if member.process is not None and (status := member.process.poll()) is not None:
                self._ended(member, status)
                member.start_at = now + RESTART_PAUSE_S
            if member.process is None and index < self._wanted and now >= member.start_at:
                self._start(index, member)

    def kill(self, index: int) -> None:
        """SIGKILL: it has no say in it."""
        self._send(self._at(index), signal.SIGKILL)

    def kill_at(self, index: int, point: str) -> None:
        """Have it die when it gets to a named point."""
        process = self._at(index).process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(point.encode() + b"\n")
                process.stdin.flush()

    def pause(self, index: int) -> None:
        """SIGSTOP: it does not know that time goes on."""
        member = self._at(index)
        self._send(member, signal.SIGSTOP)
        member.stopped = True

    def wake_all(self) -> None:
        """SIGCONT to whoever was stopped."""
        for member in self._members:
            self._wake(member)

    def stop(self) -> None:
        """Stop all in order and wait for their ends."""
        self.scale(0)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while any(member.process is not None for member in self._members):
            self.supervise()
            assert time.monotonic() < deadline, f"a worker did not stop within {STOP_TIMEOUT_S} s: see {self._folder}"
            time.sleep(0.05)

    def close(self) -> None:
        """Kill who is left; that counts as nothing."""
        for member in self._members:
            if member.process is not None:
                self._send(member, signal.SIGKILL)
                member.process.wait()
                self._reaper.release(member.process.pid)

    def _at(self, index: int) -> Member:
        return self._members[index % self._wanted]

    def _wake(self, member: Member) -> None:
        if member.stopped:
            self._send(member, signal.SIGCONT)
            member.stopped = False

    def _send(self, member: Member, how: signal.Signals) -> None:
        if member.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(member.process.pid, how)

    def _start(self, index: int, member: Member) -> None:
        self.starts += 1
        with (self._folder / f"worker-{index}.log").open("ab") as output:
            member.process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=clean_environment(PYTHONPATH=os.pathsep.join([str(ROOT / "stream"), str(ROOT)])),
                start_new_session=True,
            )
        self._reaper.watch(member.process.pid)

    def _ended(self, member: Member, status: int) -> None:
        assert member.process is not None
        if member.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                member.process.stdin.close()
        self._reaper.release(member.process.pid)
        self.statuses[status] += 1
        member.process, member.stopped = None, False
