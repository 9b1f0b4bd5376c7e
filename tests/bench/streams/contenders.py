"""Who is measured: a name, the program that is run, and what it is expected to write."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.bench.streams.environments import PINS, ROOT, Unavailable, python_of

PROGRAMS = PINS.parent / "programs"
Kind = Literal["limit", "raw", "peer", "scorer", "ours"]
Writes = Literal["bytes", "noop", "scored", "nothing"]


@dataclass(frozen=True, slots=True)
class Job:
    """Where a contender reads and writes, and the file with messages for one that does neither."""

    brokers: str
    input: str
    output: str
    group: str
    messages: Path
    linger_ms: int = 5


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of the results. `pins` name the environment's requirement files; without any it is this one."""

    name: str
    kind: Kind
    program: str
    pins: tuple[str, ...] = ()
    scorer: str = "noop"
    exactly_once: bool = False
    workers: int = 1
    bundle: str = ""
    cascade: str = ""
    once: bool = False  # measured in the first round alone: far from every bound

    @property
    def guarantee(self) -> str:
        """As it is run here."""
        if self.program in COMMITS_NOTHING:
            return "none"
        return "exactly once" if self.exactly_once else "at least once"

    @property
    def writes(self) -> Writes:
        """What its output has to be."""
        if self.kind == "limit":
            return "bytes"
        if self.program == "alone.py":
            return "nothing"
        return "noop" if self.scorer == "noop" else "scored"

    def python(self) -> Path:
        """Its interpreter; made where it is missing. Raises `Unavailable`."""
        return python_of(*self.pins) if self.pins else Path(sys.executable)

    def command(self, job: Job) -> list[str]:
        """What is started. Raises `Unavailable`."""
        return PROGRAMS_BY_NAME.get(self.program, _python_program)(self, job)

    def environment(self, job: Job) -> dict[str, str]:
        """What it is told."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TEXTSTREAM_", "STREAM_"))}
        told = {
            "STREAM_BROKERS": job.brokers, "STREAM_INPUT": job.input, "STREAM_OUTPUT": job.output, "STREAM_GROUP": job.group,
            "STREAM_LINGER_MS": str(job.linger_ms), "STREAM_SCORER": self.scorer,
            "STREAM_GUARANTEE": "exactly_once" if self.exactly_once else "at_least_once",
            "PYTHONPATH": os.pathsep.join([str(PROGRAMS), *([str(ROOT / "stream")] if self.scorer == "swift" else [])]),
            "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
        }  # fmt: skip
        return clean | told | (self._settings(job) if self.kind == "ours" else {})

    def _settings(self, job: Job) -> dict[str, str]:
        """Every setting is the default, but for names and the guarantee."""
        named = {
            "KAFKA_BOOTSTRAP_SERVERS": job.brokers, "KAFKA_GROUP_ID": job.group, "INPUT_TOPICS": job.input,
            "OUTPUT_TOPIC": job.output, "OUTPUT_DEAD_TOPIC": f"{job.output}.dead", "OBSERVE_HTTP_PORT": "0",
            "OBSERVE_LOG_LEVEL": "warning", "DELIVERY_GUARANTEE": "exactly_once" if self.exactly_once else "at_least_once",
            "MODEL_DEVICE": "cpu",
        }  # fmt: skip
        if self.bundle:
            named["MODEL_BUNDLE"] = self.bundle
        if self.cascade:
            named["MODEL_CASCADE"] = self.cascade
        return {f"TEXTSTREAM_{name}": value for name, value in named.items()}


def _python_program(contender: Contender, job: Job) -> list[str]:
    return [str(contender.python()), str(PROGRAMS / contender.program)]


def _kcat(contender: Contender, job: Job) -> list[str]:
    kcat = shutil.which("kcat")
    if kcat is None:
        raise Unavailable("kcat is not installed: apt-get install kcat")
    read = [kcat, "-q", "-b", job.brokers, "-C", "-t", job.input, "-o", "beginning", "-e"]
    buffer = f"linger.ms={job.linger_ms},queue.buffering.max.messages=1000000"
    write = [kcat, "-q", "-b", job.brokers, "-P", "-t", job.output, "-X", buffer]
    return ["sh", "-c", f"{shlex.join(read)} | {shlex.join(write)}"]


def _raw(contender: Contender, job: Job) -> list[str]:
    arguments = [job.brokers, job.input, job.output, job.group, str(job.linger_ms)]
    return [str(contender.python()), "-m", "textstream.bench.raw", *arguments]


def _bytewax(contender: Contender, job: Job) -> list[str]:
    return [str(contender.python()), "-m", "bytewax.run", "bytewax_flow:flow"]


def _faust(contender: Contender, job: Job) -> list[str]:
    return [*_python_program(contender, job), "worker", "--without-web"]


def _alone(contender: Contender, job: Job) -> list[str]:
    return [*_python_program(contender, job), str(job.messages)]


def _worker(contender: Contender, job: Job) -> list[str]:
    run = ["textstream.bench.worker"] if contender.scorer == "noop" else ["textstream", "run"]
    return [str(contender.python()), "-m", *run]


PROGRAMS_BY_NAME: Mapping[str, Callable[[Contender, Job], list[str]]] = {
    "kcat": _kcat, "raw": _raw, "bytewax_flow.py": _bytewax, "faust_app.py": _faust, "alone.py": _alone, "textstream": _worker,
}  # fmt: skip

COMMITS_NOTHING = {"kcat", "alone.py", "bytewax_flow.py"}

DEEP = str(ROOT / "export" / "bundles" / "deep")
SCORERS, MINILM = "scorers", "minilm"
ALL = (
    Contender("kcat", "limit", "kcat", once=True),
    Contender("raw", "raw", "raw"),
    Contender("bytewax", "peer", "bytewax_flow.py", ("bytewax", SCORERS)),
    Contender("quix", "peer", "quix_app.py", ("quix", SCORERS)),
    Contender("quix-exactly-once", "peer", "quix_app.py", ("quix", SCORERS), exactly_once=True),
    Contender("arroyo", "peer", "arroyo_app.py", ("arroyo", SCORERS)),
    Contender("faust", "peer", "faust_app.py", ("faust", SCORERS)),
    Contender("bytewax-swift", "scorer", "bytewax_flow.py", ("bytewax", SCORERS), scorer="swift", once=True),
    Contender("quix-swift", "scorer", "quix_app.py", ("quix", SCORERS), scorer="swift", once=True),
    Contender("vader-yake-alone", "scorer", "alone.py", (SCORERS,), scorer="vader-yake", once=True),
    Contender("bytewax-vader-yake", "scorer", "bytewax_flow.py", ("bytewax", SCORERS), scorer="vader-yake", once=True),
    Contender("minilm-alone", "scorer", "alone.py", (SCORERS, MINILM), scorer="minilm", once=True),
    Contender("bytewax-minilm", "scorer", "bytewax_flow.py", ("bytewax", SCORERS, MINILM), scorer="minilm", once=True),
    Contender("noop", "ours", "textstream"),
    Contender("noop-exactly-once", "ours", "textstream", exactly_once=True),
    Contender("noop-2", "ours", "textstream", workers=2),
    Contender("swift", "ours", "textstream", scorer="swift"),
    Contender("swift-exactly-once", "ours", "textstream", scorer="swift", exactly_once=True),
    Contender("swift-2", "ours", "textstream", scorer="swift", workers=2),
    Contender("deep", "ours", "textstream", scorer="deep", bundle=DEEP, once=True),
    Contender("deep-exactly-once", "ours", "textstream", scorer="deep", bundle=DEEP, exactly_once=True, once=True),
    Contender("deep-2", "ours", "textstream", scorer="deep", bundle=DEEP, workers=2, once=True),
    Contender("cascade", "ours", "textstream", scorer="cascade", cascade=DEEP, once=True),
    Contender("cascade-exactly-once", "ours", "textstream", scorer="cascade", cascade=DEEP, exactly_once=True, once=True),
    Contender("cascade-2", "ours", "textstream", scorer="cascade", cascade=DEEP, workers=2, once=True),
)
BY_NAME = {one.name: one for one in ALL}
