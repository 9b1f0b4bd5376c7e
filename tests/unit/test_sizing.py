"""deploy/SIZING.md: its tables are what its equations give, and what it takes from elsewhere stands there."""

import re
from math import ceil

import pytest
from ruamel.yaml import YAML

from tests.support.texts import ROOT

PAGE = (ROOT / "deploy/SIZING.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| [\d,]+ \|", line)
]  # fmt: skip


def said(symbol: str) -> float:
    """The value of a symbol in the page's table of them."""
    (value,) = re.findall(rf"^\| {symbol} \|.*\| ([\d,.]+)(?: s)? \|$", PAGE, re.MULTILINE)
    return number(value)


def number(text: str) -> float:
    """As it is written there: 1,400 MB/s."""
    return float(text.split()[0].replace(",", ""))


def workers(r: float) -> tuple[int, int, int]:
    """The two terms of the equation, and what it gives."""
    steady, behind = ceil(r / (said("u") * said("c"))), ceil(r * (1 + said("o") / said("d")) / said("c"))
    return steady, behind, max(steady, behind) + 1


def drain_s(r: float, count: int) -> float:
    """How long a backlog lasts."""
    return r * said("o") / (count * said("c") - r)


def test_the_table_has_all_sizes() -> None:
    """From one worker to a million messages a second."""
    assert [number(row[0]) for row in ROWS] == [1_000, 10_000, 100_000, 1_000_000]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_is_what_the_equations_give(row: list[str]) -> None:
    """Workers, time to drain with one of them away, partitions, memory and bytes."""
    r = number(row[0])
    steady, behind, n = workers(r)
    assert [number(cell) for cell in row[1:4]] == [steady, behind, n]
    assert number(row[4]) == round(drain_s(r, n - 1) / 60)
    assert drain_s(r, n - 1) <= said("d"), "it catches up in time, also with one worker away"
    assert number(row[5]) == ceil(1.5 * n / 6) * 6
    assert number(row[6]) == round(n * request_mib() / 1024)
    assert number(row[7]) == pytest.approx(r * 250 / 1e6)
    assert number(row[8]) == pytest.approx(r * 1_400 / 1e6)


def request_mib() -> int:
    """What the chart asks for."""
    values = YAML(typ="safe").load(ROOT / "deploy/helm/textstream/values.yaml")
    return int(values["resources"]["requests"]["memory"].removesuffix("Mi"))


def test_what_the_page_takes_from_elsewhere() -> None:
    """The chart's request of memory, and the rates that README shows."""
    assert f"n · {request_mib()} MiB" in PAGE
    assert "9,300 · 13,800 · 10,700 messages/s" in (ROOT / "README.md").read_text()
    assert "9,300 · 13,800 · 10,700 messages/s" in PAGE


def test_the_example_adds_up() -> None:
    """Its numbers are those of its row."""
    r, _, _, n = (number(cell) for cell in ROWS[1][:4])
    assert f"replicas: {n:.0f}" in PAGE
    assert f"{r * said('o'):,.0f} messages wait" in PAGE
    assert f"{(n - 1) * said('c') - r:,.0f} a second on them" in PAGE
    assert f"done after {drain_s(r, int(n) - 1):,.0f} s" in PAGE
    assert f"gain {n * said('c') - r:,.0f} and need {drain_s(r, int(n)) / 60:.0f}" in PAGE


def test_the_bytes_of_the_largest_row() -> None:
    """Three replicas of what goes out, and the brokers that take it at the rate that is named."""
    written = number(ROWS[-1][8]) * 3
    assert f"{written:,.0f} MB/s of writes" in PAGE
    assert f"at 100 MB/s\n  a broker, {written / 100:.0f} brokers" in PAGE
