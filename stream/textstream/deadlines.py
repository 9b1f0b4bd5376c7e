"""Limits that must stand in this order: the worst batch < what a revoked partition takes at most < the group's patience.

A batch that outlasts `delivery.drain_timeout_s` could not be finished when its partition is revoked, so it would be scored
again, by the next owner in vain too. And while a revoked partition drains nothing is polled: a drain longer than the
consumer's `max.poll.interval.ms` gets the member thrown out of the group. Under exactly-once an abort may follow it, which has
the same limit; and a transaction must be committed before the broker takes it for one that a dead worker left open. A batch
that outlasts `observe.stall_after_s` would be taken for a stuck one, and end the process.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from textstream.core.process import Scorer
from textstream.errors import Misconfigured
from textstream.model.cascade import Cascade
from textstream.settings import Settings

MAX_POLL_INTERVAL_MS = 300_000
"""librdkafka's default."""
SENTENCES = ("The room was lovely, the staff were rude. ", "房间很好，服务很差。")
"""What the longest texts are made of, one for each language: a bundle may have a network for each."""
LONG = 2_500
"""So many of a sentence are more tokens than any model reads of one text."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """All in seconds."""

    worst_batch_s: float
    drain_timeout_s: float
    max_poll_interval_s: float
    stall_after_s: float
    commit_interval_s: float
    transaction_timeout_s: float | None
    """None where there are no transactions."""

    def __str__(self) -> str:
        return (
            f"worst batch {self.worst_batch_s:.2g} s, delivery.drain_timeout_s {self.drain_timeout_s:g} s,"
            f" max.poll.interval.ms {self.max_poll_interval_s:g} s, observe.stall_after_s {self.stall_after_s:g} s"
        )

    @property
    def revoke_s(self) -> float:
        """The longest that a revoked partition may hold up polling: the drain, and an abort where there are transactions."""
        return self.drain_timeout_s if self.transaction_timeout_s is None else 2 * self.drain_timeout_s

    def prove(self) -> None:
        """Raise `Misconfigured` where they do not stand in this order."""
        if not self.revoke_s < self.max_poll_interval_s:
            twice = "" if self.transaction_timeout_s is None else "twice "
            raise Misconfigured(
                f"{self}: {twice}the drain limit must be less than the poll interval: lower delivery.drain_timeout_s or raise"
                " max.poll.interval.ms under [kafka.consumer]"
            )
        if self.transaction_timeout_s is not None and not self.commit_interval_s < self.transaction_timeout_s:
            raise Misconfigured(
                f"{self}: the broker ends transactions after {self.transaction_timeout_s:g} s (delivery.transaction_timeout_s),"
                f" and we after {self.commit_interval_s:g} s: lower delivery.commit_interval_ms or raise that"
            )
        if not self.worst_batch_s < self.drain_timeout_s:
            raise Misconfigured(
                f"{self}: the worst batch must take less than the drain limit: lower batch.max_tokens or raise"
                " delivery.drain_timeout_s"
            )
        if not self.worst_batch_s < self.stall_after_s:
            raise Misconfigured(
                f"{self}: the worst batch would be taken for a stuck one: lower batch.max_tokens or raise observe.stall_after_s"
            )


def measured(settings: Settings, scorer: Scorer, clock: Callable[[], float] = time.perf_counter) -> Deadlines:
    """The limits of these settings; the worst batch is measured, which takes as long as one for each language."""
    kafka = settings.kafka
    interval_ms = (kafka.client | kafka.consumer).get("max.poll.interval.ms", MAX_POLL_INTERVAL_MS)
    models = scorer.models if isinstance(scorer, Cascade) else (scorer,)  # it may be unsure of all that it is given
    worst_batch_s = sum(worst_batch(model, settings.batch.max_tokens, clock) for model in models)
    delivery = settings.delivery
    return Deadlines(
        worst_batch_s,
        delivery.drain_timeout_s,
        int(interval_ms) / 1000,
        settings.observe.stall_after_s,
        delivery.commit_interval_ms / 1000,
        delivery.transaction_timeout_s if delivery.guarantee == "exactly_once" else None,
    )


def worst_batch(model: Scorer, max_tokens: int, clock: Callable[[], float]) -> float:
    """Seconds for a batch of that many tokens, or of one message where that may have more, all in windows of full length."""
    worst = 0.0
    for sentence in SENTENCES:
        longest = model.tokenise([sentence * LONG])[0]  # cut at what the model reads of one text
        batch = [longest] * -(-max_tokens // longest.count)
        started = clock()
        model.analyse(batch)
        worst = max(worst, clock() - started)
    return worst
