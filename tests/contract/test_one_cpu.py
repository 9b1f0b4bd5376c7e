"""A worker that may run on one CPU, on a real Kafka: polling and scoring take turns."""

import os

import orjson

from tests.contract.conftest import NewStream
from tests.support.kafka import Outgoing

MESSAGES, PARTITIONS = 4_000, 4
BAD = 97
"""Every so many one is no JSON."""


def test_a_worker_on_one_cpu_accounts_for_every_message(new_stream: NewStream) -> None:
    """Each of thousands of messages, bad ones among them, has its one outcome, and what is asked of the worker meanwhile
    (an end, its metrics) is answered."""
    stream = new_stream(partitions=PARTITIONS)
    values = [b"{" if n % BAD == 0 else orjson.dumps({"text": f"good phone {n}"}) for n in range(MESSAGES)]
    stream.kafka.produce_all(stream.input, [Outgoing(value, partition=n % PARTITIONS) for n, value in enumerate(values)])
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})  # and with it the worker
    try:
        started = stream.worker()
    finally:
        os.sched_setaffinity(0, cpus)
    with started as worker:
        stream.finish(worker)
        assert worker.get("/livez")[0] == 200
        assert worker.stop() == 0, worker.log[-4000:]
    found = stream.audit()
    assert found.clean, found.examples
    assert found.inputs == found.enriched + found.dead == MESSAGES
    assert found.dead == len(range(0, MESSAGES, BAD))
