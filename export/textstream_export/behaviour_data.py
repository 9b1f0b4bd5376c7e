"""What a behaviour template is, and how one becomes cases. The words and templates are in `behaviour_en`, `behaviour_zh`.

Slots: `{word}` draws from the language's list of that name, `{word2}` another one of it; `{a}` and `{b}` are two aspects of
one thing, `{a_good}` and `{a_bad}` what people say of `{a}`; `{here}` is the place that has them, and keeps the draw to places;
`{word:upper}` and `{word:lower}` change the case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal
from zlib import crc32

from textstream.event import Label
from textstream_export.names import KEPT, KEPT_SURNAMES

FILLS = 50
"""Cases of one template."""
MOVED = 0.2
"""How far the score may move where the meaning did not change: a fifth of the way from no mood to a full one."""
SWAPPED = 0.06
"""The same for a name or a gender, which must not matter at all."""

Kind = Literal["expected", "towards", "invariance", "direction"]


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that people praise or blame, and the words they do it with, parted by "|"."""

    area: str
    noun: str
    good: str
    bad: str


@dataclass(frozen=True, slots=True)
class Template:
    """One behaviour: phrasings that take turns, and what must hold for each case.

    expected    one text: its label is one of `labels`
    towards     one text: the sentiment towards {a} is positive, towards {b} negative
    invariance  two texts: the scores differ by `size` at most
    direction   two texts: the second's score, times `sign`, is more than the first's, less `size`
    """

    capability: str
    name: str
    kind: Kind
    phrasings: tuple[tuple[str, ...], ...]
    labels: frozenset[Label] = frozenset()
    sign: int = 0
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class Language:
    """The suite in one language."""

    code: Literal["en", "zh"]
    aspects: tuple[Aspect, ...]
    here: Mapping[str, str]
    words: Mapping[str, str]
    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One filled template: one text, or two; `towards` is the label expected of each term, where that is what is tested."""

    texts: tuple[str, ...]
    towards: tuple[tuple[str, Label], ...] = ()


def expected(capability: str, name: str, labels: str, *phrasings: str) -> Template:
    """The label is one of `labels`, parted by "|"."""
    known: dict[str, Label] = {"negative": "negative", "neutral": "neutral", "positive": "positive"}
    wanted = frozenset(known[label] for label in labels.split("|"))
    return Template(capability, name, "expected", tuple((p,) for p in phrasings), labels=wanted)


def towards(capability: str, name: str, *phrasings: str) -> Template:
    """Praise for {a}, blame for {b}."""
    return Template(capability, name, "towards", tuple((p,) for p in phrasings))


def invariant(capability: str, name: str, *pairs: tuple[str, str], size: float = MOVED) -> Template:
    """The score stays where it is."""
    return Template(capability, name, "invariance", pairs, size=size)


def moves(capability: str, name: str, sign: Literal[-1, 1], *pairs: tuple[str, str], slack: float = 0.0) -> Template:
    """The score goes up or down; by `slack` it may go the other way."""
    return Template(capability, name, "direction", pairs, sign=sign, size=slack)


def fill(template: Template, language: Language) -> tuple[Case, ...]:
    """FILLS different cases, the same ones each time; the phrasings take turns."""
    rng = Random(crc32(f"{language.code} {template.name}".encode()))
    words = {name: _drawable(said, language.code) for name, said in language.words.items()}
    cases: dict[tuple[str, ...], Case] = {}
    tries = 0
    while len(cases) < FILLS:
        assert tries < 100 * FILLS, f"{template.name!r} has too few fills"
        phrasing = template.phrasings[tries % len(template.phrasings)]
        case = _filled(phrasing, template.kind, language, words, rng)
        cases.setdefault(case.texts, case)
        tries += 1
    return tuple(cases.values())


_SLOT = re.compile(r"\{([a-z_]+?)(2?)(?::(upper|lower))?\}")


def _filled(
    phrasing: tuple[str, ...], kind: Kind, language: Language, words: Mapping[str, tuple[str, ...]], rng: Random
) -> Case:
    places = any("{here}" in text for text in phrasing)
    first = rng.choice([a for a in language.aspects if a.area in language.here or not places])
    second = rng.choice([a for a in language.aspects if a.area == first.area and a.noun != first.noun])
    said = {"here": _one(language.here.get(first.area, ""), rng)}
    for part, aspect in (("a", first), ("b", second)):
        said |= {part: aspect.noun, f"{part}_good": _one(aspect.good, rng), f"{part}_bad": _one(aspect.bad, rng)}

    def slot(found: re.Match[str]) -> str:
        name, number, case = found.groups()
        if name not in said:
            said[name], said[name + "2"] = rng.sample(words[name], 2)
        word = said[name + number]
        return {"upper": word.upper(), "lower": word.lower()}.get(case, word)

    texts = tuple(_begun(_SLOT.sub(slot, text), text) for text in phrasing)
    terms: tuple[tuple[str, Label], ...] = ((first.noun, "positive"), (second.noun, "negative"))
    return Case(texts, terms if kind == "towards" else ())


def _begun(text: str, phrasing: str) -> str:
    """A text that begins with a word of a list begins with a capital."""
    return text[:1].upper() + text[1:] if phrasing.startswith("{") else text


def _one(said: str, rng: Random) -> str:
    return rng.choice(said.split("|"))


def _drawable(said: str, code: str) -> tuple[str, ...]:
    """The words of a list; <name>, <female>, <male> and <surname> stand for names that no augmentation showed."""
    names = KEPT[code]
    kinds = {"<name>": names.every, "<female>": names.female, "<male>": names.male, "<surname>": KEPT_SURNAMES}
    return kinds.get(said) or tuple(said.split("|"))
