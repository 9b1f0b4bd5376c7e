"""A worker that remembers texts, on a real Kafka."""

import orjson

from tests.contract.conftest import NewStream
from tests.support.kafka import Outgoing

TEXT = "The room was lovely but the staff were rude 😀"


def test_copies_get_their_own_events_and_only_two_are_scored(new_stream: NewStream) -> None:
    """With `model.remember_texts` all copies of a text have events that differ in their source and time alone, and from the
    third one on none is scored; so has another text that comes between them its own."""
    stream = new_stream()
    with stream.worker(model__remember_texts=10) as worker:
        for text in (TEXT, TEXT, TEXT, "Battery life is great", TEXT):
            stream.kafka.produce_all(stream.input, [Outgoing(orjson.dumps({"text": text}))])
            stream.finish(worker)
        counted = [
            line for line in worker.get("/metrics")[1].splitlines() if line.startswith("textstream_remembered_messages_total")
        ]
        assert [float(line.split()[-1]) for line in counted] == [2]
        assert worker.stop() == 0, worker.log[-4000:]
    outcomes = stream.outcomes()
    first, *others = [outcomes.event(offset) for offset in (0, 1, 2, 4)]
    assert [other["source"]["offset"] for other in others] == [1, 2, 4]
    own = {"id", "source", "processed_at"}
    for other in others:
        assert {k: v for k, v in other.items() if k not in own} == {k: v for k, v in first.items() if k not in own}
    assert outcomes.event(3)["sentiment"] != first["sentiment"]
