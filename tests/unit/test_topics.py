"""Which topics a worker reads and writes."""

import pytest

from textstream.errors import Misconfigured
from textstream.kafka.topics import named
from textstream.layers import load_settings
from textstream.settings import Settings


def settings(*topics: str, **flags: object) -> Settings:
    """With these topics to read; flags are given as `section__name`."""
    return load_settings(
        environ={}, flags={"input.topics": list(topics)} | {name.replace("__", "."): value for name, value in flags.items()}
    )


def inputs(given: Settings, *existing: str) -> list[str]:
    """What is read where these exist."""
    return [one.input for one in named(given.input, given.output, existing)]


def test_a_pattern_stands_for_what_it_matches() -> None:
    """From the beginning of the name; topics named in full come first and once, internal ones and all outputs never."""
    given = settings("b-2", "^b-.*", "^__.*")
    existing = ("a-b-1", "b-1", "b-1.enriched", "b-1.dead", "b-1.replay", "b-2", "b-3.enriched", "__consumer_offsets")
    assert inputs(given, *existing) == ["b-2", "b-1"]
    elsewhere = settings("^b.*", output__topic="b-out", output__dead_topic="b-{topic}-bad")
    assert inputs(elsewhere, "b-1", "b-out", "b-b-1-bad") == ["b-1"]


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    """But without the names of what exists, only the names themselves are judged."""
    given = settings("^b-.*")
    with pytest.raises(Misconfigured, match=r"no topic matches \^b-"):
        inputs(given, "a")
    assert named(given.input, given.output) == ()


@pytest.mark.parametrize(("topic", "said"), [("^(", "no regular expression"), ("a b", "begins with"), ("", "begins with")])
def test_what_is_neither_name_nor_pattern_is_refused(topic: str, said: str) -> None:
    """In one line."""
    with pytest.raises(Misconfigured, match=said):
        settings(topic)
