"""What a network's scores lose in fewer bits: the same held-out rows, scored by PyTorch's own numbers and by those shipped."""

from collections.abc import Mapping, Sequence

from textstream.errors import Misconfigured
from textstream.model.scorer import Scorer
from textstream_export.data import Row
from textstream_export.evaluate import Verdict, judge, said_labels
from textstream_export.gold import gold_sets, kind_of, message_labels, term_labels
from textstream_export.measures import Scores, key, label_scores, set_scores

MAX_LOSS = 0.005
"""Of each task's score in each language."""
MAX_ROWS = 2000
"""Of one language and task: a score's own error is then 0.2 points where 1 % of the labels differ."""
PREFIX = "precision/"
"""Scores of what precisions lose begin with this, then the precision, language and task."""


def losses(exact: Scorer, shipped: Mapping[str, Scorer], held_out: Sequence[Row]) -> Scores:
    """precision/NAME/language/task: what the scorer of that name loses. Raises Misconfigured where it is too much."""
    rows = sample(held_out)
    best = task_scores(judge(exact, rows))
    found: Scores = {}
    for name, scorer in shipped.items():
        own = task_scores(judge(scorer, rows))
        found |= {f"{PREFIX}{name}/{task}": round(best[task] - own[task], 4) for task in best}
    worst = max(found, key=found.__getitem__, default="")
    if worst and found[worst] > MAX_LOSS:
        raise Misconfigured(
            f"{worst.removeprefix(PREFIX)} loses {100 * found[worst]:.2f} points, at most {100 * MAX_LOSS:g} may go"
        )
    return found


def sample(rows: Sequence[Row]) -> list[Row]:
    """At most MAX_ROWS of each language and task, evenly from all."""
    groups: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.lang, row.label is None), []).append(row)
    chosen = (group[:: -(-len(group) // MAX_ROWS)] for _, group in sorted(groups.items()))
    return [row for group in chosen for row in group]


def task_scores(verdicts: Sequence[Verdict]) -> Scores:
    """language/task → macro-F1 of labels, or micro-F1 of the key terms that are of the gold's own kind."""
    scores: Scores = {}
    for language in sorted({v.row.lang for v in verdicts}):
        own = [v for v in verdicts if v.row.lang == language]
        if labelled := [v for v in own if v.row.label]:
            said = said_labels([v.event["sentiment"] for v in labelled])
            scores[f"{language}/sentiment"] = label_scores(message_labels([v.row for v in labelled]), said)["macro_f1"]
        if termed := [v for v in own if v.row.terms is not None or v.row.aspects is not None]:
            emitted = [[key(t["text"]) for t in v.event["key_terms"] if t["kind"] == kind_of(v.row)] for v in termed]
            scores[f"{language}/key_terms"] = set_scores(gold_sets([v.row for v in termed]), emitted)[2]
        if judged := [v for v in own if v.row.aspects]:
            said = said_labels([mood for v in judged for mood in v.towards])
            scores[f"{language}/key_term_sentiment"] = label_scores(term_labels([v.row for v in judged]), said)["macro_f1"]
    return scores
