"""Two models as one: a fast one scores everything, a better one scores again what the fast one is unsure of.

Unsure means a small margin: the difference between the two largest of the calibrated probabilities. `textstream-export
cascade` measures what each margin costs and gains.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from textstream.analysis import EncodedAnalysis
from textstream.drift import Reference
from textstream.errors import Misconfigured
from textstream.event import EnrichedEvent, ModelInfo
from textstream.model.bundle import MANIFEST
from textstream.model.calibrate import DIGITS
from textstream.model.scorer import Scorer
from textstream.model.tokens import Tokens
from textstream.quality import Computed


class Model(Protocol):
    """Either of the two: a `Scorer`, or a fake in tests."""

    info: ModelInfo

    @property
    def reference(self) -> Reference | None:
        """What the texts were like that it was measured on."""
        ...

    @property
    def computed(self) -> Computed:
        """What its passes have computed so far."""
        ...

    def tokenise(self, texts: Sequence[str]) -> Sequence[Tokens]:
        """One for each text."""
        ...

    def analyse(self, batch: Sequence[Tokens]) -> list[EncodedAnalysis]:
        """One for each of `batch`."""
        ...


class Cascade:
    """Scores with `first`, and again with `second` where the margin is below `margin`.

    An analysis names which of the two gave it, under one digest for both and the margin: so whoever drops duplicates by
    `id` and `model.digest` keeps one event for each message, also where the other model scored it the second time.
    """

    def __init__(self, first: Model, second: Model, margin: float) -> None:
        both = sha256(f"{first.info['digest']} {second.info['digest']} {margin!r}".encode())
        digest = f"sha256:{both.hexdigest()}"
        self.margin = margin
        self.models = first, second
        self._by_first, self._by_second = (ModelInfo({**model.info, "digest": digest}) for model in (first, second))
        self.info = ModelInfo(
            name=f"{first.info['name']}+{second.info['name']}",
            version=f"{first.info['version']}+{second.info['version']}",
            digest=digest,
        )

    def that_scored(self, event: EnrichedEvent) -> Model:
        """The one of the two that gave the event's analysis."""
        return self.models[event["model"] != self._by_first]

    @property
    def reference(self) -> Reference | None:
        """That of `first`, but for what `second` has a say in: nobody measured the two together."""
        told = self.models[0].reference
        return told and told.without("sentiment", "confidence")

    @property
    def computed(self) -> Computed:
        """By both."""
        return self.models[0].computed.plus(*self.models[1].computed)

    def tokenise(self, texts: Sequence[str]) -> Sequence[Tokens]:
        """As `first` reads them."""
        return self.models[0].tokenise(texts)

    def analyse(self, batch: Sequence[Tokens]) -> list[EncodedAnalysis]:
        """The analysis of each text, in the order given."""
        first, second = self.models
        analyses = [said._replace(model=self._by_first) for said in first.analyse(batch)]
        unsure = [i for i, said in enumerate(analyses) if margin(said.probabilities) < self.margin]
        again = second.analyse(second.tokenise([batch[i].text for i in unsure])) if unsure else []
        for i, said in zip(unsure, again, strict=True):
            if said.label is not None:
                analyses[i] = said._replace(model=self._by_second)
        return analyses


def margin(probabilities: Collection[float] | None) -> float:
    """How much more likely the label is than the next; 1 where there is no label to be unsure of."""
    if probabilities is None:
        return 1.0
    _, second, first = sorted(probabilities)
    return round(first - second, DIGITS)


def load(bundle: str | Path, *, cascade: str | Path | None, cascade_margin: float, **options: Any) -> Scorer | Cascade:
    """The scorer of `bundle`, or with `cascade` its cascade with the bundle there; options are those of `Scorer.load`."""
    first = Scorer.load(bundle, **options)
    if cascade is None:
        return first
    second = Scorer.load(cascade, **options)
    if second.info["digest"] == first.info["digest"]:
        raise Misconfigured(f"model.cascade names the bundle that scores already ({first.info['name']}): name a better one")
    name, other = (f"{scorer.info['name']} {scorer.info['version']}" for scorer in (first, second))
    if name == other:
        raise Misconfigured(
            f"model.bundle and model.cascade are both called {name}, and events could not say which of the two scored: "
            f"give one of them another name in its {MANIFEST}"
        )
    return Cascade(first, second, cascade_margin)
