"""A scorer without a stream: texts of a file in a loop, one a call, encoded; prints how many are done."""

import itertools
import sys
import time
from pathlib import Path

import orjson
from job import SCORER, chosen, enriched

SAY_S = 0.1

if __name__ == "__main__":
    analyse = chosen()
    messages = [orjson.loads(line) for line in Path(sys.argv[1]).read_bytes().splitlines()]
    said_at = time.monotonic()
    for done, message in enumerate(itertools.cycle(messages)):
        orjson.dumps(enriched(analyse, message, SCORER, 0, done, 1_700_000_000_000)[0])
        if time.monotonic() - said_at >= SAY_S or done == 0:
            print(done + 1, flush=True)
            said_at = time.monotonic()
