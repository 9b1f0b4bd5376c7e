"""The machine's time, for `core.ports.Clock`."""

import time


class SystemClock:
    """Monotonic for durations, the wall's for timestamps."""

    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    @staticmethod
    def wall_ms() -> int:
        """Milliseconds since 1970."""
        return int(time.time() * 1000)
