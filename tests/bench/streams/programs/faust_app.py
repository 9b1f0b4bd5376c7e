"""Faust (faust-streaming): an agent over a stream's events that sends on."""

import tempfile

import faust
import orjson
from job import BROKERS, GROUP, INPUT, LINGER_MS, OUTPUT, chosen, enriched

analyse = chosen()
app = faust.App(
    GROUP,
    broker=f"kafka://{BROKERS}",
    datadir=tempfile.mkdtemp(prefix="faust-"),
    store="memory://",
    key_serializer="raw",
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=1.0,
    producer_linger=LINGER_MS / 1000,
    producer_max_batch_size=1_000_000,
    processing_guarantee="at_least_once",
    stream_wait_empty=False,
    topic_allow_declare=False,
    topic_disable_leader=True,
    web_enabled=False,
)
source = app.topic(INPUT, value_serializer="raw")
sink = app.topic(OUTPUT, value_serializer="raw")


@app.agent(source)
async def enrich(stream):
    """Each message, written under its key, partition and time."""
    async for event in stream.events():
        message = event.message
        value, headers = enriched(
            analyse, orjson.loads(event.value), message.topic, message.partition, message.offset, int(message.timestamp * 1000)
        )
        await sink.send(
            key=event.key,
            value=orjson.dumps(value),
            partition=message.partition,
            timestamp=message.timestamp,
            headers=headers,
        )


if __name__ == "__main__":
    app.worker_init()
    faust.Worker(app, loglevel="warning", quiet=True, redirect_stdouts=False).execute_from_commandline()
