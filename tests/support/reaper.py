"""The last line against orphans: a small process that ends what the tests started when the tests themselves are gone.

It reads `+PID`, `-PID` and `/folder` lines until its input closes, which the operating system does however the test run
ends (SIGKILL included), then kills every process group that is still on its list and removes the folders.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


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

    def remove(self, folder: Path) -> None:
        """Remove the folder at the end."""
        self._say(str(folder.absolute()))

    def close(self) -> None:
        """End the reaper, which kills and removes whatever is still on the list."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")


def main() -> None:
    """Keep the lists until the input ends, then kill and remove what is on them."""
    pids: set[int] = set()
    folders: list[str] = []
    for line in sys.stdin:
        if line.startswith("/"):
            folders.append(line.rstrip("\n"))
        else:
            (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
