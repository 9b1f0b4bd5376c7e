"""How many CPUs this process may use: those that it may run on, or fewer where its container has a quota.

A container sees all cores of its host, and libraries start a thread for each. Under a quota of the scheduler's (Kubernetes'
`limits.cpu`) such threads use it up together in a part of each 100 ms, and then all of them stand still for the rest.
"""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path, PurePosixPath

CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What OpenMP (PyTorch) and numpy's linear algebra read as they are loaded."""


def usable_cpus(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP, affinity: int | None = None) -> int:
    """At least one. Of a quota whole CPUs count: one thread more would be slowed down with all others."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    runs_on = affinity or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return max(1, min([runs_on, *(int(quota) for line in lines for quota in _quotas(cgroups, line))]))


def limit_threads(environ: MutableMapping[str, str]) -> None:
    """Have libraries that are loaded from now on start no more threads than that, where the user says nothing else."""
    cpus = str(usable_cpus())
    for name in THREADS_OF_LIBRARIES:
        environ.setdefault(name, cpus)


def _quotas(cgroups: Path, line: str) -> Iterator[float]:
    """CPUs by each quota that a membership, a line of /proc/self/cgroup, puts us under: the group's, and those of all above."""
    _, controllers, path = line.split(":", 2)
    group = PurePosixPath(path)
    for above in (group, *group.parents):
        if not controllers:  # version 2: one tree
            yield from _quota(*_words(cgroups / above.relative_to("/") / "cpu.max"))
        elif "cpu" in controllers.split(","):  # version 1: a tree for each controller
            # In a container the path may be the host's, and the mounted tree begin at the group itself: its root is read too.
            folder = cgroups / controllers / above.relative_to("/")
            yield from _quota(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us"))


def _quota(*words: str) -> Iterator[float]:
    """`max` and -1 are none."""
    if len(words) == 2 and words[0] != "max" and int(words[0]) > 0:
        yield int(words[0]) / int(words[1])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
