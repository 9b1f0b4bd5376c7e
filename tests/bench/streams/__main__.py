"""textstream beside raw clients and other stream frameworks, on one Kafka, in turn.

    python -m tests.bench.streams                                     # all, five rounds of 20 s
    python -m tests.bench.streams --contenders raw,noop,quix --window 5 --rounds 1 --loads ''
    python -m tests.bench.streams scaling                             # cost as work grows
    python -m tests.bench.streams plot                                # anew from the results

The broker, and whoever sends, reads and watches, have cores of their own where the machine has two or more.
"""

import argparse
import os
import sys
from pathlib import Path

from tests.bench.streams import compare, plots, scaling
from tests.bench.streams.contenders import ALL, BY_NAME, Contender
from textstream.bench.run import cores

HERE = Path(__file__).parent
RESULTS, PLOT = HERE / "results.json", HERE / "results.svg"
CURVES, CURVES_PLOT = HERE / "scaling.json", HERE / "scaling.svg"


def main() -> int:
    """Measure, write, plot; 1 where a contender could not be measured or wrote something else than it should."""
    arguments = _parser().parse_args()
    if arguments.what == "plot":
        for draw, results, plot in (
            (plots.comparison, arguments.results, arguments.plot),
            (plots.curves, arguments.curves, arguments.curves_plot),
        ):
            if results.exists():
                draw(results, plot)
        return 0
    arguments.cores, others = cores()
    os.sched_setaffinity(0, others)  # and with it the broker, the sender and the reader
    if arguments.what == "scaling":
        status = scaling.run(arguments)
        plots.curves(arguments.curves, arguments.curves_plot)
        return status
    status = compare.run(arguments)
    plots.comparison(arguments.results, arguments.plot)
    return status


def _chosen(names: str) -> list[Contender]:
    unknown = [name for name in names.split(",") if name not in BY_NAME]
    if unknown:
        raise argparse.ArgumentTypeError(f"no contender {', '.join(unknown)}: there are {', '.join(BY_NAME)}")
    return [BY_NAME[name] for name in names.split(",")]


def _shares(shares: str) -> list[float]:
    return [float(share) for share in shares.split(",") if share]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.streams", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["compare", "scaling", "plot"], default="compare")
    parser.add_argument("--contenders", type=_chosen, default=list(ALL), metavar="A,B", help="which (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="each contender once a round (default: 5)")
    parser.add_argument("--window", type=float, default=20, help="seconds that are measured (default: 20)")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds before, from the first message out (default: 5)")
    parser.add_argument("--messages", type=int, default=10_000_000, help="in the input: more than the fastest can read")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument(
        "--loads", type=_shares, default=[0.1, 0.5, 0.8], metavar="S,S",
        help="shares of capacity that latency is measured at (default: 0.1,0.5,0.8); empty: throughput alone",
    )  # fmt: skip
    parser.add_argument("--latency-window", type=float, default=20, help="seconds that are measured at each load (default: 20)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, default=PLOT)
    parser.add_argument("--curves", type=Path, default=CURVES, help="results of scaling")
    parser.add_argument("--curves-plot", type=Path, default=CURVES_PLOT)
    return parser


if __name__ == "__main__":
    sys.exit(main())
