"""A worker with little to do, in a simulated world: what a record waits for, and how many turns and passes records take."""

from tests.simulation.scene import Scene


def done(scene: Scene, count: int) -> bool:
    """Whether so many records have their outcome."""
    return scene.value("textstream_outcomes_total", topic="a", outcome="enriched", reason="") == count


def passes(scene: Scene) -> dict[str, float]:
    """Batches by what closed them."""
    causes = ("messages", "tokens", "age", "idle", "flush")
    return {by: count for by in causes if (count := scene.value("textstream_batches_total", closed_by=by))}


def test_a_record_does_not_wait_for_others_where_the_model_is_idle() -> None:
    """It is scored at once, however long a batch may wait to fill."""
    with Scene(batch__max_wait_ms=60_000).played() as scene:
        scene.until(lambda: scene.value("textstream_ready") == 1)
        sent = scene.loop.now
        scene.send(b"good")
        scene.until(lambda: done(scene, 1))
        assert scene.loop.now - sent < 0.1
        assert passes(scene) == {"idle": 1}


def test_records_that_come_while_the_model_works_are_scored_together() -> None:
    """Ten that come one by one meanwhile make one batch, once the model has rested."""
    with Scene(batch__max_wait_ms=60_000).played() as scene:
        scene.until(lambda: scene.value("textstream_ready") == 1)
        scene.send(b"good")
        scene.until(lambda: passes(scene) == {"idle": 1})
        for _ in range(10):
            scene.send(b"good")
            scene.wait(0.0004)
        scene.until(lambda: done(scene, 11))
        assert passes(scene) == {"idle": 2}


def test_the_model_rests_as_long_as_it_works() -> None:
    """A record each millisecond for two seconds costs about a hundred passes of 10 ms in the mean, not two hundred."""
    with Scene(batch__max_wait_ms=60_000).played() as scene:
        scene.until(lambda: scene.value("textstream_ready") == 1)
        for _ in range(2_000):
            scene.send(b"good")
            scene.wait(0.001)
        scene.until(lambda: done(scene, 2_000))
        assert 60 <= sum(passes(scene).values()) <= 110
        assert passes(scene).keys() == {"idle"}
