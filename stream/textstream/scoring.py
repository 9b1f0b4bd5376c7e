"""The scoring thread: batches go in through a bounded queue, outcomes come back as values, in the same order.

It holds no state of the stream and decides nothing: whatever goes wrong is handed back to the polling thread.
"""

import queue
import threading

from textstream.core.batch import Batch
from textstream.core.codec import Codec
from textstream.core.ports import Clock, Scored
from textstream.core.process import Scorer, enrich

MAX_WAITING_BATCHES = 2
"""One being scored, one ready to follow: more would only wait here instead of filling up in the batcher."""


class ScoringThread:
    """Runs `core.process.enrich` beside the polling thread; onnxruntime releases the interpreter's lock meanwhile."""

    def __init__(self, codec: Codec, scorer: Scorer, *, clock: Clock) -> None:
        self._codec = codec
        self._scorer = scorer
        self._clock = clock
        self._batches: queue.Queue[tuple[Batch, float] | None] = queue.Queue(MAX_WAITING_BATCHES + 1)  # + the stop
        self._scored: queue.SimpleQueue[Scored | BaseException] = queue.SimpleQueue()  # never longer than what was submitted
        self._submitted_at: list[float] = []
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether batches are out."""
        return bool(self._submitted_at)

    @property
    def full(self) -> bool:
        """Whether no further batch may be submitted."""
        return len(self._submitted_at) >= MAX_WAITING_BATCHES

    @property
    def waiting_since(self) -> float | None:
        """When the oldest batch that is still out was submitted, by the clock."""
        return self._submitted_at[0] if self._submitted_at else None

    def submit(self, batch: Batch) -> None:
        """Hand over a batch; only when not `full`."""
        assert not self.full, "submitted beyond the bound"
        now = self._clock.now()
        self._submitted_at.append(now)
        self._batches.put_nowait((batch, now))

    def results(self, timeout_s: float) -> list[Scored]:
        """What has been scored; waits up to `timeout_s` for the first. Raises what stopped the scoring thread."""
        results: list[Scored] = []
        while self.busy:
            try:
                scored = self._scored.get(timeout=0 if results else timeout_s)
            except queue.Empty:
                break
            if isinstance(scored, BaseException):
                raise scored
            self._submitted_at.pop(0)
            results.append(scored)
        return results

    def close(self) -> None:
        """Let the thread end after what it holds. A stuck one is left behind: it is a daemon."""
        self._batches.put_nowait(None)

    def _run(self) -> None:
        while (submitted := self._batches.get()) is not None:
            batch, submitted_at = submitted
            try:
                started_at = self._clock.now()
                outcomes = enrich(batch.items, self._codec, self._scorer, self._clock.wall_ms())
                self._scored.put(Scored(batch, outcomes, submitted_at, started_at, self._clock.now()))
            except BaseException as error:  # raised again by the polling thread, which stops the worker
                self._scored.put(error)
