"""The whole worker, in a world where everything fails by a seed: `python -m tests.simulation --seed N --trace` replays one."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.run import Simulation, quiet_logs

SEEDS = 2_000
CHUNK = 200
BACKFILL_SEEDS = 200
"""For each guarantee."""
MOST_SEEDS_A_BUG = 1_000
"""Within so many seeds each planted bug has to show."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Workers log to nobody."""
    with quiet_logs():
        yield


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_what_was_promised_holds_whatever_goes_wrong(first: int) -> None:
    """Crashes, rebalances, frozen processes, slow and failing brokers, poison: every invariant of `observer` holds, and all
    drains once it is quiet; both guarantees take turns."""
    inputs = 0
    for seed in range(first, first + CHUNK):
        result = Simulation(seed).run()
        assert result.violation is None, f"{result.violation}\n{result.how} --trace"
        inputs += result.inputs
    assert inputs > 20 * CHUNK  # something was at stake


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a_backfill_ends_when_all_is_done(guarantee: str) -> None:
    """Its workers end by themselves, whatever went wrong, and the last of them not before every record has its outcome."""
    for seed in range(BACKFILL_SEEDS):
        result = Simulation(seed, guarantee, backfill=True).run()
        assert result.violation is None, f"{result.violation}\n{result.how} --trace"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    """The simulation would find this mistake in the real classes, by the invariant that it breaks."""
    with bug.planted():
        for seed in range(MOST_SEEDS_A_BUG):
            simulation = Simulation(seed, bug.guarantee, eager=bug.eager, backfill=bug.backfill)
            if (violation := simulation.run().violation) is not None:
                print(f"{bug.name}: caught at seed {seed} by: {violation}")
                assert violation.invariant in bug.invariants, f"seed {seed}: {violation}"
                return
    pytest.fail(f"{bug.name} was not caught in {MOST_SEEDS_A_BUG} seeds")


@pytest.mark.parametrize("seed", [4, 7])
def test_a_seed_replays_exactly(seed: int) -> None:
    """Nothing but the seed decides what happens: in another process, under another hash seed, it is the same to the letter."""
    here = Simulation(seed, trace=True).run()
    assert len(here.trace) > 50
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--trace"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            timeout=60,
        )
        assert there.stdout.splitlines()[:-1] == here.trace
