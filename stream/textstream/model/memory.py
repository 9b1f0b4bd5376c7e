"""Memory that loading a model took and freed, given back to the system."""

import ctypes


def give_back() -> None:
    """Have the C library return what is free. glibc keeps it else: 35 of the 140 MB that a process with swift's graph holds."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # musl, macOS and Windows have no such call
        return
