"""Reading dead letters and what they were cut from, from a broker that was just elected and does not know their end yet."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError

from textstream.core.record import Position, Record
from textstream.core.replay import DeadLetter
from textstream.dlq.choice import Choice
from textstream.dlq.letters import Letters, Originals
from textstream.settings import Kafka


@dataclass
class Told:
    """A message of partition 0, or that the partition ends at its offset."""

    at: int
    is_end: bool = False

    def error(self) -> KafkaError | None:
        """What the client says of the partition."""
        return KafkaError(KafkaError._PARTITION_EOF) if self.is_end else None

    def topic(self) -> str:
        """Of all messages."""
        return "t.dead"

    def partition(self) -> int:
        """Of all messages."""
        return 0

    def offset(self) -> int:
        """Where it stands."""
        return self.at

    def value(self) -> bytes:
        """What was produced."""
        return b"%d" % self.at

    def key(self) -> None:
        """None has one."""

    def headers(self) -> None:
        """None has any."""

    def timestamp(self) -> tuple[int, int]:
        """A time that the producer set."""
        return 1, 1_000


class JustElected:
    """Holds offsets 0 and 1, and first calls 1 the end."""

    def __init__(self, *_: object) -> None:
        self._told = [[Told(0), Told(1, is_end=True)], [Told(1)], [Told(2, is_end=True)]]

    def bounds(self, _: tuple[str, int]) -> tuple[int, int]:
        """These a broker tells only when it knows them."""
        return 0, 2

    def assign(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Begin there."""
        (first,) = offsets.values()
        self._told = [[one for one in told if one.at >= first] for told in self._told]

    def pause(self, _: object) -> None:
        """Nothing more is wanted."""
        self._told = []

    def take(self, most: int = 500) -> list[Told]:
        """What comes next."""
        return self._told.pop(0)[:most]

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(autouse=True)
def just_elected(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other broker is there."""
    monkeypatch.setattr("textstream.dlq.letters.Reader", JustElected)


def test_an_end_before_the_end_is_none() -> None:
    """Letters that the broker did not know of at first are read."""
    with Letters(Kafka(), ["t.dead"], {"t.dead": 1}, Choice()) as letters:
        assert [one.record.position.offset for one in letters.read(threading.Event())] == [0, 1]
        assert not letters.unfinished


def test_an_original_behind_such_an_end_is_not_gone() -> None:
    """The record that a dead letter was cut from is found where the broker did not know of it at first."""
    original = Position("t.dead", 0, 1, 0)
    letter = DeadLetter(Record(original, b"1"), "not_json", "decode", "why", 1, 0, original, cut=True)
    originals = Originals(Kafka())
    found = originals.of(letter, threading.Event())
    originals.close()
    assert found is not None and found.value == b"1"
