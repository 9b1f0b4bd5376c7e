"""A model that remembers what it said of texts that come again: retweets, templates, alerts.

It stands where a scorer stands, so the path of a message does not know of it. Most texts never come again, and what was said of
one takes a kilobyte or more. So of a text that came once a hash is kept until another takes its place, and what was said is
remembered when it comes a second time; from then on the model is not asked. What it says of a text depends on nothing else, but
for a last digit that may be rounded otherwise in another batch.
"""

import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from textstream.analysis import EncodedAnalysis
from textstream.drift import Reference
from textstream.event import ModelInfo
from textstream.model.cascade import Model
from textstream.model.tokens import Tokens
from textstream.quality import Computed

MAX_CHARS = 1_000
"""Code points of a text that may be remembered: bounds what one takes, and longer ones seldom come again."""
HASHES_A_TEXT = 8
"""Places for hashes of texts that came once, for each text that may be remembered, 8 bytes each. Half of the hashes still stand
when 0.7 times as many texts have come as there are places."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was said of a text, in place of its tokens."""

    analysis: EncodedAnalysis
    count: int
    unknown: int


class Remembering:
    """Scores with `model` and remembers the last `most` texts that came again, but none of `always`, which are for trying it.

    As with a model, `tokenise` and `analyse` may run in different threads.
    """

    def __init__(self, model: Model, most: int, always: frozenset[str] = frozenset()) -> None:
        assert most > 0, "nothing would be remembered"
        self.info: ModelInfo = model.info
        self._model = model
        self._most = most
        self._always = always
        self._remembered: OrderedDict[str, Remembered] = OrderedDict()  # in order of when each was last asked for
        self._once = array("q", bytes(8 * HASHES_A_TEXT * most))  # hashes of texts that came once, each at its place
        self._answered = 0
        self._lock = threading.Lock()  # of these three

    @property
    def reference(self) -> Reference | None:
        """That of the model."""
        return self._model.reference

    @property
    def computed(self) -> Computed:
        """By the model; and how many texts needed no pass."""
        return self._model.computed.plus(0, 0, self._answered)

    def tokenise(self, texts: Sequence[str]) -> Sequence[Tokens | Remembered]:
        """One for each text; the model does not see those that are remembered."""
        with self._lock:
            known = list(map(self._recalled, texts))
        others = iter(self._model.tokenise([text for text, found in zip(texts, known, strict=True) if found is None]))
        return [next(others) if found is None else found for found in known]

    def analyse(self, batch: Sequence[Tokens | Remembered]) -> list[EncodedAnalysis]:
        """The analysis of each text, in the order given. The model is asked for copies in one batch once."""
        new = [one for one in batch if not isinstance(one, Remembered)]
        came, tokens = Counter([one.text for one in new]), {one.text: one for one in new}
        with self._lock:  # what was tokenised ahead may have been scored since
            known = {text: found for text in came if (found := self._recalled(text))}
        asked = [one for text, one in tokens.items() if text not in known]
        said = self._model.analyse(asked) if asked else []
        told = {text: found.analysis for text, found in known.items()}
        with self._lock:
            for one, analysis in zip(asked, said, strict=True):
                told[one.text] = analysis
                self._learn(one, analysis, came[one.text])
            self._answered += len(batch) - len(asked)
        return [one.analysis if isinstance(one, Remembered) else told[one.text] for one in batch]

    def _recalled(self, text: str) -> Remembered | None:
        if found := self._remembered.get(text):
            self._remembered.move_to_end(text)
        return found

    def _learn(self, tokens: Tokens, analysis: EncodedAnalysis, times: int) -> None:
        """A text came so many times, and was not remembered."""
        if len(tokens.text) > MAX_CHARS or tokens.text in self._always:
            return
        hashed = hash(tokens.text)
        place = hashed % len(self._once)
        if times > 1 or self._once[place] == hashed:
            self._remembered[tokens.text] = Remembered(analysis, tokens.count, tokens.unknown)
            if len(self._remembered) > self._most:
                self._remembered.popitem(last=False)
        else:
            self._once[place] = hashed
