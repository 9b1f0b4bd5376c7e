"""A model pass that never ends, in onnxruntime itself, on a real Kafka: the process ends, the group goes on."""

import time
from pathlib import Path

import orjson
import pytest

from tests.contract.conftest import NewStream
from tests.support.bundles import bundle_stuck_at
from tests.support.kafka import Outgoing, wait_until
from tests.support.stream import Stream
from tests.support.worker import Worker, wait_for_members

GOOD = 100
STALL_S = 3
WORD = "kettle"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never ends a pass that meets `WORD`."""
    return bundle_stuck_at(WORD, tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def stream(new_stream: NewStream) -> Stream:
    """Two partitions of good messages."""
    stream = new_stream(partitions=2)
    good = [Outgoing(orjson.dumps({"text": f"message {n}"}), partition=n % 2) for n in range(GOOD)]
    stream.kafka.produce_all(stream.input, good)
    return stream


def get_stuck(stream: Stream, worker: Worker) -> None:
    """Send the message that no pass gets over, and others behind it, and wait until the worker has read it."""
    texts = [f"a {WORD}", *(f"behind {n}" for n in range(10))]
    stream.kafka.produce_all(stream.input, [Outgoing(orjson.dumps({"text": text}), partition=0) for text in texts])
    polled = f'textstream_records_polled_total{{topic="{stream.input}"}} {GOOD}.0'
    wait_until(lambda: polled not in worker.get("/metrics")[1], 30, lambda: worker.log[-4000:])


def finish_with_a_sound_model(stream: Stream) -> None:
    """What was left is scored, and nothing lost or doubled."""
    stream.run()
    found = stream.audit()
    assert found.clean, found.examples


def test_a_stuck_pass_ends_the_process(stream: Stream, bundle: Path) -> None:
    """After `observe.stall_after_s` the process ends with 70 by itself and says why; the next worker scores what is left."""
    with stream.worker(model__bundle=bundle, observe__stall_after_s=STALL_S) as worker:
        stream.finish(worker)
        get_stuck(stream, worker)
        assert worker.wait() == 70, worker.log[-4000:]
    assert "textstream: a model pass has not ended within 3 s (observe.stall_after_s)" in worker.log.splitlines()[-1]
    finish_with_a_sound_model(stream)


def test_a_stuck_pass_ends_a_drain(stream: Stream, bundle: Path) -> None:
    """Stopped meanwhile, the worker does not wait for its whole drain limit, and ends with 70."""
    with stream.worker(model__bundle=bundle, observe__stall_after_s=STALL_S, delivery__drain_timeout_s=35) as worker:
        stream.finish(worker)
        get_stuck(stream, worker)
        started = time.monotonic()
        assert worker.stop() == 70, worker.log[-4000:]
        assert time.monotonic() - started < STALL_S + 5
    finish_with_a_sound_model(stream)


def test_a_drain_that_is_over_sooner_ends_with_75(stream: Stream, bundle: Path) -> None:
    """Where the drain limit comes first, the process ends with 75 although the pass still runs."""
    with stream.worker(model__bundle=bundle, delivery__drain_timeout_s=2) as worker:
        stream.finish(worker)
        get_stuck(stream, worker)
        assert worker.stop() == 75, worker.log[-4000:]
    finish_with_a_sound_model(stream)


def test_a_stuck_pass_ends_a_revocation(stream: Stream, bundle: Path) -> None:
    """A partition is asked for while the pass is stuck: the process ends within the rebalance, and the other member has all."""
    with stream.worker(model__bundle=bundle, observe__stall_after_s=3 * STALL_S, delivery__drain_timeout_s=35) as worker:
        stream.finish(worker)
        get_stuck(stream, worker)
        with stream.worker() as second:
            assert worker.wait() == 70, worker.log[-4000:]
            wait_for_members(stream.kafka, stream.group, 1, 2)
            stream.finish(second)
            assert second.stop() == 0, second.log[-4000:]
    assert stream.audit().clean
