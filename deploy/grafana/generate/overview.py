"""Overview: is it keeping up, how late are results, what is dropped and why, which partition is stuck, has the text changed?"""

from deploy.grafana.generate.panels import JOB, TOPIC, UP, WORKER, Frame, Limits, Query, dashboard, lines, number, rows, shares

OF = f"{JOB}, {TOPIC}"
BUDGET = "(1 - scalar(objective:textstream_on_time:ratio))"
OUTCOMES = f"sum(topic:textstream_outcomes:rate5m{{{OF}}})"
DEAD = f'sum(topic:textstream_outcomes:rate5m{{{OF}, outcome="dead"}})'
FEATURES = 'feature!="language"'

GLANCE = [
    number(
        Frame("Alerts that fire", "Pages and tickets of rules.yml; their list stands below.", "Runbook", 4, 4),
        Query('count(ALERTS{alertname=~"Textstream.+", alertstate="firing", severity=~"page|ticket"}) or vector(0)'),
        "short",
        Limits(bad=1),
    ),
    number(
        Frame("Is it keeping up?", "How long the oldest message that waits has waited.", "TextstreamLagTooLong", 4, 4),
        Query(f"max(partition:textstream_lag_seconds:max{{{OF}}})"),
        "s",
        Limits(30, 300),
    ),
    number(
        Frame(
            "How late are the results?",
            "99 % of the messages of the last 5 minutes had their outcome within this time of being sent. All topics.",
            "TextstreamLatencyBurnFast", 4, 4,
        ),
        Query(f"max(job:textstream_end_to_end_seconds:p99_rate5m{{{JOB}}})"),
        "s",
    ),
    number(
        Frame(
            "Latency budget burn",
            "1: the last hour's late messages are just what the objective allows. 14.4 spends a month's budget in 2 days.",
            "TextstreamLatencyBurnFast", 4, 4,
        ),
        Query(f"max(job:textstream_late:ratio_rate1h{{{JOB}}}) / {BUDGET}"),
        "short",
        Limits(1, 6),
    ),
    number(
        Frame("What share is dropped?", "Dead letters among the outcomes of 5 minutes.", "TextstreamDeadLetters", 4, 4),
        Query(f"({DEAD} or vector(0)) / {OUTCOMES}"),
        "percentunit",
        Limits(0.005, 0.02),
    ),
    number(
        Frame("Workers that are not ready", "Of all that are scraped, answering or not.", "TextstreamNoWorkerReady", 4, 4),
        Query(f"count({UP}, {JOB}}}) - (sum(textstream_ready{{{JOB}}}) or vector(0))"),
        "short",
        Limits(bad=1),
    ),
]  # fmt: skip

KEEPING_UP = [
    lines(
        Frame("Read and finished", "Where finished stays below read, messages pile up in the worker.", "TextstreamNoProgress"),
        [
            Query(f"sum(topic:textstream_records_polled:rate5m{{{OF}}})", "read"),
            Query(OUTCOMES, "finished"),
        ],
        "cps",
    ),
    lines(
        Frame("How long do messages wait?", "The oldest waiting message of each topic.", "TextstreamLagTooLong"),
        [Query(f"max by (topic) (partition:textstream_lag_seconds:max{{{OF}}})", "{{topic}}")],
        "s",
        Limits(30, 300),
    ),
    lines(
        Frame("How many messages wait?", "Growing for an hour: too few workers.", "TextstreamLagGrowing"),
        [Query(f"sum by (topic) (partition:textstream_lag_messages:max{{{OF}}})", "{{topic}}")],
        "short",
    ),
]

LATE = [
    lines(
        Frame("From sent to finished", "Median and 99 % of all messages, all topics of a job.", "TextstreamLatencyBurnFast"),
        [
            Query(f"job:textstream_end_to_end_seconds:p50_rate5m{{{JOB}}}", "half, {{job}}"),
            Query(f"job:textstream_end_to_end_seconds:p99_rate5m{{{JOB}}}", "99 %, {{job}}"),
        ],
        "s",
    ),
    lines(
        Frame(
            "In time",
            "Share of messages within the objective's time limit (rules.yml), and the objective.",
            "TextstreamLatencyBurnSlow",
        ),
        [
            Query(f"1 - job:textstream_late:ratio_rate5m{{{JOB}}}", "in time, {{job}}"),
            Query("objective:textstream_on_time:ratio", "objective"),
        ],
        "percentunit",
        floor=0.9,
    ),
    lines(
        Frame(
            "How fast is the latency budget spent?",
            "1 is as fast as the objective allows. A page: 14.4 over an hour or 6 over six hours; a ticket: 1 over three days.",
            "TextstreamLatencyBurnFast",
        ),
        [
            Query(f"job:textstream_late:ratio_rate1h{{{JOB}}} / {BUDGET}", "1 hour, {{job}}"),
            Query(f"job:textstream_late:ratio_rate6h{{{JOB}}} / {BUDGET}", "6 hours, {{job}}"),
            Query(f"job:textstream_late:ratio_rate3d{{{JOB}}} / {BUDGET}", "3 days, {{job}}"),
        ],
        "short",
        Limits(1, 6),
    ),
]

DROPPED = [
    lines(
        Frame("Dead letters by reason", "`textstream dlq inspect` shows the messages.", "TextstreamDeadLetters"),
        [Query(f'sum by (reason) (topic:textstream_outcomes:rate5m{{{OF}, outcome="dead"}})', "{{reason}}")],
        "cps",
    ),
    lines(
        Frame("Share of dead letters", "From half on the worker stops (delivery.breaker_share).", "TextstreamDeadLetters"),
        [
            Query(
                f'sum by (topic) (topic:textstream_outcomes:rate5m{{{OF}, outcome="dead"}})'
                f" / sum by (topic) (topic:textstream_outcomes:rate5m{{{OF}}})",
                "{{topic}}",
            )
        ],
        "percentunit",
        Limits(0.02, 0.5),
    ),
    lines(
        Frame(
            "Dropped otherwise",
            "Skipped: gone from Kafka before they were read, lost. Stale: their partition moved, its new worker scores them.",
            "TextstreamSkippedRecords",
        ),
        [
            Query(f"sum(increase(textstream_skipped_records_total{{{JOB}, {TOPIC}}}[5m]))", "skipped in 5 min"),
            Query(f"sum(increase(textstream_stale_records_total{{{JOB}}}[5m]))", "stale in 5 min"),
            Query(f"max(textstream_breaker_open{{{JOB}}})", "a breaker is open"),
        ],
        "short",
    ),
]

STUCK = [
    rows(
        Frame(
            "Which partition is stuck?",
            "The longest wait first. Messages wait and nothing was committed in 5 minutes: it stands still.",
            "TextstreamPartitionStalled", width=14,
        ),
        {
            "waiting for": Query(f"partition:textstream_lag_seconds:max{{{OF}}}"),
            "messages waiting": Query(f"partition:textstream_lag_messages:max{{{OF}}}"),
            "committed in 5 min": Query(f"delta(partition:textstream_position_offset:max{{{OF}}}[5m])"),
        },
        ["job", "topic", "partition"],
        {"waiting for": "s", "committed in 5 min": "short"},
        "waiting for",
    ),
    lines(
        Frame("The ten longest waits", "Partitions by the wait of their oldest message.", "TextstreamPartitionStalled", 10),
        [Query(f"topk(10, partition:textstream_lag_seconds:max{{{OF}}})", "{{topic}}-{{partition}}")],
        "s",
        Limits(30, 300),
    ),
]  # fmt: skip

TEXT = [
    lines(
        Frame(
            "Has the text changed?",
            "Population stability index against the texts that the model was measured on; the dashboard Text shows more.",
            "TextstreamDrift",
        ),
        [Query(f"max by (feature) (job:textstream_drift_psi:avg{{{JOB}, {FEATURES}}})", "{{feature}}")],
        "short",
        Limits(0.1, 0.25),
    ),
    shares(
        Frame("Sentiment", "Labels of the scored messages."),
        Query(f"sum by (label) (rate(textstream_sentiment_total{{{WORKER}}}[$__rate_interval]))", "{{label}}"),
    ),
    shares(
        Frame("Languages", "Other: no language of the model; such messages go through unscored."),
        Query(f"sum by (language) (rate(textstream_text_messages_total{{{WORKER}}}[$__rate_interval]))", "{{language}}"),
    ),
]

WORKERS = [
    rows(
        Frame("What fires, or will soon", "Pending: the condition holds, its time is not up.", width=12),
        {"since": Query('ALERTS_FOR_STATE{alertname=~"Textstream.+"} * 1000')},
        ["alertname", "severity", "job", "instance", "topic", "partition"],
        {"since": "dateTimeFromNow"},
        "since",
    ),
    rows(
        Frame("Workers", "Started anew and again: the log of its last end says why.", "TextstreamRestarts", 12),
        {
            "ready": Query(f"textstream_ready{{{WORKER}}}"),
            "partitions": Query(f"textstream_assigned_partitions{{{WORKER}}}"),
            "started": Query(f"process_start_time_seconds{{{WORKER}}} * 1000"),
            "model": Query(f"textstream_model_info{{{WORKER}}}"),
        },
        ["job", "instance", "name", "version", "digest"],
        {"started": "dateTimeFromNow"},
        "started",
    ),
]

DASHBOARD = dashboard(
    "textstream-overview",
    "textstream: Overview",
    "Is it keeping up, how late are the results, what is dropped and why, which partition is stuck, has the text changed?",
    ("At a glance", GLANCE),
    ("Is it keeping up?", KEEPING_UP),
    ("How late are the results?", LATE),
    ("What is dropped, and why?", DROPPED),
    ("Which partition is stuck?", STUCK),
    ("Has the text changed?", TEXT),
    ("Workers and alerts", WORKERS),
)
