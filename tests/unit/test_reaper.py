"""Nothing that the tests start outlives them, however they end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

STARTER = """
import pathlib, subprocess, sys, time
from tests.support.reaper import Reaper
reaper = Reaper()
child = subprocess.Popen(["sleep", "30"], start_new_session=True)
reaper.watch(child.pid)
reaper.remove(pathlib.Path(sys.argv[1]))
print("started", flush=True)
time.sleep(30)
"""


def test_a_killed_test_run_leaves_nothing(tmp_path: Path) -> None:
    """When the process that started a broker or a worker is killed outright, they are killed too, and their folders go."""
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", STARTER, str(folder)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        killed = time.monotonic()
        starter.send_signal(signal.SIGKILL)
        assert starter.stdout.read() == b""  # returns when the child, which holds the same pipe, is gone too
    assert time.monotonic() - killed < 20
    while folder.exists():
        assert time.monotonic() - killed < 20
        time.sleep(0.02)
