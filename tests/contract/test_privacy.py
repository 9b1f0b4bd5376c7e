"""What somebody wrote is in no log line, at any level, whatever goes wrong with it, unless the operator asks for it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest
import structlog

from tests.contract.conftest import NewStream
from tests.contract.test_worker import Running
from tests.support.fakes import FakeScorer
from tests.support.kafka import Outgoing, wait_until
from textstream.core.process import PROBE
from textstream.errors import Fatal
from textstream.observe import logs

CANARY = "canary-7431"
BAD = [
    f'{{"text": "{CANARY}"'.encode(),  # no JSON
    f'{{"text": "{CANARY}\xff'.encode("latin-1"),  # no UTF-8
    orjson.dumps({"text": {"en": CANARY}}),  # no string
    orjson.dumps({"body": CANARY}),  # no text
    orjson.dumps({"text": CANARY}),  # cannot be scored, and the model says so in these words
]
LOUD = {"debug": "all"}


@contextmanager
def logging_all() -> Iterator[None]:
    """All that there is to log, as JSON on standard error."""
    logs.configure("json", "debug")
    try:
        yield
    finally:
        structlog.reset_defaults()
        for name in ("textstream", "opentelemetry"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.setLevel(logging.NOTSET)
            logger.propagate = True


@pytest.mark.parametrize("log_text", [False, True])
def test_no_text_of_a_dead_letter(log_text: bool, new_stream: NewStream, capfd: pytest.CaptureFixture[str]) -> None:
    """Poison of each kind and a failure of scoring whose message quotes the text: each is told by id and reason, and the text
    stands in the log under `privacy.log_text` alone, with librdkafka's debugging on as well."""
    stream = new_stream()
    stream.kafka.produce_all(
        stream.input, [Outgoing(value, CANARY.encode(), headers=[("h", CANARY.encode())]) for value in BAD]
    )
    stream.kafka.produce_all(stream.input, [Outgoing(orjson.dumps({"text": f"good {CANARY}"}))])
    scorer, settings = FakeScorer(fails_on=[CANARY]), {"kafka__client": LOUD, "privacy__log_text": log_text}
    with logging_all(), Running(stream, scorer, **settings) as worker:
        wait_until(lambda: stream.kafka.is_committed(stream.group, stream.input), 60, lambda: f"not served: {worker.error!r}")
    told = capfd.readouterr().err
    for offset, reason in enumerate(("not_json", "not_utf8", "text_not_string", "no_text", "scoring_failed")):
        assert f'"id": "{stream.input}-0-{offset}", "reason": "{reason}"' in told
    assert (CANARY in told) == log_text


def test_no_text_in_what_stops_a_worker(new_stream: NewStream, capfd: pytest.CaptureFixture[str]) -> None:
    """A model that fails on everything, in words that quote what it was given: the error holds our own text, none of theirs."""
    stream = new_stream()
    stream.kafka.produce_all(stream.input, [Outgoing(BAD[-1])])
    with logging_all(), Running(stream, FakeScorer(fails_on=[CANARY, PROBE])) as worker:
        wait_until(lambda: worker.error is not None, 60, "the worker went on")
    assert isinstance(worker.error, Fatal)
    assert "cannot score" in str(worker.error)
    assert CANARY not in str(worker.error) + capfd.readouterr().err
