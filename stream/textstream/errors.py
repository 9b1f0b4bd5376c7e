"""Every error textstream raises, classed by who must act.

    TextstreamError
    ├── Poison         the sender: this one record becomes a dead letter, the stream goes on
    ├── Transient      nobody yet: wait and retry; at start up to `startup_timeout_s`, then exit 75
    ├── OutOfMemory    nobody: what was too much at once is scored again in halves
    ├── Misconfigured  the operator: exit 78, the message says what to change
    └── Fatal          the supervisor: exit 70, a restart is the cure

Anything else that escapes is our bug: the worker stops loudly and commits nothing past it.
The exit statuses are those of BSD's sysexits.h: EX_SOFTWARE 70, EX_TEMPFAIL 75, EX_CONFIG 78.
"""


class TextstreamError(Exception):
    """Base of the tree; its message is one line that says what to change."""

    exit_status: int = 70


class Poison(TextstreamError):
    """One record cannot be enriched, and never will be: the sender must mend it.

    `reason` is the stable code published as `textstream.reason`; `stage` names the step that refused the record;
    `attempts` counts how often that step was tried.
    """

    def __init__(self, reason: str, stage: str, message: str, *, attempts: int = 1) -> None:
        super().__init__(message)
        self.reason = reason
        self.stage = stage
        self.attempts = attempts


class Transient(TextstreamError):
    """The world is not ready (broker down, leader moving): worth retrying as it is."""

    exit_status = 75


class OutOfMemory(TextstreamError, MemoryError):
    """A model pass did not get the memory it asked for. Fewer texts at once may; never leaves `core.process`."""


class Misconfigured(TextstreamError):
    """A setting, a topic, a permission or a model bundle is wrong: the operator must change it."""

    exit_status = 78


class Fatal(TextstreamError):
    """This process cannot go on (a fenced producer, a stuck scorer), a new one can."""

    exit_status = 70
