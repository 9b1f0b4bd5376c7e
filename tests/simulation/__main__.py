"""`python -m tests.simulation --seed N --guarantee exactly_once --trace`: replay one simulation, or run many."""

import argparse
import sys
import time

import structlog

from tests.simulation.run import Simulation


def main() -> int:
    """The exit status is 1 where something that must hold does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1, help="so many seeds from there")
    parser.add_argument("--guarantee", choices=["at_least_once", "exactly_once"], default=None)
    parser.add_argument("--trace", action="store_true")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    failed = 0
    began = time.monotonic()
    guarantees = [chosen.guarantee] if chosen.guarantee else ["at_least_once", "exactly_once"]
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        for guarantee in guarantees:
            result = Simulation(seed, guarantee, trace=chosen.trace).run()
            for line in result.trace:
                print(line)
            if chosen.count == 1:
                print(f"{guarantee}: {result.inputs} inputs, {result.repeated} repeated, {result.aborts} aborts")
            if result.violation is not None:
                failed += 1
                print(f"--seed {seed} --guarantee {guarantee}: {result.violation}", flush=True)
    print(f"{failed} of {chosen.count * len(guarantees)} failed in {time.monotonic() - began:.1f} s")
    return int(failed > 0)


sys.exit(main())
