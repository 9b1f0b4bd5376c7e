"""Text: what comes in, what the model says of it, and whether either has changed."""

from deploy.grafana.generate.panels import JOB, WORKER, Frame, Limits, Query, dashboard, density, lines, shares
from deploy.grafana.generate.pipeline import WINDOW, quantile, rate


def per(count: str, of: str, by: str = "language") -> str:
    """How many of one counter come with each of another."""
    return f"{rate(count, by)} / {rate(of, by)}"


CHANGED = [
    lines(
        Frame(
            "Has the text changed?",
            "Population stability index of the last window against the texts that the model was measured on: below 0.1 no"
            " change, above 0.25 a shift. Absent until a window is full, and where the bundle has no reference.",
            "TextstreamDrift", 16, 9,
        ),
        [Query(f'job:textstream_drift_psi:avg{{{JOB}, feature!="language"}}', "{{feature}}, {{language}}")],
        "short",
        Limits(0.1, 0.25),
    ),
    lines(
        Frame(
            "Has the mix of languages changed?",
            "The same of the languages; it follows the senders and the hour, and no score suffers from it.",
            "TextstreamDrift", 8, 9,
        ),
        [Query(f'job:textstream_drift_psi:avg{{{JOB}, feature="language"}}', "languages")],
        "short",
        Limits(0.1, 0.25),
    ),
]  # fmt: skip

IN = [
    lines(
        Frame("Messages by language", "Other: no language of the model; such messages go through unscored.", width=12),
        [Query(rate("textstream_text_messages_total", "language"), "{{language}}")],
        "cps",
    ),
    shares(
        Frame("Languages", "The same as shares.", width=12),
        Query(rate("textstream_text_messages_total", "language"), "{{language}}"),
    ),
    lines(
        Frame("How long are the texts?", "Mean tokens of a message."),
        [Query(per("textstream_text_tokens_total", "textstream_text_messages_total"), "{{language}}")],
        "short",
    ),
    lines(
        Frame(
            "How many words are unknown?",
            "Share of tokens that the model has no row for: a new subject, or no language.",
            "TextstreamDrift",
        ),
        [Query(per("textstream_text_unknown_tokens_total", "textstream_text_tokens_total"), "{{language}}")],
        "percentunit",
    ),
    lines(
        Frame("How many texts are cut?", "Share of messages longer than the model reads."),
        [Query(per("textstream_text_truncated_total", "textstream_text_messages_total"), "{{language}}")],
        "percentunit",
    ),
]

OUT = [
    shares(
        Frame("Sentiment", "Labels of all scored messages.", width=12),
        Query(rate("textstream_sentiment_total", "label"), "{{label}}"),
    ),
    lines(
        Frame("Sentiment by language", "Share of each label among the messages of its language.", "TextstreamDrift", 12),
        [
            Query(
                f"{rate('textstream_sentiment_total', 'language, label')}"
                f" / on (language) group_left {rate('textstream_sentiment_total', 'language')}",
                "{{language}} {{label}}",
            )
        ],
        "percentunit",
    ),
    density(
        Frame("How sure is the model?", "Probability of the label that was given; a third is a guess among three."),
        Query(f"sum by (le) (increase(textstream_confidence_bucket{{{WORKER}}}{WINDOW}))", "{{le}}"),
        "percentunit",
    ),
    lines(
        Frame("How sure, by language?", "Mean, and what a tenth of the messages stays below.", "TextstreamDrift"),
        [
            Query(per("textstream_confidence_sum", "textstream_confidence_count"), "{{language}} mean"),
            Query(quantile(0.1, "textstream_confidence", "language"), "{{language}} lowest tenth"),
        ],
        "percentunit",
    ),
    lines(
        Frame("Key terms", "Per message, by kind."),
        [
            Query(
                f"{rate('textstream_key_terms_total', 'kind')} / on () group_left {rate('textstream_text_messages_total')}",
                "{{kind}}",
            )
        ],
        "short",
    ),
]

DASHBOARD = dashboard(
    "textstream-text",
    "textstream: Text",
    "What comes in, what the model says of it, and whether either has changed.",
    ("Has the text changed?", CHANGED),
    ("What comes in?", IN),
    ("What does the model say?", OUT),
)
