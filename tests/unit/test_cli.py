"""The commands, run as a user runs them, without a broker."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.support.worker import clean_environment, textstream
from textstream import Scorer
from textstream.event import json_schema
from textstream.model import bundle as files
from textstream.model.cascade import margin


def score(stdin: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """`textstream score` with this on standard input."""
    command = [sys.executable, "-m", "textstream", "score", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=clean_environment(), timeout=60, check=False)


def test_plain_text_is_scored() -> None:
    """Each line of plain text gives an event that the schema allows, in both languages, and the status is 0."""
    done = score("The room was lovely but the staff were rude\n房间很好，但是服务太差了\n".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["language"]["code"] for event in events] == ["en", "zh"]
    for event in events:
        jsonschema.validate(event, json_schema())
        assert event["key_terms"]


def test_explanations_go_to_standard_error_and_leave_the_events_as_they_are() -> None:
    """The words that moved a score, by how much, beside each scored line; a line that was not scored has none."""
    lines = "The room was lovely\n\nThe staff were rude\n房间很好\n".encode()
    plain, done = score(lines), score(lines, "--explain")
    events, same = ([json.loads(line) for line in each.stdout.splitlines()] for each in (plain, done))
    assert [event["sentiment"] for event in events] == [event["sentiment"] for event in same]
    told = done.stderr.decode()
    assert re.search(r"-\d\.\d\d rude", told) and re.search(r"\+\d\.\d\d lovely", told)
    assert "房间很好" in told
    assert told.count("negative") + told.count("neutral") + told.count("positive") == 3


@pytest.mark.parametrize(("options", "least"), [((), 0.5), (("--cascade-margin", "0.7"), 0.7), (("--cascade-margin", "0"), 0)])
def test_a_cascade_scores_again_what_the_first_is_unsure_of(tmp_path: Path, options: tuple[str, ...], least: float) -> None:
    """The event names the bundle that scored it, by the margin alone; here both are the same network under two names."""
    better = Path(shutil.copytree(files.PACKAGED / "swift", tmp_path / "better"))
    manifest = (better / files.MANIFEST).read_text(encoding="utf-8")
    (better / files.MANIFEST).write_text(manifest.replace("textstream-swift", "textstream-better"), encoding="utf-8")
    lines = "I love it, wonderful\nterrible, the worst ever\nok I guess\nit came monday\n房间很好，但是服务太差了\n太喜欢了\n"
    done = score(lines.encode(), "--cascade", str(better), *options)
    assert (done.returncode, done.stderr) == (0, b"")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["model"]["name"] for event in events]
    assert names == [
        "textstream-better" if margin(event["sentiment"]["probabilities"].values()) < least else "textstream-swift"
        for event in events
    ]
    assert len(set(names)) == (2 if least else 1)
    assert len({event["model"]["digest"] for event in events}) == 1


def test_a_margin_outside_of_its_range_is_refused() -> None:
    """One line names the setting, whose range is the worker's."""
    done = score(b"good\n", "--cascade", "better", "--cascade-margin", "2")
    assert done.returncode == 78
    assert done.stderr.startswith(b"textstream: model.cascade_margin = '2'")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cascade-margin", "0.7"), "--cascade-margin does nothing without --cascade"),
        (("--cascade", ""), "the name of the model bundle is empty"),
        (("--model", ""), "the name of the model bundle is empty"),
    ],
)
def test_a_margin_without_a_cascade_and_an_empty_name_are_refused(options: tuple[str, ...], said: str) -> None:
    """What would be ignored, or be taken for the folder one stands in, is told in one line."""
    done = score(b"good\n", *options)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (78, b"", 1)
    assert done.stderr.decode().startswith(f"textstream: {said}")


def test_a_bad_line_gives_an_error_in_its_place(tmp_path: Path) -> None:
    """With JSON lines a line that cannot be scored gives an error object, and the status is 65 (EX_DATAERR)."""
    file = tmp_path / "in.jsonl"
    file.write_bytes(b'{"body": "good"}\nbroken\n{"body": "also good"}\n\xff\n{}')
    done = textstream("score", str(file), "--pointer", "/body")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    reasons = [line["error"]["reason"] if "error" in line else None for line in lines]
    assert reasons == [None, "not_json", None, "not_utf8", "no_text"]
    assert done.returncode == 65


def test_the_format_can_be_said() -> None:
    """A text that looks like JSON is scored as text when told so."""
    done = score(b'{"text": "x"}\n', "--format", "text")
    assert json.loads(done.stdout)["text"] == '{"text": "x"}'


def test_output_that_cannot_be_written_is_one_line() -> None:
    """A full disk under standard output is told in one line; a reader that has gone is no error to speak of."""
    for command, status, message in (
        ("score > /dev/full", 78, b"No space left on device"),
        ("score | head -c 1 > /dev/null; exit ${PIPESTATUS[0]}", 141, b""),
    ):
        shell = ["bash", "-c", f"yes good | head -20000 | {sys.executable} -m textstream {command}"]
        shell[2] = shell[2].replace("PIPESTATUS[0]", "PIPESTATUS[2]")
        done = subprocess.run(shell, capture_output=True, env=clean_environment(), timeout=60, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (status, bool(message)), done.stderr
        assert message in done.stderr


def test_a_slow_pipe_gets_its_answer_at_once() -> None:
    """A line is answered before the next is written."""
    command = [sys.executable, "-m", "textstream", "score"]
    buffered = clean_environment() | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=buffered) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("first", "second"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "absent.txt"), "absent.txt cannot be read: No such file or directory"),
        (("score", "--model", "absent"), "absent"),
        (("run",), "input.topics names no topic"),
        (("run", "--config", "absent.toml"), "there is no settings file absent.toml"),
        (("run", "--input.topics", "a,b,a"), "input.topics names a twice"),
        (("run", "--input.topics", "a", "--output.topic", "{topic}.dead"), "is for events and dead letters"),
        (("score", "--pointer", "text"), "JSON pointer"),
        (("run", "--input.topics", "a", "--output.topic", "a"), "topic a is an input and an output"),
        (("run", "--input.topics", "a,a.replay"), "topic a.replay is an input and the replay topic of a"),
        (("run", "--input.topics", "a", "--input.replay_topic", "a.dead"), "topic a.dead is an output and the replay topic"),
        (
            ("run", "--input.topics", "a,b", "--input.replay_topic", "r"),
            "r is the replay topic of another input and",
        ),
        (("run", "--kafka.consumer", "{oops"), "--kafka.consumer is not JSON"),
        (("run", "--input.topics", "a", "--kafka.consumer", '{"no.such": "1"}'), "no.such"),
        (("demo", "--rate", "0"), "--rate"),
        (("demo", "absent.jsonl"), "absent.jsonl"),
        (("bench", "--data", "absent.jsonl"), "absent.jsonl"),
    ],
)
def test_a_mistake_is_one_line_and_78(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """Whatever the operator got wrong comes out as one line that says so, without a traceback, and exit status 78."""
    done = textstream(*arguments, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if "[info" not in line]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("textstream: ")
    assert message in errors[0]
    assert done.returncode == 78


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        (("--observe.http_host", "0.0.0.0"), True),
        (("--observe.http_host", "0.0.0.0", "--privacy.show_text", "false"), False),
        ((), False),
    ],
)
def test_who_shows_texts_to_others_is_told(flags: tuple[str, ...], warned: bool) -> None:
    """A port that others reach and a page with texts: one line at start says which setting hides them."""
    done = textstream("run", "--input.topics", "a", "--observe.http_port", "0", "--model.bundle", "absent", *flags)
    assert ("privacy.show_text = false shows counts alone" in done.stderr) is warned
    assert done.returncode == 78


def test_a_shortened_flag_is_not_guessed() -> None:
    """A misspelt or shortened flag is wrong usage, exit status 2, never taken for another."""
    done = textstream("run", "--kafka.group", "x")
    assert done.returncode == 2
    assert "unrecognized arguments: --kafka.group x" in done.stderr


def test_init_writes_a_file_that_config_show_reads(tmp_path: Path) -> None:
    """`init` writes settings once; `config show` says where each value came from and hides secrets."""
    assert textstream("init", cwd=tmp_path).returncode == 0
    again = textstream("init", cwd=tmp_path)
    assert (again.returncode, "exists already" in again.stderr) == (78, True)
    file = tmp_path / "textstream.toml"
    file.write_text(file.read_text().replace('# group_id = "textstream"', 'group_id = "mine"'))
    flags = ("--kafka.client", '{"sasl.password": "hunter2", "SSL.KEY.PASSPHRASE": "hunter2", "sasl.username": "me"}')
    shown = textstream("config", "show", *flags, cwd=tmp_path, environment={"TEXTSTREAM_INPUT_TOPICS": "a,^b-[a-z]+"})
    assert shown.returncode == 0
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert rows["kafka.group_id"].split()[1:] == ['"mine"', "textstream.toml"]
    assert rows["input.topics"].split()[1:] == ['["a","^b-[a-z]+"]', "environment"]
    assert rows["batch.max_messages"].split()[1:] == ["512", "default"]
    assert "hunter2" not in shown.stdout
    assert '"sasl.password":"***","SSL.KEY.PASSPHRASE":"***","sasl.username":"me"' in rows["kafka.client"]


def test_the_python_api_gives_the_same_event() -> None:
    """`Scorer.score` returns what `textstream score` prints, but for source and time."""
    text = "I love this phone, the battery is great"
    printed = json.loads(score(text.encode()).stdout)
    [event] = Scorer.load("swift").score([text])
    for part in ("text", "language", "sentiment", "key_terms", "truncated", "model"):
        assert event[part] == printed[part]
    jsonschema.validate(event, json_schema())


def test_every_command_explains_itself() -> None:
    """`--help` of every command works and `--version` names the package."""
    for command in (
        ("demo",), ("init",), ("run",), ("score",), ("check",), ("tail",), ("bench",), ("topics", "create"), ("config", "show"),
    ):  # fmt: skip
        assert "usage: textstream" in textstream(*command, "--help").stdout
    assert textstream("--version").stdout.startswith("textstream 0.")
