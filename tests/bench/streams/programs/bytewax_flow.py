"""Bytewax: Kafka source, map, Kafka sink; run by `python -m bytewax.run bytewax_flow:flow`. It commits nothing by itself."""

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from job import BROKERS, INPUT, LINGER_MS, OUTPUT, SCORER, chosen, enriched

BATCH = 50 if SCORER in ("vader-yake", "minilm") else 1000
"""Its default, and less where a message takes milliseconds: a batch is written only once all of it is done."""

analyse = chosen()


def enrich(message):
    """One message, to be written under its key and time."""
    timestamp_ms = message.timestamp[1]
    value = orjson.loads(message.value)
    event, headers = enriched(analyse, value, message.topic, message.partition, message.offset, timestamp_ms)
    return KafkaSinkMessage(message.key, orjson.dumps(event), headers=headers, timestamp=timestamp_ms)


flow = Dataflow("enrich")
messages = op.input("in", flow, KafkaSource([BROKERS], [INPUT], batch_size=BATCH))
events = op.map("enrich", messages, enrich)
op.output("out", events, KafkaSink([BROKERS], OUTPUT, {"linger.ms": str(LINGER_MS), "queue.buffering.max.messages": "1000000"}))
