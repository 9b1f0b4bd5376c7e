"""The times of a backfill as an operator writes them."""

import pytest

from textstream.errors import Misconfigured
from textstream.extent import Between, between


def test_times_are_read_in_utc_unless_they_say_otherwise() -> None:
    """`earliest`, `end` and an option that is not given leave a side open."""
    second = 1_700_000_000_000
    assert between("2023-11-14T22:13:20", "2023-11-14T23:13:21+01:00") == Between(second, second + 1000)
    assert between("earliest", "end") == between(None, "end") == between("earliest", None) == Between(None, None)


@pytest.mark.parametrize(
    ("begin", "until", "said"),
    [
        ("yesterday", None, "--from yesterday is no time"),
        (None, "25:00", "--until 25:00"),
        ("2024-01-01", "2024-01-01", "exchange"),
    ],
)
def test_what_is_no_time_is_refused(begin: str | None, until: str | None, said: str) -> None:
    """And so is an end before the beginning."""
    with pytest.raises(Misconfigured, match=said):
        between(begin, until)


def test_a_backfill_has_a_group_for_its_records_and_model() -> None:
    """The same again goes on where it was; another time or model begins anew."""
    one = Between(1, None)
    assert one.group("g", "m") == Between(1, None).group("g", "m")
    assert len({one.group("g", "m"), one.group("g", "n"), Between(2, None).group("g", "m"), Between(1, 2).group("g", "m")}) == 4
