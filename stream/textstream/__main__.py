"""The console script, and `python -m textstream`."""

import os
import signal
import sys
import threading


def main() -> int:
    """Run the command line; Ctrl-C while it is still being imported ends the process without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from textstream.model.cpus import limit_threads

    limit_threads(os.environ)
    from textstream import cli

    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = cli.main()
    if any(thread.daemon for thread in threading.enumerate()):
        # A model pass that does not end: under it, onnxruntime's destructors would abort the process at the interpreter's end,
        # and the supervisor would see a crash (134) in place of our status. Nobody else has anything left to say.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
