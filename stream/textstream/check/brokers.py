"""What the brokers say of a pipeline, judged: capabilities, rights, topics, how records are kept, clocks.

The judgements are pure: they take what `kafka.survey` has seen.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from textstream.check.finding import NOW, Check, tried
from textstream.core.codec import CLOCK_SKEW_MS
from textstream.core.ports import Topics
from textstream.errors import TextstreamError, Transient
from textstream.kafka.survey import Seen, SeenGroup, Survey
from textstream.kafka.topics import named
from textstream.settings import Kafka, Settings

DAY_MS = 86_400_000
SHORTEST_RETENTION_MS = DAY_MS
"""An input that keeps less loses what a worker that was away for a day has not read."""
HEADERS_BYTES = 8_192
"""What an outcome's headers add to its record, at most about."""
CONSUMER_GROUP_HEARTBEAT, TRANSACTIONS = 68, frozenset({22, 24, 25, 26, 28})
"""Numbers of Kafka's requests (KIP-35): what KIP-848 joins a group by, and what a transaction is made of."""
PROTOCOLS_SETTING = "group.coordinator.rebalance.protocols"


def broker_checks(settings: Settings) -> Iterator[Check]:
    """Each check as soon as it is done; what rests on one that failed is left out."""
    survey = Survey(settings.kafka)
    try:
        cluster, brokers = survey.cluster()
        yield Check("broker", f"answers: cluster {cluster}, {_count(brokers, 'broker')}")
        topics = named(settings.input, settings.output, survey.partitions())
        if not survey.describes():
            yield tried("topics", lambda: _existing(topics, survey.inspect(topics).partitions))
            yield Check("rights", "not told: this broker has no controller to ask", "check again on Apache Kafka")
            return
        yield capabilities(settings, survey.apis(), survey.broker_setting(PROTOCOLS_SETTING))
        seen = survey.topics(list(dict.fromkeys(name for one in topics for name in one.all)))
        group = survey.group()
        yield from rights(settings.kafka, topics, seen, group)
        if settings.delivery.guarantee == "exactly_once":
            yield transactional_id(settings.kafka, group, survey)
        if not any(seen[name].hidden for one in topics for name in (one.input, one.enriched, one.dead)):
            yield from _look_at(topics, seen, brokers)
    except TextstreamError as error:
        yield Check("broker" if isinstance(error, Transient) else "topics", str(error), exit_status=error.exit_status)


def _look_at(topics: Sequence[Topics], seen: Mapping[str, Seen], brokers: int) -> Iterator[Check]:
    for one in topics:
        for name in (one.input, one.enriched, one.dead):
            if not seen[name].partitions:
                yield Check("topics", f"topic {name} does not exist", "create it, or run `textstream topics create`", NOW)
    if all(seen[name].partitions for one in topics for name in (one.input, one.enriched, one.dead)):
        yield Check("topics", _existing(topics, {name: len(each.partitions) for name, each in seen.items() if each.partitions}))
        yield from replicas(topics, seen, brokers)
        yield from retention(topics, seen)
        yield from clocks(topics, seen, int(time.time() * 1000))


def _existing(topics: Sequence[Topics], partitions: Mapping[str, int]) -> str:
    counts = [f"{name} ({partitions[name]})" for one in topics for name in one.all if name in partitions]
    missing = [one.replay for one in topics if one.replay not in partitions]
    to_do = f"; nothing can be replayed without {', '.join(missing)}: `textstream topics create`" if missing else ""
    return f"exist, with partitions: {', '.join(counts)}{to_do}"


# ---- what the brokers can --------------------------------------------------------------------------------------------


def capabilities(settings: Settings, apis: set[int], protocols: str | None) -> Check:
    """Whether they speak what the settings ask for. `protocols` are those that groups may use, None where that is not told."""
    if not apis:
        return Check(
            "capabilities", "the brokers do not tell what they can", "compare with their version: textstream needs 2.1"
        )
    if settings.kafka.group_protocol == "consumer":
        to_do = "set kafka.group_protocol = classic, or upgrade the brokers to Kafka 4.0"
        if CONSUMER_GROUP_HEARTBEAT not in apis:
            return Check("capabilities", "kafka.group_protocol = consumer, which these brokers do not know", to_do, NOW)
        if protocols is not None and "consumer" not in protocols.split(","):
            finding = f"kafka.group_protocol = consumer, and these brokers have {PROTOCOLS_SETTING} = {protocols}"
            return Check("capabilities", finding, f"{to_do}, or add it there", NOW)
    if settings.delivery.guarantee == "exactly_once" and not apis >= TRANSACTIONS:
        finding = "delivery.guarantee = exactly_once, and these brokers know no transactions"
        return Check("capabilities", finding, "set delivery.guarantee = at_least_once, or upgrade the brokers", NOW)
    known = (
        ("transactions", apis >= TRANSACTIONS),
        ("groups that the brokers assign (KIP-848)", CONSUMER_GROUP_HEARTBEAT in apis),
    )
    return Check("capabilities", "; ".join(f"{what}: {'yes' if there else 'no'}" for what, there in known))


# ---- rights ----------------------------------------------------------------------------------------------------------


def rights(kafka: Kafka, topics: Sequence[Topics], seen: Mapping[str, Seen], group: SeenGroup) -> Iterator[Check]:
    """One line for each right that is missing, with the command that gives it; or one for all."""
    needed = [(one.input, "READ") for one in topics]
    needed += [(one.replay, "READ") for one in topics if seen[one.replay].partitions]
    needed += [(name, "WRITE") for one in topics for name in (one.enriched, one.dead)]
    missing = [_missing_right(kafka, operation, "topic", name) for name, operation in needed if _denied(seen[name], operation)]
    if "READ" not in group.may:
        missing.append(_missing_right(kafka, "READ", "group", kafka.group_id))
    yield from missing
    if not missing:
        yield Check("rights", f"all that a worker needs, on {_count(len(needed), 'topic')} and group {kafka.group_id}")


def transactional_id(kafka: Kafka, group: SeenGroup, survey: Survey) -> Check:
    """The right to be transactional, tried under an id that no worker has: taking one shuts out whoever had it."""
    if kafka.group_instance_id in group.instances:
        return Check("rights", f"transactional id {kafka.group_id}-{kafka.group_instance_id}: not tried, a worker is using it")
    identity = f"{kafka.group_id}-{kafka.group_instance_id or 'check'}"
    if survey.may_be_transactional(identity):
        return Check("rights", f"transactional id {identity} may be used")
    if kafka.group_instance_id:
        return _missing_right(kafka, "WRITE", "transactional-id", identity)
    return _missing_right(kafka, "WRITE", "transactional-id", f"{kafka.group_id}-", " --resource-pattern-type prefixed")


def _denied(seen: Seen, operation: str) -> bool:
    """A topic that is not there is no matter of rights."""
    return seen.hidden or bool(seen.partitions and operation not in seen.may)


def _missing_right(kafka: Kafka, operation: str, kind: str, name: str, how: str = "") -> Check:
    user = kafka.client.get("sasl.username", "…")
    to_do = f"kafka-acls.sh --add --allow-principal User:{user} --operation {operation.title()} --{kind} {name}{how}"
    return Check("rights", f"this user may not {operation} {kind} {name}", to_do, NOW)


# ---- topics ----------------------------------------------------------------------------------------------------------


def replicas(topics: Sequence[Topics], seen: Mapping[str, Seen], brokers: int) -> Iterator[Check]:
    """What is wrong with partitions now, and what one broker less would do."""
    for one in topics:
        there = [seen[name] for name in one.all if seen[name].partitions]
        for each in there:
            yield from _of_now(each)
            yield from _of_one_broker_less(each, brokers)
        count = len(seen[one.input].partitions)
        if others := [each.name for each in there[1:] if len(each.partitions) != count]:
            finding = f"{', '.join(others)}: not as many partitions as {one.input} ({count}), so their messages go by key"
            yield Check("topics", finding, f"for the order of {one.input} give them {count} partitions")


def _of_now(each: Seen) -> Iterator[Check]:
    away = [str(number) for number, (leader, _, _) in enumerate(each.partitions) if not leader]
    if away:
        finding = f"{each.name}: no leader for partition {', '.join(away)}"
        yield Check("topics", finding, "bring their brokers back", Transient.exit_status)
    least = int((each.config or {}).get("min.insync.replicas", 1))
    if refusing := [str(number) for number, (leader, _, isr) in enumerate(each.partitions) if leader and isr < least]:
        finding = f"{each.name}: fewer replicas in sync than min.insync.replicas = {least} in partition {', '.join(refusing)}"
        yield Check("topics", finding, "bring their brokers back: writes are refused", Transient.exit_status)
    elif behind := [str(number) for number, (_, replicas, isr) in enumerate(each.partitions) if isr < replicas]:
        yield Check("topics", f"{each.name}: replicas out of sync in partition {', '.join(behind)}", "look at the brokers")


def _of_one_broker_less(each: Seen, brokers: int) -> Iterator[Check]:
    replicas = min(count for _, count, _ in each.partitions)
    if brokers > 1 and replicas == 1:
        yield Check("topics", f"{each.name} has one replica", "its records are gone with a broker: have 3")
    elif replicas > 1 and each.config is not None:
        least = int(each.config.get("min.insync.replicas", 1))
        if least == 1:
            yield Check(
                "topics", f"{each.name}: min.insync.replicas = 1", "have 2, or a record that was acknowledged may be lost"
            )
        elif least >= replicas:
            finding = f"{each.name}: min.insync.replicas = {least} of {replicas} replicas"
            yield Check("topics", finding, "have one more replica: no broker may be away")


# ---- how records are kept --------------------------------------------------------------------------------------------


def retention(topics: Sequence[Topics], seen: Mapping[str, Seen]) -> Iterator[Check]:
    """One line for each setting of a topic that may do harm; or one for all."""
    untold = [name for one in topics for name in one.all if seen[name].partitions and seen[name].config is None]
    hints = [hint for one in topics for hint in _hints(one, {name: seen[name].config or {} for name in one.all})]
    for finding, to_do in hints:
        yield Check("retention", finding, to_do)
    if untold:
        finding = f"not told of {', '.join(untold)}"
        yield Check(
            "retention", finding, "allow DescribeConfigs on them: until then Kafka's defaults are taken for their limits"
        )
    elif not hints:
        kept = ", ".join(f"{one.input} {_kept(seen[one.input].config or {})}" for one in topics)
        yield Check("retention", f"nothing is lost or refused by the settings of the topics; kept: {kept}")


def _hints(one: Topics, config: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    kept_ms = int(config[one.input].get("retention.ms", -1))
    if "delete" in config[one.input].get("cleanup.policy", "") and 0 <= kept_ms < SHORTEST_RETENTION_MS:
        yield f"{one.input} keeps records for {_span(kept_ms)}", "raise retention.ms: what no worker has read by then is lost"
    if int(config[one.input].get("retention.bytes", -1)) >= 0:
        yield f"{one.input} has retention.bytes", "see that a partition holds a day: what no worker has read by then is lost"
    if "compact" in config[one.input].get("cleanup.policy", ""):
        yield f"{one.input} is compacted", "expect an event for the last message of a key only, where workers are behind"
    for name in (one.enriched, one.dead):
        if "compact" in config[name].get("cleanup.policy", ""):
            yield f"{name} is compacted", "give every message a key, or set cleanup.policy = delete: a null key is refused"
        if config[name].get("message.timestamp.type") == "LogAppendTime":
            yield f"{name} has message.timestamp.type = LogAppendTime", "set CreateTime, or do without the producers' times"
    yield from _sizes(one, {name: int(values["max.message.bytes"]) for name, values in config.items() if values})


def _sizes(one: Topics, most: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    if not most.get(one.input):
        return
    for name, then in (
        (one.enriched, "an event beyond it becomes a dead letter"),
        (one.dead, "a dead letter beyond it is cut"),
    ):
        if name in most and most[name] < most[one.input]:
            finding = f"{name} takes {most[name]} bytes, {one.input} {most[one.input]}"
            yield finding, f"raise its max.message.bytes to {most[one.input] + HEADERS_BYTES}: {then}"


def _kept(config: Mapping[str, str]) -> str:
    milliseconds = int(config.get("retention.ms", -1))
    return "for ever" if milliseconds < 0 or "delete" not in config.get("cleanup.policy", "delete") else _span(milliseconds)


# ---- clocks ----------------------------------------------------------------------------------------------------------


def clocks(topics: Sequence[Topics], seen: Mapping[str, Seen], now_ms: int) -> Iterator[Check]:
    """The newest record of each input beside this machine's clock; an idle topic is as good as any."""
    for one in topics:
        newest_ms = seen[one.input].newest_ms
        if newest_ms is None:
            yield Check("clock", f"{one.input} has no record with a time yet")
            continue
        try:
            when = f"{datetime.fromtimestamp(newest_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        except (OverflowError, ValueError):  # a producer that counts in other units
            when = f"{newest_ms} ms after 1970"
        ahead_ms = newest_ms - now_ms
        if ahead_ms > CLOCK_SKEW_MS:
            finding = f"the newest record of {one.input} is of {when}, {_span(ahead_ms)} ahead of the clock here"
            yield Check(
                "clock", finding, "set the clocks of producers and of this machine by NTP: latency and lag in seconds lie"
            )
        else:
            ago = f", {_span(-ahead_ms)} ago" if ahead_ms < 0 else ""
            yield Check("clock", f"the newest record of {one.input} is of {when}{ago}")


def _span(milliseconds: int) -> str:
    for unit, size in (("days", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= 2 * size:
            return f"{milliseconds / size:.0f} {unit}"
    return f"{milliseconds} ms"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)
