# ruff: noqa: D103 (the names of the mistakes say what they are)
"""The short form of `make fuzz`, and what it is worth: mistakes planted into the path are found."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from tests.fuzz.__main__ import REASONS, Tally, fuzz
from tests.support.fakes import FakeScorer
from textstream.core.codec import Codec
from textstream.core.record import Outcome, Record
from textstream.errors import Poison
from textstream.model.scorer import Scorer

SHORT = 20_000
decode, decode_json, headers = Codec.decode, Codec._decode_json, Codec._outcome


def test_nothing_escapes_and_every_record_has_its_outcome() -> None:
    """Twenty thousand generated records through decode → enrich with the shipped model; every kind of outcome and every reason
    for a dead letter is among them."""
    tally = Tally()
    fuzz(Scorer.load("swift"), SHORT, 0, tally, shrink=False)
    assert tally.records >= SHORT
    assert set(tally.kinds) == {"enriched", "tombstone", "dead"}
    assert set(tally.reasons) == REASONS


def lets_an_error_escape(self: Codec, value: bytes) -> str:
    try:
        return decode_json(self, value)
    except Poison as poison:
        if poison.reason == "no_text" and poison.__context__ is not None:
            raise poison.__context__ from None  # where the pointer leads to nothing, what is caught there
        raise


def sends_what_its_topic_refuses(self: Codec, outcome: Outcome) -> Outcome:
    return outcome


def strips_the_text(self: Codec, record: Record) -> str | None:
    text = decode(self, record)
    return None if text is None else text.strip()


def lets_json_be_anything(self: Codec, value: bytes) -> str:
    return str(orjson.loads(value or b'""'))


def appends_to_the_producers_headers(self: Codec, record: Record, *args: Any, **more: Any) -> Outcome:
    outcome = headers(self, record, *args, **more)
    outcome.headers[:0] = record.headers
    return outcome


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("_decode_json", lets_an_error_escape),
        ("_fitting", sends_what_its_topic_refuses),
        ("decode", strips_the_text),
        ("_decode_json", lets_json_be_anything),
        ("_outcome", appends_to_the_producers_headers),
    ],
)
def test_a_planted_mistake_is_found(method: str, wrong: Callable[..., Any]) -> None:
    """Within a round or two, by an exception that escapes or an outcome that is not right."""
    with patch.object(Codec, method, wrong), pytest.raises(Exception):  # noqa: B017, PT011 (whichever it is)
        fuzz(FakeScorer(), SHORT, 0, Tally(), shrink=False)
