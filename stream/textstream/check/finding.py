"""One line of `textstream check`."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from textstream.errors import Misconfigured, TextstreamError

NOW, LATER = Misconfigured.exit_status, 0
"""Exit status of what keeps a worker from starting, and of what only may do harm one day."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what is to be done; an error's finding says that itself.

    `exit_status` is what a worker that starts now would end with, 0 where it would run.
    """

    name: str
    finding: str
    to_do: str = ""
    exit_status: int = 0

    @property
    def verdict(self) -> str:
        """`ok`, `hint` where a worker runs but something is to be done, or `FAIL`."""
        if self.exit_status:
            return "FAIL"
        return "hint" if self.to_do else "ok"

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {"ok": self.exit_status == 0, **asdict(self)}


def tried(name: str, look: Callable[[], str]) -> Check:
    """What was found, or the error that came of looking."""
    try:
        return Check(name, look())
    except TextstreamError as error:
        return Check(name, str(error), exit_status=error.exit_status)
