"""What remembered texts save: `python -m tests.bench.repeats [--remember 10000] [--bundle swift]`, without Kafka.

A stream in which a share of the messages are copies of one of the last `WITHIN`, as retweets are; scored from bytes to event in
turn with `model.remember_texts` and without, the least of several rounds each, CPU time of one thread. Copies that come farther
apart save less.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Sequence

import orjson

from tests.bench.streams.stage import messages
from textstream.core.codec import Codec, Route
from textstream.core.process import Scorer, enrich, prepare
from textstream.core.record import Position, Record
from textstream.memory import settle
from textstream.model import scorer
from textstream.model.remembering import Remembering

MESSAGES = 40_960
BATCH = 512
ROUNDS = 3
SHARES = (0.0, 0.1, 0.3, 0.5, 0.9)
WITHIN = 10_000
"""How many messages back the copied one may stand: a busy topic's last second."""
TOPIC = "repeats"


def distinct(values: Sequence[bytes]) -> list[bytes]:
    """The bundled sample comes again and again: each time with another number behind its texts."""
    times: Counter[bytes] = Counter()
    told = []
    for value in values:
        text = orjson.loads(value)["text"]
        told.append(orjson.dumps({"text": f"{text} {times[value]}" if times[value] else text}))
        times[value] += 1
    return told


def stream(values: Sequence[bytes], share: float) -> list[bytes]:
    """As many messages, of which so many are copies, of copies too: what is copied once is likely to be copied again."""
    chance = random.Random(1)
    told: list[bytes] = []
    for value in values:
        copied = told and chance.random() < share
        told.append(told[-chance.randint(1, min(WITHIN, len(told)))] if copied else value)
    return told


def microseconds(model: Scorer, values: Sequence[bytes]) -> float:
    """CPU time a message, from bytes to event."""
    codec = Codec(input_format="json", pointer="/text", keep_input=False, model=model.info, routes={TOPIC: Route()})
    records = [Record(Position(TOPIC, 0, at, 1), value, None, (), 0) for at, value in enumerate(values)]
    began = time.thread_time()
    for at in range(0, len(records), BATCH):
        enrich(prepare(records[at : at + BATCH], codec, model), codec, model, now_ms=1)
    return (time.thread_time() - began) / len(records) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.repeats", description=__doc__)
    parser.add_argument("--remember", type=int, default=10_000, help="texts (default: 10000)")
    parser.add_argument("--bundle", default="swift")
    parser.add_argument("--messages", type=int, default=MESSAGES)
    arguments = parser.parse_args()
    model = scorer.Scorer.load(arguments.bundle, device="cpu")
    values = distinct(messages(arguments.messages))
    microseconds(model, values)  # words are met before they are timed
    settle()
    print(f"{'copies':>7} {'not scored':>11} {'without':>9} {'with':>9}  µs a message, {arguments.remember:,} remembered")
    for share in SHARES:
        told = stream(values, share)
        without = with_ = float("inf")
        for _ in range(ROUNDS):
            without = min(without, microseconds(model, told))
            remembering = Remembering(model, arguments.remember)
            with_ = min(with_, microseconds(remembering, told))
        saved = remembering.computed.remembered / len(told)
        print(f"{share:7.0%} {saved:11.0%} {without:9.1f} {with_:9.1f}  {without / with_:.2f} times as fast")


if __name__ == "__main__":
    main()
