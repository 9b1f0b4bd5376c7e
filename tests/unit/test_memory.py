"""What loading takes at most, and that what it took and freed goes back to the system."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from pathlib import Path
from textstream.memory import give_back

def held() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) // 1024

c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [c.malloc(4000) for _ in range(20_000)]
for block in blocks:
    ctypes.memset(block, 1, 4000)
for block in blocks[:-1]:
    c.free(block)
before = held()
give_back()
print(before - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_freed_blocks_below_one_that_is_held_go_back() -> None:
    """76 MB in small blocks, the last of which is still held: without being asked, the C library would keep all of it."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert int(told) > 50


LOADING = """
from pathlib import Path
from textstream import Scorer

def most() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024

before = most()
Scorer.load("swift", device="cpu")
print(most() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="as the limit is there")
def test_loading_takes_little_more_than_the_model_keeps() -> None:
    """A container needs room for the most that is ever held: unpacked in 32 bits first, the table took 350 MB."""
    told = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=True).stdout
    assert int(told) < 300
