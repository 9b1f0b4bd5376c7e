"""Nothing that the tests start outlives them, however they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

STARTER = """
import subprocess, sys, time
from tests.support.reaper import Reaper
reaper = Reaper()
child = subprocess.Popen(["sleep", "100"], start_new_session=True)
reaper.watch(child.pid)
print(child.pid, flush=True)
time.sleep(100)
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody waited for yet is dead too.
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_killed_test_run_leaves_no_orphan() -> None:
    """When the process that started a broker or a worker is killed outright, they are killed too."""
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        assert _alive(child)
        starter.send_signal(signal.SIGKILL)
    assert _within(10, lambda: not _alive(child))
