"""The table of microseconds names every step of a message, and puts the program back as it was."""

from tests.bench.waterfall import PHASES, waterfall
from tests.support.texts import message_values


def test_every_phase_is_measured_and_nothing_stays_measured() -> None:
    """Each phase of the table took some time, and afterwards no function is wrapped."""
    before = [getattr(owner, name) for _, owner, name in PHASES]
    found = waterfall(message_values(64), rounds=2)
    assert {phase for phase, _, _ in PHASES} | {"infer: onnxruntime", "pack: what a pass reads"} == set(found)
    assert found["infer: onnxruntime"] > 0 and sum(found.values()) > found["infer: onnxruntime"]
    assert [getattr(owner, name) for _, owner, name in PHASES] == before
