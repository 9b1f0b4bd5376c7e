"""The measurement of remembered texts says what it measured."""

import sys

import pytest

from tests.bench import repeats


def test_the_stream_has_the_share_of_copies_that_it_is_asked_for() -> None:
    """And every other message once, in order."""
    values = [b"%d" % number for number in range(4_000)]
    told = repeats.stream(values, 0.3)
    first = [told[at] for at in range(len(told)) if told[at] == values[at]]
    assert len(told) == len(values)
    assert len(first) / len(told) == pytest.approx(0.7, abs=0.03)
    assert set(told) == set(first)


def test_more_copies_are_scored_less(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each share of copies, and the more there are, the fewer need the model."""
    monkeypatch.setattr(sys, "argv", ["repeats", "--messages", "1024"])
    repeats.main()
    saved = [int(line.split()[1].rstrip("%")) for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(saved) == len(repeats.SHARES)
    assert saved[0] < 5 < saved[-2] < saved[-1]
