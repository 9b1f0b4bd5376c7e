"""The counter, tried on logs made by hand: what is right counts as nothing, and every planted fault counts."""

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.chaos.count import Count, Logs, Outcome, count, fingerprint

SOURCE = ("in", 0)
OUTPUT = ("in.enriched", 0)


def payload(offset: int) -> bytes:
    """The right outcome of the input at this offset."""
    return fingerprint("event", None, b"%d" % offset)


def logs(*sequence: int, inputs: int, commits: tuple[int, ...] = ()) -> Logs:
    """One input partition with so many records, the offsets of the outcomes in its one output partition, all commits."""
    return Logs(
        inputs={SOURCE: {offset: payload(offset) for offset in range(inputs)}},
        outcomes={OUTPUT: [Outcome(SOURCE, offset, payload(offset)) for offset in sequence]},
        commits={SOURCE: set(commits)},
    )


def verdict(found: Count) -> tuple[int, int, int]:
    """Lost, doubled, disordered."""
    return found.lost, found.doubled, found.disordered


@pytest.mark.parametrize(
    ("sequence", "commits", "expected"),
    [
        ([0, 1, 2, 3], (), (0, 0, 0)),
        ([0, 1, 3], (), (1, 0, 0)),
        ([0, 2, 1, 3], (), (0, 0, 1)),
        ([0, 1, 1, 2, 3], (), (0, 1, 0)),
        ([0, 1, 2, 1, 2, 3], (1,), (0, 0, 0)),  # a re-run from the commit
        ([0, 1, 2, 1, 2, 3], (2,), (0, 1, 0)),  # one from before it: 2 itself could have begun a run
        ([0, 1, 2, 1, 2, 3], (), (0, 2, 0)),
        ([0, 1, 2, 0, 1, 2, 3], (), (0, 0, 0)),  # nothing was committed yet
        ([0, 1, 2, 1, 3], (1,), (0, 0, 0)),  # broken off by another crash
        ([0, 1, 2, 3, 1, 3], (1,), (0, 1, 0)),  # a re-run with a gap
        ([0, 1, 1, 2, 2, 3, 3], (1,), (0, 0, 0)),  # a woken worker beside its successor
    ],
)
def test_at_least_once_allows_re_runs_from_commits_only(
    sequence: list[int], commits: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    """Hand-made logs: what a committed offset explains is a repetition, and everything else counts."""
    assert verdict(count(logs(*sequence, inputs=4, commits=commits), exactly_once=False)) == expected


def test_a_commit_between_the_records_of_an_output_partition_explains_a_re_run() -> None:
    """By key an output partition gets every third input: a re-run from 4 begins there with 6."""
    found = logs(0, 3, 6, 9, 6, 9, inputs=0, commits=(4,))
    found.inputs[SOURCE] = {offset: payload(offset) for offset in (0, 3, 6, 9)}
    assert verdict(count(found, exactly_once=False)) == (0, 0, 0)
    found.commits = {SOURCE: {7}}
    assert verdict(count(found, exactly_once=False)) == (0, 1, 0)


def test_exactly_once_allows_nothing_twice() -> None:
    """A re-run that at least once allows is doubled for a committed reader, outcome by outcome."""
    found = logs(0, 1, 2, 1, 2, 3, inputs=4, commits=(1,))
    assert verdict(count(found, exactly_once=True)) == (0, 2, 0)


def test_an_outcome_must_be_of_its_input() -> None:
    """Another payload, a position that is none, another output partition: each counts, and makes up for nothing."""
    found = logs(0, 1, inputs=3)
    found.outcomes[OUTPUT].append(Outcome(SOURCE, 2, payload(7)))
    assert verdict(count(found, exactly_once=True)) == (1, 1, 0)
    found.outcomes[OUTPUT].append(Outcome(("in", 5), 2, payload(2)))
    assert verdict(count(found, exactly_once=True)) == (1, 2, 0)
    found.outcomes["in.enriched", 1] = [Outcome(SOURCE, 0, payload(0))]
    assert verdict(count(found, exactly_once=False)) == (1, 3, 0)


class Crashes(NamedTuple):
    """Workers one after the other, each from a commit; the last one gets to the end."""

    inputs: int
    sequence: list[int]  # the offsets delivered
    commits: tuple[int, ...]
    ends: set[int]  # where each worker broke off: it would have gone on there

    def logs(self, sequence: list[int]) -> Logs:
        """These logs with another sequence of outcomes."""
        return logs(*sequence, inputs=self.inputs, commits=self.commits)


@st.composite
def crashes(draw: st.DrawFn) -> Crashes:
    """Any of them."""
    inputs = draw(st.integers(2, 40))
    made = Crashes(inputs, [], (0,), set())
    for length, behind in draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6)):
        began = made.commits[-1]
        ended = min(inputs, began + length)
        made.sequence.extend(range(began, ended))
        made.ends.add(ended)
        made = made._replace(commits=(*made.commits, max(began, ended - behind)))
    made.sequence.extend(range(made.commits[-1], inputs))
    return made


@given(crashes())
def test_whatever_crashes_give_is_right(made: Crashes) -> None:
    """Any sequence of workers that begin at commits loses, doubles and disorders nothing."""
    found = count(made.logs(made.sequence), exactly_once=False)
    assert verdict(found) == (0, 0, 0)
    assert found.repeated == len(made.sequence) - made.inputs


@given(crashes(), st.integers(0, 39))
def test_a_planted_loss_counts(made: Crashes, which: int) -> None:
    """Without the outcomes of one input exactly that one is lost."""
    gone = which % made.inputs
    assert count(made.logs([offset for offset in made.sequence if offset != gone]), exactly_once=False).lost == 1


@given(crashes(), st.integers(0))
def test_a_planted_double_counts(made: Crashes, which: int) -> None:
    """An outcome that comes again at once, where no run begins or goes on, is doubled."""
    plain = [at for at, offset in enumerate(made.sequence) if offset not in made.ends and offset not in made.commits]
    assume(plain)
    at = plain[which % len(plain)]
    doubled = [*made.sequence[: at + 1], *made.sequence[at:]]
    assert count(made.logs(doubled), exactly_once=False).doubled == 1
    assert count(made.logs(doubled), exactly_once=True).doubled == len(doubled) - made.inputs


@given(st.integers(2, 40), st.data())
def test_a_planted_disorder_counts(inputs: int, data: st.DataObject) -> None:
    """One outcome moved behind a later one is disordered, in both modes."""
    sequence = list(range(inputs))
    moved = data.draw(st.integers(0, inputs - 2))
    sequence.insert(data.draw(st.integers(moved + 1, inputs - 1)), sequence.pop(moved))
    for exactly_once in (False, True):
        assert verdict(count(logs(*sequence, inputs=inputs), exactly_once=exactly_once)) == (0, 0, 1)


def test_the_counter_imports_nothing_of_textstream() -> None:
    """It must not believe what it is there to check."""
    imports = [line for line in (Path(__file__).parent / "count.py").read_text().splitlines() if "import " in line]
    assert imports
    assert not [line for line in imports if "textstream" in line or "tests" in line]
