"""Pipeline: which stage holds the messages up, and which limit is reached."""

from deploy.grafana.generate.panels import JOB, TOPIC, WORKER, Frame, Limits, Query, dashboard, lines, rows, shares

OF = f"{WORKER}, {TOPIC}"
WINDOW = "[$__rate_interval]"


def quantile(share: float, histogram: str, by: str = "", matchers: str = WORKER) -> str:
    """Of a histogram over all chosen workers."""
    labels = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{{{matchers}}}{WINDOW})))"


def rate(counter: str, by: str = "", matchers: str = WORKER) -> str:
    """A second, over all chosen workers."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({counter}{{{matchers}}}{WINDOW}))"


STAGES = [
    lines(
        Frame("Which stage takes, which gives?", "Messages into (in) and out of (out) each stage.", "TextstreamNoProgress", 12),
        [
            Query(rate("textstream_stage_in_messages_total", "stage"), "{{stage}} in"),
            Query(rate("textstream_stage_out_messages_total", "stage"), "{{stage}} out"),
        ],
        "cps",
    ),
    lines(
        Frame(
            "Where are the messages?",
            "Messages in each stage now; the one that fills is the slow one.",
            "TextstreamNoProgress",
            12,
        ),
        [Query(f"sum by (stage) (textstream_stage_in_progress_messages{{{WORKER}}})", "{{stage}}")],
        "short",
    ),
    lines(
        Frame(
            "Does a stage stand still?",
            "Time since a stage that holds messages last finished anything, in the worst worker; 0 where it holds none.",
            "TextstreamNoProgress",
        ),
        [
            Query(
                f"max by (stage) ((time() - textstream_stage_progress_timestamp_seconds{{{WORKER}}})"
                f" * (textstream_stage_in_progress_messages{{{WORKER}}} > bool 0))",
                "{{stage}}",
            )
        ],
        "s",
        Limits(10, 60),
    ),
    lines(
        Frame("How long does a pass take?", "Half and 99 % of the passes of each stage; deliver is of one message."),
        [
            Query(quantile(0.5, "textstream_stage_seconds", "stage"), "{{stage}} half"),
            Query(quantile(0.99, "textstream_stage_seconds", "stage"), "{{stage}} 99 %"),
        ],
        "s",
    ),
    lines(
        Frame(
            "Which thread is busy?",
            "Share of time at work, mean of the workers: prepare on the polling thread, score on the scoring thread. An idle"
            " model takes what there is, so score is busy up to half of the time with little to do. At 100 % of score only"
            " more workers, threads or a smaller model help.",
            "TextstreamLagGrowing",
        ),
        [
            Query(
                f'avg by (stage) (rate(textstream_stage_seconds_sum{{{WORKER}, stage=~"prepare|score"}}{WINDOW}))',
                "{{stage}}",
            )
        ],
        "percentunit",
        Limits(0.8, 0.95),
    ),
]

BATCHES = [
    lines(
        Frame("Messages in a batch", "Mean, and 99 %."),
        [
            Query(f"{rate('textstream_batch_messages_sum')} / {rate('textstream_batch_messages_count')}", "mean"),
            Query(quantile(0.99, "textstream_batch_messages"), "99 %"),
        ],
        "short",
    ),
    lines(
        Frame(
            "Tokens in a batch",
            "Mean, 99 % and the limit: batch.max_tokens, for a while half of it where memory ran out.",
        ),
        [
            Query(f"{rate('textstream_batch_tokens_sum')} / {rate('textstream_batch_tokens_count')}", "mean"),
            Query(quantile(0.99, "textstream_batch_tokens"), "99 %"),
            Query(f"min(textstream_batch_tokens_limit{{{WORKER}}})", "limit"),
        ],
        "short",
    ),
    shares(
        Frame("What closes the batches?", "Age alone: the workers wait for messages. Tokens or messages: there are enough."),
        Query(rate("textstream_batches_total", "closed_by"), "{{closed_by}}"),
    ),
    lines(
        Frame(
            "What of a pass is padding?",
            "Share of what the model computes for nothing; swift reads its texts without.",
            width=8,
        ),
        [
            Query(
                f"{rate('textstream_model_padding_tokens_total')} / ({rate('textstream_model_padding_tokens_total')}"
                f" + {rate('textstream_model_tokens_total')})",
                "padding",
            )
        ],
        "percentunit",
    ),
    lines(
        Frame("Tokens through the model", "Of texts, without padding, by worker.", width=8),
        [Query(rate("textstream_model_tokens_total", "instance"), "{{instance}}")],
        "cps",
    ),
    lines(
        Frame(
            "How many texts had come before?",
            "Share of the messages that were answered from memory; none unless model.remember_texts is set.",
            width=8,
        ),
        [
            Query(
                f"{rate('textstream_remembered_messages_total')} / {rate('textstream_text_messages_total')}",
                "remembered",
            )
        ],
        "percentunit",
    ),
]

LIMITS = [
    lines(
        Frame(
            "Which in-flight limit is reached?",
            "Between poll and acknowledgement, of delivery.max_in_flight_*, in the fullest worker. At 100 % polling waits.",
            "TextstreamNoProgress",
        ),
        [
            Query(
                f"max(textstream_in_flight_{unit}{{{WORKER}}}"
                f' / ignoring (unit) textstream_in_flight_limit{{{WORKER}, unit="{unit}"}})',
                unit,
            )
            for unit in ("messages", "bytes", "tokens")
        ],
        "percentunit",
        Limits(0.8, 0.95),
    ),
    lines(
        Frame("Pauses", "Times that a full limit paused fetching: the brokers do not acknowledge, or the model is slow."),
        [Query(f"sum by (instance) (increase(textstream_pauses_total{{{WORKER}}}[5m]))", "{{instance}}, in 5 min")],
        "short",
    ),
    lines(
        Frame("Messages in flight", "By worker."),
        [Query(f"textstream_in_flight_messages{{{WORKER}}}", "{{instance}}")],
        "short",
    ),
]

PARTITIONS = [
    rows(
        Frame("Who holds which partition?", "Each partition by the worker that serves it.", "TextstreamPartitionStalled", 12),
        {
            "waiting for": Query(f"textstream_lag_seconds{{{OF}}}"),
            "messages waiting": Query(f"textstream_lag_messages{{{OF}}}"),
            "next offset": Query(f"textstream_position_offset{{{OF}}}"),
        },
        ["topic", "partition", "instance"],
        {"waiting for": "s", "next offset": "none"},
        "waiting for",
    ),
    lines(
        Frame(
            "Committed, by partition",
            "Messages a second by which each partition's offset moves on.",
            "TextstreamPartitionStalled",
            12,
        ),
        [Query(f"deriv(partition:textstream_position_offset:max{{{JOB}, {TOPIC}}}[5m])", "{{topic}}-{{partition}}")],
        "cps",
    ),
    lines(
        Frame("Partitions of each worker", "They should be about equal.", "TextstreamRebalanceStorm", 12),
        [Query(f"textstream_assigned_partitions{{{WORKER}}}", "{{instance}}")],
        "short",
    ),
    lines(
        Frame("Rebalances", "Changes of the assignments. Lost: a worker was taken for dead.", "TextstreamRebalanceStorm", 12),
        [Query(f"sum by (event) (increase(textstream_rebalances_total{{{WORKER}}}[5m]))", "{{event}}, in 5 min")],
        "short",
    ),
]

TROUBLE = [
    lines(
        Frame(
            "What is tried again?",
            "Startup: the broker is not there. Scoring: a batch is halved. Commit and transaction: refused.",
        ),
        [Query(rate("textstream_retries_total", "what"), "{{what}}")],
        "cps",
    ),
    lines(
        Frame("Commits", "Requested and refused.", "TextstreamCommitFailures"),
        [Query(rate("textstream_commits_total", "result"), "{{result}}")],
        "cps",
    ),
    lines(
        Frame(
            "Transactions taken back", "Under exactly_once; what they held is scored again.", "TextstreamAbortedTransactions"
        ),
        [Query(f"sum(increase(textstream_aborted_transactions_total{{{WORKER}}}[5m]))", "in 5 min")],
        "short",
    ),
]

PROCESS = [
    lines(
        Frame("Processor", "Cores in use, by worker."),
        [Query(f"rate(process_cpu_seconds_total{{{WORKER}}}{WINDOW})", "{{instance}}")],
        "short",
    ),
    lines(
        Frame("Memory", "Resident, by worker.", "TextstreamRestarts"),
        [Query(f"process_resident_memory_bytes{{{WORKER}}}", "{{instance}}")],
        "bytes",
    ),
    lines(
        Frame("Log lines left out", "Beyond the limit of each event, a second: what is repeated most."),
        [Query(rate("textstream_log_lines_suppressed_total", "event"), "{{event}}")],
        "cps",
    ),
]

DASHBOARD = dashboard(
    "textstream-pipeline",
    "textstream: Pipeline",
    "Which stage holds the messages up, which limit is reached, who holds which partition?",
    ("Which stage is slow?", STAGES),
    ("Are the batches well filled?", BATCHES),
    ("Which limit is reached?", LIMITS),
    ("Who serves which partition?", PARTITIONS),
    ("What goes wrong and is tried again?", TROUBLE),
    ("The processes", PROCESS),
)
