"""The commands, and the only place that wires things together.

Exit statuses: 0 done · 2 wrong usage · 65 some lines could not be scored, or some dead letters not be replayed ·
70, 75, 78 as in `textstream.errors`.
"""

import argparse
import io
import math
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from textstream import native
from textstream.bench.run import QUICK, ROUNDS, Length, run_bench
from textstream.check.finding import Check
from textstream.check.run import run_checks
from textstream.core.process import PROBE
from textstream.core.record import Outcome, Record
from textstream.core.replay import DeadLetter, read_dead_letter
from textstream.deadlines import measured
from textstream.demo import run_demo
from textstream.dlq.choice import parse_choice
from textstream.dlq.inspect import Counts, as_json, as_text
from textstream.dlq.letters import Letters
from textstream.dlq.replay import Plan, Replay
from textstream.docs import commented_toml
from textstream.errors import Misconfigured, TextstreamError
from textstream.event import LABELS
from textstream.extent import between
from textstream.kafka.client import try_properties
from textstream.kafka.topics import TopicAdmin, named
from textstream.layers import DEFAULT_CONFIG, Layers, config_path, load_settings, validate
from textstream.memory import settle
from textstream.model.cascade import Cascade, load
from textstream.model.explain import explain
from textstream.model.remembering import Remembering
from textstream.model.scorer import Scorer
from textstream.observe import logs
from textstream.observe.health import Health
from textstream.observe.http import LOOPBACK, HttpServer, Tls
from textstream.observe.live import Live
from textstream.observe.metrics import Metrics
from textstream.observe.terminal import pretty, printable_json, reasons, visible
from textstream.score import Line, guess_format, line_codec, lines, printed, score_lines
from textstream.settings import Declared, Observe, Settings, declared, is_secret
from textstream.tail import UNSCORED, Tail, Wanted, all_outputs, outputs, pattern, read_event
from textstream.worker import Worker

if TYPE_CHECKING:
    from textstream.observe.tracing import Tracing

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EX_DATAERR = 65
"""sysexits.h: the input data was wrong."""
LINE_ENDS = re.compile(rb"[\r\n]")


def main(argv: list[str] | None = None) -> int:
    """Run one command; whatever the operator can mend comes out as one line and an exit status."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except TextstreamError as error:
        print(f"textstream: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output has gone: `textstream score … | head`
        _discard_output()
        return 128 + signal.SIGPIPE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="textstream", description="Sentiment and key terms for text in Kafka.")
    parser.add_argument("--version", action="version", version=f"textstream {version('textstream')} ({native.way()})")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    for add in (_add_demo_init_run, _add_score, _add_check_topics, _add_tail, _add_dlq, _add_config_bench):
        add(commands)
    return parser


def _add_demo_init_run(commands: Commands) -> None:
    """What a first look and a worker need."""
    demo = _command(commands, "demo", _demo, "watch messages being enriched, on an embedded broker")
    demo.add_argument("input", nargs="?", type=Path, metavar="FILE", help="your messages: JSON lines or plain text")
    demo.add_argument("--rate", type=float, default=40, help="messages a second (default: 40)")
    demo.add_argument("--for", dest="seconds", type=float, default=20, help="seconds (default: 20)")

    init = _command(commands, "init", _init, "write a commented textstream.toml")
    init.add_argument("path", nargs="?", type=Path, default=DEFAULT_CONFIG, metavar="FILE")

    run = _command(commands, "run", _run, "read, score and publish until stopped; with --from or --until, a backfill that ends")
    run.add_argument("--from", dest="begin", metavar="TIME", help="a backfill: from this time (ISO 8601, UTC), or earliest")
    run.add_argument("--until", metavar="TIME", help="a backfill: before this time, or end: what is the end at its start")
    _with_settings(run)


def _add_score(commands: Commands) -> None:
    """Scoring without a Kafka."""
    score = _command(commands, "score", _score, "enriched events for lines of text or JSON, without Kafka")
    score.add_argument("file", nargs="?", default="-", metavar="FILE", help="- (default) is standard input")
    score.add_argument("--model", default="swift", metavar="PATH", help="bundle (default: swift)")
    score.add_argument("--cascade", metavar="PATH", help="better bundle, for what the first is unsure of")
    score.add_argument("--cascade-margin", metavar="…", help="how unsure it must be of that, as model.cascade_margin")
    score.add_argument(
        "--format", choices=["auto", "json", "text"], default="auto", help="of the lines (default: by the first)"
    )
    score.add_argument("--pointer", help="the lines are JSON, with the text there (default: /text)")
    score.add_argument("--explain", action="store_true", help="on standard error, which words moved each score")
    score.add_argument("--json", action="store_true", help="JSON lines also on a terminal")


def _add_check_topics(commands: Commands) -> None:
    """What is done before a worker starts."""
    check = _command(commands, "check", _check, "look at everything a worker needs; no running worker notices it")
    check.add_argument("--json", action="store_true", help="JSON lines: name, ok, finding, to_do, exit_status")
    _with_settings(check)

    topics = commands.add_parser("topics", help="create the topics").add_subparsers(required=True, metavar="COMMAND")
    create = _command(topics, "create", _create_topics, "create the input, output and replay topics that are missing")
    create.add_argument("--partitions", type=int, default=4, help="of an input topic that is missing (default: 4)")
    create.add_argument("--replication-factor", type=int, default=-1, help="default: the broker's")
    _with_settings(create)


def _add_tail(commands: Commands) -> None:
    """Looking at events."""
    tail = _command(commands, "tail", _tail, "enriched events as they come, until Ctrl-C; commits nothing")
    tail.add_argument("topic", nargs="?", metavar="TOPIC", help="an input or an output (default: outputs of input.topics)")
    tail.add_argument("--from", dest="begin", default="latest", metavar="TIME", help="ISO 8601, earliest, or latest (default)")
    tail.add_argument("--label", action="append", default=[], choices=[*LABELS, UNSCORED], help="may be repeated")
    tail.add_argument("--language", action="append", default=[], metavar="CODE", help="such as zh; may be repeated")
    tail.add_argument("--term", metavar="PATTERN", help="of key terms: a regular expression or text, in any case")
    tail.add_argument("--dead", action="store_true", help="dead letters instead")
    tail.add_argument("--limit", type=int, metavar="N", help="end after so many")
    tail.add_argument("--json", action="store_true", help="JSON lines also on a terminal")
    _with_settings(tail)


def _add_dlq(commands: Commands) -> None:
    """Looking at dead letters, and sending them again."""
    dlq = commands.add_parser("dlq", help="dead letters: count, show, replay").add_subparsers(required=True, metavar="COMMAND")
    inspect = _command(dlq, "inspect", _inspect, "count dead letters by reason, and show them; commits nothing")
    inspect.add_argument("--by-partition", action="store_true", help="count each partition apart")
    inspect.add_argument("--show", type=int, default=0, metavar="N", help="the first N of them too")
    inspect.add_argument("--json", action="store_true", help="JSON lines")
    replay = _command(
        dlq,
        "replay",
        _replay,
        "send the originals to the replay topics, where workers read them; at least once",
    )
    replay.add_argument("--to-source", action="store_true", help="to the input topic instead: new messages for all who read it")
    replay.add_argument(
        "--max-replays", type=int, default=3, metavar="N", help="leave out what was replayed so often (default: 3)"
    )
    replay.add_argument("--rate", type=float, metavar="N", help="messages a second (default: as many as the broker takes)")
    replay.add_argument("--dry-run", action="store_true", help="say what would be sent")
    for command in (inspect, replay):
        _with_choice(command)
        _with_settings(command)


def _add_config_bench(commands: Commands) -> None:
    """What is asked of a machine and its settings."""
    config = commands.add_parser("config", help="show the settings").add_subparsers(required=True, metavar="COMMAND")
    _with_settings(_command(config, "show", _show_config, "each setting's value and where it came from"))

    bench = _command(commands, "bench", _bench, "messages a second, latency and memory on this machine")
    bench.add_argument("--data", type=Path, metavar="FILE", help="JSON lines with a text field (default: the bundled sample)")
    length = bench.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=5, help="of each measurement (default: 5)")
    length.add_argument("--quick", action="store_true", help="short measurements: all within 50 s")
    bench.add_argument("--json", action="store_true", help="one JSON object")
    _with_settings(bench)


def _command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help_: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_, description=help_, allow_abbrev=False)
    parser.set_defaults(command=run)
    return parser


def _with_choice(parser: argparse.ArgumentParser) -> None:
    """Which dead letters."""
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="dead-letter topics (default: those of input.topics)")
    group = parser.add_argument_group("which dead letters", "all of these must hold; each but the times may be repeated")
    group.add_argument("--reason", action="append", default=[], help="such as not_json; several separated by commas")
    group.add_argument("--from", dest="from_time", metavar="TIME", help="ISO 8601, in UTC unless it says otherwise")
    group.add_argument("--until", dest="until_time", metavar="TIME", help="before this time")
    group.add_argument("--partition", action="append", default=[], metavar="N", help="of the dead-letter topic, likewise")
    group.add_argument(
        "--offset",
        action="append",
        default=[],
        metavar="[[TOPIC/]PARTITION=]FIRST:LAST",
        help="of the dead-letter topic, from FIRST to before LAST; either may be left out",
    )


def _with_settings(parser: argparse.ArgumentParser) -> None:
    """One flag for each declared setting."""
    parser.add_argument("--config", metavar="FILE", help="settings file (default: textstream.toml where there is one)")
    group = parser.add_argument_group("settings", "see SETTINGS.md; dictionaries are JSON")
    for setting in declared():
        meaning = (setting.field.description or "").replace("%", "%%")
        group.add_argument(f"--{setting.path}", dest=setting.path, metavar="…", default=argparse.SUPPRESS, help=meaning)


def _layers(arguments: argparse.Namespace) -> Layers:
    given = vars(arguments)
    flags = {setting.path: _flag_value(setting, given[setting.path]) for setting in declared() if setting.path in given}
    return Layers(config_path(os.environ, arguments.config), os.environ, flags)


def _flag_value(setting: Declared, value: str) -> object:
    """Dictionaries come as JSON; everything else is parsed by its declaration."""
    if not isinstance(setting.field.default, dict):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Misconfigured(f"--{setting.path} is not JSON: {error}") from None


def _settings(arguments: argparse.Namespace) -> Settings:
    return validate(_layers(arguments))


def _load_scorer(bundle: str, **options: Any) -> Scorer | Cascade:
    """A scorer that stays."""
    scorer = load(bundle, **options)
    settle()
    return scorer


def _demo(arguments: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return run_demo(input_file=arguments.input, rate=arguments.rate, seconds=arguments.seconds, stop=stop)


def _init(arguments: argparse.Namespace) -> int:
    try:
        with arguments.path.open("x", encoding="utf-8") as file:
            file.write(commented_toml())
    except FileExistsError:
        raise Misconfigured(f"{arguments.path} exists already: name another file, or remove it") from None
    except OSError as error:
        raise Misconfigured(f"{arguments.path} cannot be written: {error.strerror}") from None
    print(f"wrote {arguments.path}; set kafka.bootstrap_servers and input.topics in it, then run `textstream check`")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    part = between(arguments.begin, arguments.until) if arguments.begin or arguments.until else None
    metrics = Metrics()
    logs.configure(
        settings.observe.log_format,
        settings.observe.log_level,
        lines_per_minute=settings.observe.log_lines_per_minute,
        suppressed=lambda event: metrics.log_lines_suppressed.labels(event).inc(),
    )
    # The quick mistakes first, before the model is loaded.
    named(settings.input, settings.output)
    try_properties(settings.kafka)
    health = Health(stall_after_s=settings.observe.stall_after_s, clock=time.monotonic)
    tracing = _tracing(settings)
    live = Live(time.time(), show_text=settings.privacy.show_text)
    server = _serving(settings.observe, metrics, health, live)
    try:
        scorer = _load_scorer(**settings.model.loading())
        deadlines = measured(settings, scorer)
        logs.get_logger("cli").info("deadlines", found=str(deadlines))
        deadlines.prove()
        if part is not None:
            group = part.group(settings.kafka.group_id, scorer.info["digest"])
            settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"group_id": group})})
        worker = Worker(settings, _remembering(scorer, settings), metrics, health, between=part, live=live, tracing=tracing)
        _stop_on_signals(worker.stop)
        worker.run()
    finally:
        server.close()
        if tracing is not None:
            tracing.close()
    return 0


def _remembering(scorer: Scorer | Cascade, settings: Settings) -> Scorer | Cascade | Remembering:
    """What a worker scores with; the text that tells whether the model works is scored each time."""
    most = settings.model.remember_texts
    return Remembering(scorer, most, frozenset({PROBE})) if most else scorer


def _serving(observe: Observe, metrics: Metrics, health: Health, live: Live) -> HttpServer:
    """The HTTP port, open from before the model is loaded: whoever waits for the worker sees that it starts."""
    tls = Tls(observe.http_certificate, observe.http_key, observe.http_client_ca)
    server = HttpServer(observe.http_host, observe.http_port, metrics.registry, health, live, tls)
    log = logs.get_logger("cli")
    log.info("serving", http=f"{observe.http_host}:{server.port}", scoring=native.way())
    if live.show_text and observe.http_host not in LOOPBACK:
        why = "whoever reaches the port reads messages: privacy.show_text = false shows counts alone"
        log.warning("texts_on_the_page", why=why)
    return server


def _tracing(settings: Settings) -> "Tracing | None":
    """None where it is off; then nothing of OpenTelemetry is imported."""
    if settings.observe.tracing == "off":
        return None
    try:
        from textstream.observe.tracing import otlp
    except ImportError as error:
        raise Misconfigured(
            f"observe.tracing = otlp, and there is no {error.name}: pip install 'textstream[otel]', or set it to off"
        ) from None
    return otlp(settings.kafka.group_id, os.environ)


def _stop_on_signals(ask_to_stop: Callable[[], None]) -> None:
    """The first signal drains; the second, whose default action is restored, ends the process at once."""

    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        ask_to_stop()

    for number in numbers:
        signal.signal(number, stop)


def _score(arguments: argparse.Namespace) -> int:
    if arguments.cascade_margin is not None and arguments.cascade is None:
        raise Misconfigured("--cascade-margin does nothing without --cascade: name the better bundle there, or leave it out")
    given = {
        "input.pointer": arguments.pointer,
        "model.bundle": arguments.model,
        "model.cascade": arguments.cascade,
        "model.cascade_margin": arguments.cascade_margin,
    }
    settings = load_settings(environ={}, flags={name: value for name, value in given.items() if value is not None})
    scorer = _load_scorer(**settings.model.loading())
    with _opened(arguments.file) as stream:
        batches = lines(stream)
        first = next(batches, [])
        line_format = arguments.format
        if line_format == "auto":
            line_format = "json" if arguments.pointer is not None else guess_format(line.value for line in first)
        topic = "stdin" if arguments.file == "-" else os.fsencode(Path(arguments.file).name).decode(errors="replace")
        codec = line_codec(scorer, topic, line_format, settings.input.pointer)
        outcomes = score_lines(_chain(first, batches), scorer, codec, topic, lambda: int(time.time() * 1000))
        return _print_outcomes(
            outcomes, _writer(arguments.json), partial(_reasons, scorer) if arguments.explain else lambda _: None
        )


def _print_outcomes(
    batches: Iterable[list[Outcome]], write: Callable[[bytes], object], explained: Callable[[Outcome], RenderableType | None]
) -> int:
    """Print them as they come, and on standard error what explains them; returns the exit status."""
    beside = Console(stderr=True)
    failed = 0
    try:
        for batch in batches:
            for outcome in batch:
                failed += outcome.kind != "enriched"
                write(printed(outcome))
                if (note := explained(outcome)) is not None:
                    sys.stdout.flush()  # where both go to one terminal, in their order
                    beside.print(note)
            sys.stdout.flush()  # whoever feeds us line by line waits for this answer
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise Misconfigured(f"the input cannot be read or the output not be written: {error.strerror}") from None
    return EX_DATAERR if failed else 0


def _reasons(scorer: Scorer | Cascade, outcome: Outcome) -> RenderableType | None:
    """Which words moved the score of an event, by the model that scored it; None where none did."""
    event = orjson.loads(outcome.value) if outcome.kind == "enriched" and outcome.value else None
    if event is None or event["sentiment"] is None:
        return None
    return reasons(event, explain(scorer.that_scored(event) if isinstance(scorer, Cascade) else scorer, event))


def _discard_output() -> None:
    """What is still buffered goes nowhere; else the interpreter fails on it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _opened(name: str) -> io.BufferedReader:
    """The file, or standard input without its text layer."""
    try:
        return open(0 if name == "-" else name, "rb", closefd=name != "-")
    except OSError as error:
        raise Misconfigured(f"{name} cannot be read: {error.strerror}") from None


def _chain(first: list[Line], rest: Iterable[list[Line]]) -> Iterator[list[Line]]:
    yield first
    yield from rest


def _write_line(line: bytes) -> object:
    return sys.stdout.buffer.write(line + b"\n")


def _write_json(line: bytes) -> object:
    """One line; on a terminal nothing in it steers that."""
    return _write_line(printable_json(line) if sys.stdout.isatty() else line)


def _writer(as_json: bool) -> Callable[[bytes], object]:
    """JSON lines, or coloured events on a terminal."""
    if as_json or not sys.stdout.isatty():
        return _write_json
    console = Console()

    def write_pretty(line: bytes) -> None:
        event = orjson.loads(line)
        failed = "error" in event
        console.print(Text.assemble(("not scored ", "bold"), visible(event["error"]["message"])) if failed else pretty(event))

    return write_pretty


def _tail(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    logs.configure(settings.observe.log_format, settings.observe.log_level)
    if arguments.limit is not None and arguments.limit < 1:
        raise Misconfigured(f"--limit {arguments.limit}: give a number of events, 1 or more")
    if arguments.dead and (arguments.label or arguments.language or arguments.term):
        raise Misconfigured("--label, --language and --term are of events: leave them out, or --dead")
    show = _letter_shown(arguments.json) if arguments.dead else _event_shown(arguments)
    existing = TopicAdmin(settings.kafka).partitions()
    if arguments.topic is None:
        topics = all_outputs(named(settings.input, settings.output, existing), existing, dead=arguments.dead)
    else:
        topics = outputs(arguments.topic, settings.output.dead_topic if arguments.dead else settings.output.topic, existing)
    stop = threading.Event()
    _stop_on_signals(stop.set)
    with Tail(settings.kafka, topics, existing, arguments.begin) as tail:
        logs.get_logger("cli").info("following", topics=topics, begin=arguments.begin)
        return _follow(tail.read(stop), show, arguments.limit)


def _follow(reading: Iterable[list[Record]], show: Callable[[Record], bool], limit: int | None) -> int:
    """Show what comes, until the limit, a signal, or whoever reads our output has gone; returns the exit status."""
    shown = 0
    output = select.poll()
    output.register(sys.stdout, 0)  # nothing but errors: that the reader of a pipe has gone, before the next event tells it
    for records in reading:
        for record in records:
            shown += show(record)
            if shown == limit:
                return 0
        sys.stdout.flush()
        if output.poll(0):
            raise BrokenPipeError
    return 128 + signal.SIGINT


def _event_shown(arguments: argparse.Namespace) -> Callable[[Record], bool]:
    """Prints an event, where it is one of those that are wanted."""
    term = None if arguments.term is None else pattern(arguments.term)
    wanted = Wanted(frozenset(arguments.label), frozenset(arguments.language), term)
    console = None if arguments.json or not sys.stdout.isatty() else Console()

    def show(record: Record) -> bool:
        if record.value is None:  # a tombstone
            return False
        try:
            event = read_event(record.value)
        except ValueError as error:
            print(f"{record.position.id} is no enriched event: {visible(str(error))}", file=sys.stderr)
            return False
        if not wanted.takes(event):
            return False
        if console is None:
            _write_json(LINE_ENDS.sub(b" ", record.value))  # ours have none, and in anybody's JSON they stand between tokens
        else:
            console.print(pretty(event))
        return True

    return show


def _letter_shown(as_json_lines: bool) -> Callable[[Record], bool]:
    """Prints a dead letter."""
    as_lines = as_json_lines or not sys.stdout.isatty()

    def show(record: Record) -> bool:
        _write_letter(read_dead_letter(record), as_lines)
        return True

    return show


def _write_letter(letter: DeadLetter, as_json_line: bool) -> None:
    if as_json_line:
        _write_json(as_json(letter))
    else:
        _write_line(as_text(letter).encode())


VERDICT_STYLES = {"ok": "green", "hint": "yellow", "FAIL": "bold red"}


def _check(arguments: argparse.Namespace) -> int:
    """Print each check as it is done; returns the worst exit status, for CI."""
    write = _write_check_json if arguments.json else partial(_write_check, Console())
    worst = 0
    for check in run_checks(_settings(arguments)):
        write(check)
        worst = max(worst, check.exit_status)
    return worst


def _write_check(console: Console, check: Check) -> None:
    """As text and not as rich's markup: what brokers say, and a pattern's [a-z], is neither style nor command."""
    verdict = (f"{check.verdict:4} ", VERDICT_STYLES[check.verdict])
    to_do = f" → {check.to_do}" if check.to_do else ""
    console.print(Text.assemble(verdict, (f"{check.name:12} ", "bold"), visible(check.finding + to_do)), soft_wrap=True)


def _write_check_json(check: Check) -> None:
    _write_json(orjson.dumps(check.as_dict()))
    sys.stdout.flush()


def _create_topics(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    admin = TopicAdmin(settings.kafka)
    done = admin.create(
        named(settings.input, settings.output, admin.partitions()),
        partitions=arguments.partitions,
        replication_factor=arguments.replication_factor,
    )
    for name, what in done.items():
        print(f"{name}: {what}")
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    stop, _, letters = _dead_letters(arguments)
    counts = Counts(by_partition=arguments.by_partition)
    with letters:
        for number, letter in enumerate(letters.read(stop)):
            counts.add(letter)
            if number < arguments.show:
                _write_letter(letter, arguments.json)
    if arguments.json:
        for line in counts.as_json():
            _write_json(line)
    else:
        _print_counts(counts, by_partition=arguments.by_partition)
    return 128 + signal.SIGINT if stop.is_set() else 0


def _print_counts(counts: Counts, *, by_partition: bool) -> None:
    table = Table("topic", *(["partition"] if by_partition else []), "reason", "dead letters", box=None, pad_edge=False)
    for topic, partition, reason, count in counts.rows():
        table.add_row(topic, *([str(partition)] if by_partition else []), reason, str(count))
    Console(width=None if sys.stdout.isatty() else 200).print(table if counts.total else "no dead letters")


def _replay(arguments: argparse.Namespace) -> int:
    if arguments.rate is not None and not 0 < arguments.rate < math.inf:
        raise Misconfigured(f"--rate {arguments.rate:g} is no rate: it is messages a second, above 0")
    plan = Plan(arguments.to_source, arguments.max_replays, arguments.rate, arguments.dry_run)
    stop, settings, letters = _dead_letters(arguments)
    with letters:
        topics = named(settings.input, settings.output, letters.partitions)
        report = Replay(settings.kafka, topics, letters.partitions, plan).run(letters, stop)
    print(report.as_text(dry_run=plan.dry_run), flush=True)
    if report.error is not None:
        raise report.error
    if stop.is_set():
        return 128 + signal.SIGINT
    return 0 if report.complete else EX_DATAERR


def _dead_letters(arguments: argparse.Namespace) -> tuple[threading.Event, Settings, Letters]:
    """The dead letters that were asked for, with what stops the reading of them: the first signal, in order."""
    settings = _settings(arguments)
    logs.configure(settings.observe.log_format, settings.observe.log_level)
    choice = parse_choice(
        reasons=arguments.reason,
        from_time=arguments.from_time,
        until_time=arguments.until_time,
        partitions=arguments.partition,
        offsets=arguments.offset,
    )
    existing = TopicAdmin(settings.kafka).partitions()
    topics = arguments.topics or [one.dead for one in named(settings.input, settings.output, existing)]
    letters = Letters(settings.kafka, list(dict.fromkeys(topics)), existing, choice)
    stop = threading.Event()
    _stop_on_signals(stop.set)
    return stop, settings, letters


def _show_config(arguments: argparse.Namespace) -> int:
    layers = _layers(arguments)
    settings = validate(layers)
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for setting in declared():
        value = getattr(getattr(settings, setting.section), setting.name)
        table.add_row(
            setting.path, Text(_shown(value)), Text(layers.origin(setting.section, setting.name))
        )  # [a-z] is no markup
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


def _shown(value: object) -> str:
    """A value for a reader; secrets are never printed."""
    if isinstance(value, dict):
        value = {name: "***" if is_secret(name) else v for name, v in value.items()}
    return "unset" if value is None else orjson.dumps(value).decode()


def _bench(arguments: argparse.Namespace) -> int:
    logs.configure("console", "warning")
    layers = _layers(arguments)
    settings = validate(layers)
    brokers_named = layers.origin("kafka", "bootstrap_servers") != "default"
    bootstrap = settings.kafka.bootstrap_servers if brokers_named else None
    report = run_bench(
        settings,
        _load_scorer(**settings.model.loading()),
        data=arguments.data,
        length=QUICK if arguments.quick else Length(arguments.seconds, ROUNDS),
        bootstrap=bootstrap,
    )
    print(orjson.dumps(report.as_dict()).decode() if arguments.json else report.as_text())
    return 0
