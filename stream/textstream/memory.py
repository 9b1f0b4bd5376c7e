"""The memory of a process that works through messages, set once its model is loaded."""

import ctypes
import gc

THRESHOLD = 70_000
"""Objects made, less those freed, between two runs of the cycle collector: some batches in flight."""


def settle() -> None:
    """Look at what lives now never again, and give back what loading took and freed.

    A process makes a million short-lived records a minute, none of them in cycles: the collector, run every 700 objects over
    all that the model holds, took a fifth of the time of a message (`textstream bench`, with and without).
    """
    gc.collect()
    give_back()
    gc.freeze()
    gc.set_threshold(THRESHOLD)


def give_back() -> None:
    """Have the C library return what is free. glibc keeps it else: 35 of the 140 MB that a process with swift's graph holds."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # musl, macOS and Windows have no such call
        return
