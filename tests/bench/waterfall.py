"""Where a message's microseconds go: `python -m tests.bench.waterfall [--data FILE] [--pure]`, on one thread, without Kafka.

Times are the thread's own CPU time, each phase without those that it calls, and without what measuring costs. Of several rounds
over the same messages the least counts, for what else runs on the machine only adds to it.
"""

import argparse
import gc
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.texts import message_values
from textstream import native
from textstream.core import process
from textstream.core.codec import Codec
from textstream.core.record import Position, Record
from textstream.model import scorer, tokens
from textstream.model.scorer import Scorer
from textstream.score import line_codec

MESSAGES = 20_480
BATCH = 512
ROUNDS = 9
CALIBRATED = 200
"""Rounds in which the clock measures itself."""
TOPIC = "waterfall"

PHASES: tuple[tuple[str, Any, str], ...] = (
    ("decode", process, "_decode"),
    ("prepare", process, "prepare"),
    ("tokenise: cut, look up", tokens.Tokeniser, "_slots"),
    ("tokenise: features, offsets", tokens.Tokeniser, "_read"),
    ("tokenise: features, offsets", tokens.Tokeniser, "_read_compiled"),
    ("tokenise: language", tokens, "decide"),
    ("tokenise: a text's own", tokens.Tokeniser, "__call__"),
    ("pack: windows by length", scorer, "score"),
    ("terms: candidates", scorer, "candidates"),
    ("terms: salience", scorer, "salience"),
    ("terms: each span once", scorer, "united"),
    ("terms: the best", scorer.Scorer, "_key_terms"),
    ("sentiment: probabilities", scorer, "probabilities"),
    ("sentiment: probabilities", scorer, "rounded"),
    ("analysis: JSON", scorer, "written"),
    ("analysis", scorer.Scorer, "analyse"),
    ("quality", process, "quality"),
    ("event: headers, JSON", Codec, "usual"),
    ("event: headers, JSON", process, "_outcome"),
    ("enrich", process, "enrich"),
)


class Stopwatch:
    """CPU seconds by phase, less what the clock itself takes."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.within = self.around_it = (
            0.0  # seconds that measuring a call adds to its phase, and to the one that it is called in
        )
        self._below = [0.0]
        self.within, self.around_it = self._own_cost()

    def around(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, and what it takes itself is added to `phase`."""

        def timed(*args: Any, **options: Any) -> Any:
            self._below.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                took = time.thread_time() - began
                self.spent[phase] += took - self._below.pop() - self.within
                self._below[-1] += took + self.around_it

        return timed

    def _own_cost(self) -> tuple[float, float]:
        """The least of many rounds over a function that does nothing."""
        nothing, costs = self.around("nothing", int), []
        for _ in range(CALIBRATED):
            self.spent.clear()
            began = time.thread_time()
            for _ in range(BATCH):
                nothing()
            whole = time.thread_time() - began
            costs.append((whole / BATCH, self.spent["nothing"] / BATCH))
        whole, within = min(costs)
        return within, whole - within


def waterfall(values: Sequence[bytes], rounds: int = ROUNDS) -> dict[str, float]:
    """Microseconds a message by phase, in the order in which they end first."""
    model, watch = Scorer.load("swift"), Stopwatch()
    codec = line_codec(model, TOPIC, "json", "/text")
    records = [Record(Position(TOPIC, 0, at, 0), value) for at, value in enumerate(values)]
    for session in model._sessions:
        session._run = watch.around("infer: onnxruntime", session._run)  # type: ignore[method-assign]
        session.infer = watch.around("pack: what a pass reads", session.infer)
    before = [(owner, name, getattr(owner, name)) for _, owner, name in PHASES]
    for (phase, owner, name), (*_, function) in zip(PHASES, before, strict=True):
        setattr(owner, name, watch.around(phase, function))
    gc.collect()
    gc.freeze()
    least: dict[str, float] = {}
    try:
        for _ in range(rounds):
            watch.spent.clear()
            for start in range(0, len(records), BATCH):
                process.enrich(process.prepare(records[start : start + BATCH], codec, model), codec, model, 0)
            least = {phase: min(spent, least.get(phase, spent)) for phase, spent in watch.spent.items()}
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)
        gc.unfreeze()
    return {phase: 1e6 * spent / len(values) for phase, spent in least.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSON lines with the text under /text; else the tests' own messages")
    parser.add_argument("--pure", action="store_true", help="without the compiled part")
    arguments = parser.parse_args()
    if arguments.pure:
        native.compiled = None
    values = message_values(MESSAGES) if arguments.data is None else arguments.data.read_bytes().splitlines()[:MESSAGES]
    print(f"{len(values):,} messages of {sum(map(len, values)) / len(values):.0f} bytes, {native.way()}")
    found = waterfall(values)
    for phase, spent in [*found.items(), ("a message", sum(found.values()))]:
        print(f"{phase:32}{spent:7.2f} µs")


if __name__ == "__main__":
    main()
