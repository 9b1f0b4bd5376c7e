"""The scoring thread: batches go in through a bounded queue, outcomes come back as values, in the same order.

It holds no state of the stream and decides nothing: whatever goes wrong is handed back to the polling thread.
"""

import queue
import threading
from collections.abc import Sequence
from typing import Any

from textstream.analysis import EncodedAnalysis
from textstream.core.batch import Batch
from textstream.core.codec import Codec
from textstream.core.ports import Clock, Scored
from textstream.core.process import Scorer, enrich
from textstream.drift import Reference
from textstream.errors import Fatal
from textstream.quality import Computed

MAX_WAITING_BATCHES = 2
"""One being scored, one ready to follow: more would only wait here instead of filling up in the batcher."""
LET_WORK_S = 0.05
"""On one CPU, the longest that the polling thread lets this one work before it looks at anything else: acknowledgements and
rebalances wait so long, and so does a signal."""


class _Watched:
    """A scorer whose model passes the polling thread can look at; each field is one value, replaced whole."""

    def __init__(self, scorer: Scorer, clock: Clock) -> None:
        self.info = scorer.info
        self.tokenise = scorer.tokenise
        self.since: float | None = None
        """When the pass that runs now began."""
        self.fitted = True
        """Whether all passes over more than one text had enough memory, since this was last set."""
        self._scorer = scorer
        self._clock = clock

    @property
    def reference(self) -> Reference | None:
        return self._scorer.reference

    @property
    def computed(self) -> Computed:
        return self._scorer.computed

    def analyse(self, batch: Sequence[Any]) -> Sequence[EncodedAnalysis]:
        self.since = self._clock.now()
        try:
            return self._scorer.analyse(batch)
        except MemoryError:
            self.fitted = self.fitted and len(batch) == 1
            raise
        finally:
            self.since = None


class ScoringThread:
    """Runs `core.process.enrich` beside the polling thread; onnxruntime releases the interpreter's lock meanwhile.

    Where there is `one_cpu`, the two take turns, a batch each: side by side they only take it, what it has cached and the
    interpreter's lock from each other.
    """

    def __init__(
        self,
        codec: Codec,
        scorer: Scorer,
        *,
        stall_after_s: float,
        clock: Clock,
        one_cpu: bool = False,
    ) -> None:
        self._codec = codec
        self._scorer = _Watched(scorer, clock)
        self._stall_after_s = stall_after_s
        self._clock = clock
        self._most, self._let_work_s = (1, LET_WORK_S) if one_cpu else (MAX_WAITING_BATCHES, 0.0)
        self._batches: queue.Queue[tuple[Batch, float] | None] = queue.Queue(MAX_WAITING_BATCHES + 1)  # + the stop
        # Never longer than what was submitted. Not a SimpleQueue: a signal as its timeout ends makes it wait on (CPython 3.11).
        self._scored: queue.Queue[Scored | BaseException] = queue.Queue()
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
        return len(self._submitted_at) >= self._most

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
        """What has been scored; waits up to `timeout_s` for the first, or `LET_WORK_S`. Raises what stopped the scoring thread.

        Raises `Fatal` where a pass does not end: it holds up everything, so this process ends and the group goes on without it.
        """
        since = self._scorer.since
        if since is not None and self._clock.now() - since > self._stall_after_s:
            raise Fatal(
                f"a model pass has not ended within {self._stall_after_s:g} s (observe.stall_after_s); a restart scores again"
                " what is not committed"
            )
        results: list[Scored] = []
        while self.busy:
            try:
                scored = self._scored.get(timeout=0 if results else max(timeout_s, self._let_work_s))
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
                self._scorer.fitted = True
                enriched = enrich(batch.items, self._codec, self._scorer, self._clock.wall_ms())
                finished_at = self._clock.now()
                self._scored.put(Scored(batch, enriched, submitted_at, started_at, finished_at, self._scorer.fitted))
            except BaseException as error:  # raised again by the polling thread, which stops the worker
                self._scored.put(error)
