"""The short chaos: the cluster, the workers, the faults and the counter, as `make chaos SHORT=1` runs them."""

import re
import subprocess
import sys

from tests.support.texts import ROOT

LIMIT_S = 300
"""`make chaos SHORT=1` ends within 50 s on two cores of its own; a test that shares them is given more."""
LAST_LINE = re.compile(r"lost 0 doubled 0 disordered 0 inputs (\d+) kills (\d+) restarts (\d+)")


def test_short_chaos_loses_doubles_and_disorders_nothing() -> None:
    """Workers killed, stopped and scaled, a broker restarted, partitions added: the last line says 0 three times."""
    command = [sys.executable, "-m", "tests.chaos", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=LIMIT_S, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    last = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert last is not None, said
    inputs, kills, restarts = map(int, last.groups())
    assert inputs >= 1_000 and kills > 0 and restarts > 0, said
