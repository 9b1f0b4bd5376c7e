"""Work shared out over processes: its order, how far it runs ahead, and what comes of a process that dies."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import os
import signal
from pathlib import Path

import pytest

from textstream.errors import Misconfigured
from textstream_export.workers import AHEAD, shared_out


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_results_come_in_the_order_of_their_items(workers: int) -> None:
    with shared_out(lambda item: item * item, range(20), workers) as made:
        assert list(made) == [item * item for item in range(20)]
    with shared_out(lambda item: item, [], workers) as made:
        assert list(made) == []


def test_work_runs_ahead_no_further_than_is_said(tmp_path: Path) -> None:
    """Whoever takes the results may be slow: what waits for it has a limit."""
    with shared_out(lambda item: (tmp_path / str(item)).touch(), range(50), 2) as made:
        next(made)
        next(made)
    assert len(list(tmp_path.iterdir())) <= 2 * AHEAD + 2


def test_an_error_in_a_process_is_raised_as_it_is() -> None:
    def fails(item: int) -> int:
        raise Misconfigured(f"item {item} is damaged")

    with pytest.raises(Misconfigured, match="item 0 is damaged"), shared_out(fails, range(4), 2) as made:
        list(made)


def test_a_process_that_is_killed_ends_the_work() -> None:
    """Nobody waits for ever for what it was making."""

    def killed(item: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(Misconfigured, match="take fewer with --workers"), shared_out(killed, range(4), 2) as made:
        list(made)
