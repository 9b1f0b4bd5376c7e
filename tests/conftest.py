"""What every test may ask for: a real Kafka, started once for the whole run."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests.support.kafka import KafkaMissingError, RealKafka, start_kafka
from tests.support.needed import needed
from tests.support.reaper import Reaper
from tests.support.ways import way

__all__ = ["way"]

KAFKA_STORY = pytest.StashKey[str]()

# How long one example takes says how loaded the machine is, and nothing of what a test proves.
hypothesis.settings.register_profile("textstream", deadline=None)
hypothesis.settings.load_profile("textstream")


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    """Ends whatever the tests started and could not stop themselves."""
    reaper = Reaper()
    yield reaper
    reaper.close()


@pytest.fixture(scope="session")
def kafka(reaper: Reaper, pytestconfig: pytest.Config) -> Iterator[RealKafka]:
    """A real Apache Kafka; where there is none the tests fail."""
    kafka = needed(lambda: start_kafka(reaper), KafkaMissingError)
    if hasattr(pytestconfig, "workeroutput"):
        pytestconfig.workeroutput["kafka"] = kafka.story
    pytestconfig.stash[KAFKA_STORY] = kafka.story
    yield kafka
    kafka.close()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of the processes that share the tests has ended: it says which Kafka it used."""
    if story := getattr(node, "workeroutput", {}).get("kafka"):
        node.config.stash[KAFKA_STORY] = story


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which Kafka the tests ran on."""
    if story := config.stash.get(KAFKA_STORY, None):
        terminalreporter.write_line(f"real Kafka: {story}")
