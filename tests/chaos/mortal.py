"""`textstream run` that can be told to die at a named point: the real worker, its clients wrapped, its model a fast fake.

    python -m tests.chaos.mortal fake run --kafka.group_id …

A line on standard input names a point; the next time that the worker gets there, it is killed with SIGKILL, by itself, so
that nothing can happen between the point and the end. With `swift` instead of `fake` the shipped model scores.
"""

import os
import signal
import sys
import threading
from typing import Any

import confluent_kafka

from tests.support.fakes import FakeScorer

AT_LEAST_ONCE_POINTS = ("produced", "acknowledged", "before_commit", "in_commit", "after_commit")
EXACTLY_ONCE_POINTS = (*AT_LEAST_ONCE_POINTS, "offsets_sent")
LAST_WORDS = "dies at "
"""What it prints before the point's name, so that a log tells which points were reached."""
IN_COMMIT_S = 0.002
"""After a commit has begun: about the time of one request to a broker on the same machine."""

_armed = ""


def _die(point: str) -> None:
    os.write(sys.stderr.fileno(), f"{LAST_WORDS}{point}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _reached(point: str) -> None:
    if _armed == point:
        _die(point)


def _listen() -> None:
    global _armed
    for line in sys.stdin:
        _armed = line.strip()


class _Committing:
    """The points before, in and after a commit."""

    def __init__(self, commit: Any) -> None:
        self._commit = commit

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        _reached("before_commit")
        if _armed == "in_commit":
            threading.Timer(IN_COMMIT_S, _die, ["in_commit"]).start()
        result = self._commit(*arguments, **named)
        _reached("after_commit")
        return result


class MortalProducer(confluent_kafka.Producer):
    """A producer with points to die at."""

    def produce(self, *arguments: Any, **named: Any) -> None:
        """Die behind it: the record is in the client's queue."""
        super().produce(*arguments, **named)
        _reached("produced")

    def poll(self, *arguments: Any, **named: Any) -> int:
        """Die behind it where it served acknowledgements: they are known to nobody else."""
        served = super().poll(*arguments, **named)
        if served:
            _reached("acknowledged")
        return served

    def send_offsets_to_transaction(self, *arguments: Any, **named: Any) -> None:
        """Die behind it: the transaction has its offsets, and is open."""
        super().send_offsets_to_transaction(*arguments, **named)
        _reached("offsets_sent")

    def commit_transaction(self, *arguments: Any, **named: Any) -> None:
        """Die before it, in it or behind it."""
        _Committing(super().commit_transaction)(*arguments, **named)


class MortalConsumer(confluent_kafka.Consumer):
    """A consumer with points to die at."""

    def commit(self, *arguments: Any, **named: Any) -> Any:
        """Die before it, in it or behind it."""
        return _Committing(super().commit)(*arguments, **named)


def main() -> int:
    """Run one textstream command with mortal clients."""
    model, *arguments = sys.argv[1:]
    confluent_kafka.Producer, confluent_kafka.Consumer = MortalProducer, MortalConsumer  # type: ignore[misc]
    from textstream import cli  # only now: its modules take the clients' names from confluent_kafka

    if model == "fake":
        cli._load_scorer = lambda *_, **__: FakeScorer()  # type: ignore[assignment]
    threading.Thread(target=_listen, daemon=True).start()
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
