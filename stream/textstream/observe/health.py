"""What `/livez` and `/readyz` say, from what the worker last reported of itself.

Alive means: the polling thread turns, and no message in our hands waits for the model longer than `stall_after_s`.
An idle partition, an empty assignment or a broker that is away leave nothing in our hands that the model could work on,
so they never fail it: restarting would not help.
"""

from collections.abc import Callable


class Health:
    """Written by the polling thread, read by the HTTP server's; each field is one value, replaced whole."""

    def __init__(self, *, stall_after_s: float, clock: Callable[[], float]) -> None:
        self._stall_after_s = stall_after_s
        self._clock = clock
        self._turned_at: float | None = None
        self._waiting_since: float | None = None
        self._ready = False
        self._held = ""

    def starting(self) -> None:
        """The worker is starting: alive, not ready; waiting for a broker has its own limit."""
        self._ready = False

    def turned(self, waiting_since: float | None) -> None:
        """The polling thread finished a turn; the oldest unscored message has waited since then (None: there is none)."""
        self._turned_at = self._clock()
        self._waiting_since = waiting_since
        self._ready = True

    def held(self, why: str) -> None:
        """The worker reads nothing more until it is restarted; it stays alive, since a restart alone mends nothing."""
        self._held = why

    def stopping(self) -> None:
        """The worker takes no more work."""
        self._ready = False

    def live(self) -> tuple[bool, str]:
        """Whether the process works, and why not."""
        now = self._clock()
        if self._turned_at is None:
            return True, "starting"
        if now - self._turned_at > self._stall_after_s:
            return False, f"the polling thread has not turned for {now - self._turned_at:.0f} s"
        if self._waiting_since is not None and now - self._waiting_since > self._stall_after_s:
            return False, f"a message has waited for the model for {now - self._waiting_since:.0f} s"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Whether the model is warm and the worker reads."""
        if self._held:
            return False, self._held
        return (True, "ok") if self._ready else (False, "not reading yet, or no more")
