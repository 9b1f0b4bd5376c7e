"""Quix Streams: apply, set_headers, to_topic, with its own JSON serialisers."""

from job import BROKERS, EXACTLY_ONCE, GROUP, INPUT, LINGER_MS, OUTPUT, chosen, enriched
from quixstreams import Application, message_context

analyse = chosen()
app = Application(
    broker_address=BROKERS,
    consumer_group=GROUP,
    auto_offset_reset="earliest",
    auto_create_topics=False,
    use_changelog_topics=False,
    commit_interval=1.0,
    processing_guarantee="exactly-once" if EXACTLY_ONCE else "at-least-once",
    producer_extra_config={"linger.ms": LINGER_MS, "queue.buffering.max.messages": 1_000_000},
    loglevel="WARNING",
)


def enrich(message, _key, timestamp, _headers):
    """The event and, for the next step, its headers."""
    context = message_context()
    return enriched(analyse, message, context.topic, context.partition, context.offset, timestamp)


sdf = app.dataframe(app.topic(INPUT, value_deserializer="json"))
sdf = sdf.apply(enrich, metadata=True)
sdf = sdf.set_headers(lambda pair, _key, _timestamp, _headers: pair[1])
sdf = sdf.apply(lambda pair: pair[0])
sdf = sdf.to_topic(app.topic(OUTPUT, value_serializer="json"))

if __name__ == "__main__":
    app.run()
