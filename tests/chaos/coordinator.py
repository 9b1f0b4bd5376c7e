"""Which broker coordinates a group: `python -m tests.chaos.coordinator SERVERS GROUP` prints its id.

A process of its own, for librdkafka 2.16 now and then aborts the one that asks while brokers come and go
(rd_kafka_enq_once_del_source_return: Assertion `eonce->refcnt > 0' failed).
"""

import subprocess
import sys

from confluent_kafka.admin import AdminClient

ASK_S = 15


def coordinator(servers: str, group: str) -> int | None:
    """The broker's id; None where nobody tells."""
    command = [sys.executable, "-m", __name__, servers, group]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    return int(asked.stdout) if asked.returncode == 0 else None


if __name__ == "__main__":
    admin = AdminClient({"bootstrap.servers": sys.argv[1], "log_level": 0})
    future = admin.describe_consumer_groups([sys.argv[2]], request_timeout=5)[sys.argv[2]]
    print(future.result(timeout=10).coordinator.id)
