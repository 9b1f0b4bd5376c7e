"""When so much becomes dead letters that the fault is no single record's: a broken producer, a wrong setting.

Outcomes are counted in the order in which they are to be published, before they are. What came before the first one is
taken as good, so the share is always one of a whole window: one bad record of two trips nothing.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GOOD = ""
"""The reason of an outcome that is no dead letter."""


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the breaker is open: `dead` of the last `outcomes` are dead letters, by reason, the one that is held included."""

    dead: int
    outcomes: int
    reasons: Mapping[str, int]

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.reasons.items(), key=lambda r: -r[1]))
        return f"{self.dead:,} of the last {self.outcomes:,} outcomes are dead letters ({reasons})"


class Breaker:
    """Opens when more than `share` of the last `window` outcomes are dead letters, or the last `run` all are; then for good.

    A share of 1 is never exceeded, and a run of 0 is none: so each is switched off.
    """

    def __init__(self, *, share: float, window: int, run: int) -> None:
        self.trip: Trip | None = None
        self._most_dead = share * window
        self._window = window
        self._run = run
        self.forget()

    def forget(self) -> None:
        """Count from the beginning: what was counted was taken back, and will come again."""
        self._recent: deque[str] = deque(maxlen=self._window)  # reasons of the last outcomes
        self._reasons: Counter[str] = Counter()  # of the dead letters among them
        self._dead = 0
        self._in_a_row: Counter[str] = Counter()
        self._running = 0

    def lets_through(self, reasons: Sequence[str]) -> int:
        """Count the next outcomes, each by its reason, once; how many of them, from the first on, may be published."""
        if self.trip is None and not self._dead and not any(reasons):  # nearly always
            self._recent.extend(reasons)
            return len(reasons)
        return next((at for at, reason in enumerate(reasons) if not self._lets_one_through(reason)), len(reasons))

    def _lets_one_through(self, reason: str) -> bool:
        if self.trip is not None:
            return False
        if len(self._recent) == self._window and (oldest := self._recent[0]) != GOOD:
            self._dead -= 1
            self._reasons[oldest] -= 1
            if not self._reasons[oldest]:
                del self._reasons[oldest]
        self._recent.append(reason)
        if reason == GOOD:
            self._running = 0
            self._in_a_row.clear()
            return True
        self._dead += 1
        self._reasons[reason] += 1
        self._running += 1
        self._in_a_row[reason] += 1
        if self._dead > self._most_dead:
            self.trip = Trip(self._dead, len(self._recent), dict(self._reasons))
        elif self._run and self._running >= self._run:
            self.trip = Trip(self._running, self._running, dict(self._in_a_row))
        return self.trip is None
