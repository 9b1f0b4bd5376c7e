"""Replay one simulation by its seed, or run many: `python -m tests.simulation --seed N [--trace]`."""

import argparse
import sys
import time

from tests.simulation.bugs import BUGS
from tests.simulation.run import Result, Simulation, quiet_logs


def main() -> int:
    """The exit status is 1 where something that must hold does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first, or only, seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there")
    parser.add_argument("--guarantee", choices=["at_least_once", "exactly_once"], help="unset: by the seed")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--eager", action="store_true", help="clients join again before the worker hears that it was shut out")
    parser.add_argument("--backfill", action="store_true", help="workers read what is there, and end by themselves")
    parser.add_argument("--bug", choices=[bug.name for bug in BUGS], help="plant this one")
    chosen = parser.parse_args()
    planted = next((bug for bug in BUGS if bug.name == chosen.bug), None)
    began = time.monotonic()

    def run(seed: int) -> Result:
        if planted is None:
            return Simulation(seed, chosen.guarantee, trace=chosen.trace, eager=chosen.eager, backfill=chosen.backfill).run()
        with planted.planted():
            guarantee, eager = chosen.guarantee or planted.guarantee, chosen.eager or planted.eager
            backfill = chosen.backfill or planted.backfill
            return Simulation(seed, guarantee, trace=chosen.trace, eager=eager, backfill=backfill).run()

    failed = inputs = repeated = aborts = crashes = 0
    with quiet_logs():
        for seed in range(chosen.seed, chosen.seed + chosen.count):
            result = run(seed)
            for line in result.trace:
                print(line)
            inputs, repeated = inputs + result.inputs, repeated + result.repeated
            aborts, crashes = aborts + result.aborts, crashes + result.crashes
            if result.violation is not None:
                failed += 1
                print(f"{result.how}: {result.violation}", flush=True)
    took = time.monotonic() - began
    print(
        f"seeds {chosen.count} failed {failed} inputs {inputs} repeated {repeated} aborts {aborts} crashes {crashes}"
        f" {took:.1f} s"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
