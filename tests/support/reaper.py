"""The last line against orphans: a small process that ends what the tests started when the tests themselves are gone.

It reads `+PID` and `-PID` lines until its input closes, which the operating system does however the test run ends
(SIGKILL included), and then kills every process group that is still on its list.
"""

import contextlib
import os
import signal
import subprocess
import sys


class Reaper:
    """The test run's side: `watch` what was started, `release` what was stopped in order."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, start_new_session=True, text=True, bufsize=1
        )

    def watch(self, pid: int) -> None:
        """Put the process group led by `pid` on the list."""
        self._say(f"+{pid}")

    def release(self, pid: int) -> None:
        """Take it off again: it was waited for."""
        self._say(f"-{pid}")

    def close(self) -> None:
        """End the reaper, which kills whatever is still on the list."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")


def main() -> None:
    """Keep the list until the input ends, then kill what is on it."""
    pids: set[int] = set()
    for line in sys.stdin:
        sign, pid = line[0], int(line[1:])
        (pids.add if sign == "+" else pids.discard)(pid)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
