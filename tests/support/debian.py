"""Debian's packages, for the tests that drive somebody else's program: Chromium, Prometheus.

apt lets one process work at a time, and two that share the tests may each need a package at once: here the others wait. A fresh
image has no package lists, so what apt does not find it is asked for again with new ones.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TIMEOUT_S = 900
"""For one command: a browser with all that it needs, over a slow network."""
LOCK = Path(tempfile.gettempdir(), f"textstream-apt-{os.geteuid()}.lock")
"""Of the machine, as apt's own is, and not of a checkout; of a user, since nobody else could open it."""
APT = ("apt-get", "-o", f"DPkg::Lock::Timeout={TIMEOUT_S}")


class MissingError(Exception):
    """A program is not there, and cannot be had here; the message says what would help."""


def installed(package: str, programs: Sequence[str], need: str) -> str:
    """The path of the first of these programs that is there; where none is, apt installs the package, which takes root."""
    said = ""
    if not (found := _first(programs)):
        with _alone():
            said = "" if _first(programs) else _apt(["install", "--yes", "--no-install-recommends", package], Path("/"))
        found = _first(programs)
    if not found:
        raise _missing(package, programs, need, said)
    return found


def unpacked(package: str, folder: Path, programs: Sequence[str], need: str) -> Path:
    """The folder with the package in it, not installed: that starts no service, and takes no root unless there are no lists."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(), tempfile.TemporaryDirectory(dir=folder.parent) as name:
        work, said = Path(name), ""
        if not folder.is_dir():
            said = _apt(["download", package], work)
            for archive in work.glob("*.deb"):
                said = _run(["dpkg-deb", "-x", archive.name, "all"], work)
            if not said:
                (work / "all").rename(folder)  # at once: whoever sees the folder finds all of it
    if not folder.is_dir():
        raise _missing(package, programs, need, said)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt(arguments: Sequence[str], folder: Path) -> str:
    """Empty, or what went wrong."""
    said = _run([*APT, *arguments], folder)
    return said and (_run([*APT, "update"], folder) or _run([*APT, *arguments], folder))


def _run(command: Sequence[str], folder: Path) -> str:
    """Empty, or what went wrong."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit status {done.returncode}") if done.returncode else ""


def _first(programs: Sequence[str]) -> str | None:
    return next(filter(None, map(shutil.which, programs)), None)


def _missing(package: str, programs: Sequence[str], need: str, said: str) -> MissingError:
    return MissingError(
        f"{need}: on Debian or Ubuntu `apt-get install {package}`, elsewhere put {' or '.join(programs)} on PATH ({said})"
    )
