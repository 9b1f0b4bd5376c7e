"""A model that remembers what it said of texts that come again: retweets, templates, alerts.

It stands where a scorer stands, so the path of a message does not know of it. Most texts never come again, and what was said of
one takes kilobytes. So of a text that came once only its hash is kept, for a while; what comes a second time is remembered, and
from the third time on the model is not asked. Events are the same either way: a text's analysis depends on nothing else.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from textstream.drift import Reference
from textstream.event import Analysis, ModelInfo
from textstream.model.cascade import Model
from textstream.model.tokens import Tokens
from textstream.quality import Computed

MAX_CHARS = 1_000
"""Code points of a text that may be remembered: bounds what one takes, and longer ones seldom come again."""
HASHES_A_TEXT = 10
"""So many times as many texts are known to have come once, and up to twice that: 16 bytes and an integer each."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was said of a text, in place of its tokens."""

    analysis: Analysis
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
        self._remembered: OrderedDict[str, Remembered] = OrderedDict()  # the one that was asked for last is the last one
        self._once, self._once_before = set[int](), set[int]()  # hashes of texts that came once
        self._answered = 0
        self._lock = threading.Lock()

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

    def analyse(self, batch: Sequence[Tokens | Remembered]) -> list[Analysis]:
        """The analysis of each text, in the order given."""
        asked = [one for one in batch if not isinstance(one, Remembered)]
        said = self._model.analyse(asked) if asked else []
        with self._lock:
            for tokens, analysis in zip(asked, said, strict=True):
                self._learn(tokens, analysis)
        self._answered += len(batch) - len(asked)
        each = iter(said)
        return [one.analysis if isinstance(one, Remembered) else next(each) for one in batch]

    def _recalled(self, text: str) -> Remembered | None:
        if found := self._remembered.get(text):
            self._remembered.move_to_end(text)
        return found

    def _learn(self, tokens: Tokens, analysis: Analysis) -> None:
        if len(tokens.text) > MAX_CHARS or tokens.text in self._always:
            return
        came = hash(tokens.text)
        if came in self._once or came in self._once_before:
            self._remembered[tokens.text] = Remembered(analysis, tokens.count, tokens.unknown)
            if len(self._remembered) > self._most:
                self._remembered.popitem(last=False)
            return
        self._once.add(came)
        if len(self._once) >= HASHES_A_TEXT * self._most:
            self._once, self._once_before = set(), self._once
