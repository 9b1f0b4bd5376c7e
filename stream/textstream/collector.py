"""Python's cycle collector, set for a process that works through messages."""

import gc

THRESHOLD = 70_000
"""Objects made, less those freed, between two runs of the collector: some batches in flight."""


def settle() -> None:
    """Once the model is loaded, in a process that makes a million short-lived records a minute, none of them in cycles.

    So what lives now is never looked at again, and the collector runs a hundred times less often than every 700 objects:
    together that was a fifth of the time of a message (`textstream bench`, with and without).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD)
