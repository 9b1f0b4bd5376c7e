"""What the contract tests share: streams of their own on the real Kafka."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.kafka import RealKafka
from tests.support.reaper import Reaper
from tests.support.stream import Stream

NewStream = Callable[..., Stream]


@pytest.fixture(scope="session")
def new_stream(kafka: RealKafka, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> NewStream:
    """Make a stream: `new_stream(partitions=4)`."""

    def make(**config: object) -> Stream:
        folder: Path = tmp_path_factory.mktemp("stream")
        return Stream(kafka, reaper, folder, **config)  # type: ignore[arg-type]

    return make
