"""What calibration is fitted on: which candidate spans of held-out rows count as gold, and which count at all."""

from collections.abc import Sequence

import numpy as np
import pytest

from textstream.event import KINDS, Kind
from textstream.model.packing import Ids, Infer, Lengths, Logits
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export import calibrate
from textstream_export.data import Aspect, Row
from textstream_export.encode import OUTPUTS

TEXT = "rooms in Paris are small"
READ = Tokeniser(Lexicon(("rooms", "in", "paris", "are", "small"), 16, 16), 32)


def saying(kind: Kind, *tokens: int) -> Infer:
    """A network that sees a one-token term of this kind at each of these tokens, and nothing else."""

    def infer(ids: Ids, lengths: Lengths) -> tuple[Logits, Logits]:
        units = np.zeros((int(lengths.sum()), OUTPUTS), np.float32)
        units[:, [3 * channel for channel in range(len(KINDS))]] = 9.0
        units[list(tokens), 3 * KINDS.index(kind) + 1] = 18.0
        return np.zeros((len(lengths), 3), np.float32), units

    return infer


def judged(row: Row, *tokens: int) -> list[bool]:
    """What calibration says of phrases at these tokens."""
    spans = calibrate.run([row], READ, saying("phrase", *tokens)).spans.get("phrase", calibrate.NOTHING)
    found: list[bool] = spans.gold.tolist()
    return found


ROOMS = (Aspect(0, 5, "negative"),)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(TEXT, "en", "tweets_kw", terms=("rooms", "small")), [True, False, True]),
        (Row(TEXT, "en", "absa_mams", aspects=ROOMS), [False, False, False]),
        (Row(TEXT, "en", "wnut17", terms=("Paris",)), []),
        (Row(TEXT, "en", "own_aspects", aspects=ROOMS), []),
        (Row(TEXT, "en", "inspec", terms=("rooms",)), []),
    ],
    ids=["phrases", "aspects", "entities", "own aspects", "incomplete gold"],
)
def test_a_phrase_counts_where_annotators_would_have_marked_it(row: Row, expected: Sequence[bool]) -> None:
    """Gold phrases are right; texts read for aspects have none; who marked names alone, a user who marked aspects, or an author
    who named a few phrases, has said nothing of the others."""
    assert judged(row, 0, 2, 4) == expected
