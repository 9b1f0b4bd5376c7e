"""How many CPUs a process may use, by the files that Linux tells it in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textstream.model.cpus import THREADS_OF_LIBRARIES, limit_threads, usable_cpus


def files(folder: Path, membership: str, **contents: str) -> tuple[Path, Path]:
    """A cgroup tree and a list of memberships; `__` stands for a slash, and `_DOT_` for a dot."""
    (folder / "membership").write_text(membership)
    for name, content in contents.items():
        file = folder / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder / "cgroup", folder / "membership"


@pytest.mark.parametrize(
    ("membership", "contents", "cpus"),
    [
        ("0::/\n", {"cpu_DOT_max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu_DOT_max": "max 100000\n"}, 8),
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu_DOT_max": "150000 100000\n"}, 1),
        ("0::/\n", {"cpu_DOT_max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu_DOT_max": "9900000 100000\n"}, 8),
        ("0::/pod/one\n", {"pod__one__cpu_DOT_max": "max 100000\n", "pod__cpu_DOT_max": "300000 100000\n"}, 3),
        ("0::/pod/one\n", {"pod__one__cpu_DOT_max": "200000 100000\n", "pod__cpu_DOT_max": "300000 100000\n"}, 2),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n0::/x\n",
            {"cpu,cpuacct__x__cpu_DOT_cfs_quota_us": "400000", "cpu,cpuacct__x__cpu_DOT_cfs_period_us": "100000"},
            4,
        ),
        ("1:cpu:/of/the/host\n", {"cpu__cpu_DOT_cfs_quota_us": "250000", "cpu__cpu_DOT_cfs_period_us": "50000"}, 5),
        ("1:cpu:/x\n", {"cpu__x__cpu_DOT_cfs_quota_us": "-1", "cpu__x__cpu_DOT_cfs_period_us": "100000"}, 8),
        ("2:cpuset:/x\n", {"cpu__x__cpu_DOT_cfs_quota_us": "100000", "cpu__x__cpu_DOT_cfs_period_us": "100000"}, 8),
    ],
)
def test_the_quota_of_a_container(membership: str, contents: dict[str, str], cpus: int, tmp_path: Path) -> None:
    """Versions 2 and 1, ours and what stands above it, none, a part of a CPU: the least of quotas and cores, in whole CPUs."""
    assert usable_cpus(*files(tmp_path, membership, **contents), affinity=8) == cpus


def test_without_cgroups(tmp_path: Path) -> None:
    """Where there are none, the cores that this process may run on."""
    assert usable_cpus(tmp_path, tmp_path / "none") == len(os.sched_getaffinity(0))


def test_affinity_counts(tmp_path: Path) -> None:
    """A process that is bound to one core has one CPU, also under a quota of more."""
    cgroups, membership = files(tmp_path, "0::/\n", cpu_DOT_max="800000 100000\n")
    code = (
        "import os, sys; from pathlib import Path; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from textstream.model.cpus import usable_cpus; print(usable_cpus(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(cgroups), str(membership)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


def test_libraries_start_no_more_threads() -> None:
    """Those that read a variable as they are loaded; one that the user has set stays."""
    environ = {"OMP_NUM_THREADS": "7"}
    limit_threads(environ)
    assert environ.pop("OMP_NUM_THREADS") == "7"
    assert environ == dict.fromkeys(set(THREADS_OF_LIBRARIES) - {"OMP_NUM_THREADS"}, str(usable_cpus()))
