"""The input: written while things break, by a producer with acks=all and idempotence."""

import json
import random
import threading
import time

from confluent_kafka import KafkaError, Message, Producer

KEYS = 1_000
POISON_EVERY, TOMBSTONE_EVERY = 100, 200
"""One message in so many: 1 % cannot be decoded, 0.5 % have no value."""
POISON = (b"\xff\xfe not UTF-8", b'{"text": "not JSON', b'{"txt": "no text there"}', b'{"text": 7}')
TICK_S = 0.02
FLUSH_S = 180


class Feed:
    """Writes `messages` to the topics in turn, evenly over `seconds`, from a thread of its own."""

    def __init__(self, bootstrap_servers: str, topics: list[str], messages: int, seconds: float, seed: int) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "acks": "all",
                "enable.idempotence": True,
                # With several in flight it can write some twice when a leader moves (librdkafka issue 4953).
                "max.in.flight.requests.per.connection": 1,
                "linger.ms": 10,
                "topic.metadata.refresh.interval.ms": 2_000,  # partitions that were added get their share soon
                "log_level": 0,
            }
        )
        self._topics, self._messages, self._seconds = topics, messages, seconds
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.acknowledged = 0
        self.refused: list[KafkaError] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether everything was written and answered."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Give up what was not written yet."""
        self._stopping.set()
        self._thread.join(FLUSH_S)

    def _run(self) -> None:
        began = time.monotonic()
        written = 0
        while written < self._messages and not self._stopping.wait(TICK_S):
            due = min(self._messages, int(self._messages * (time.monotonic() - began) / self._seconds))
            while written < due:
                try:
                    self._write(written)
                except BufferError:
                    break
                written += 1
            self._producer.poll(0)
        self._producer.flush(FLUSH_S)

    def _write(self, number: int) -> None:
        key = None if number % 2 == 0 and self._random.random() < 0.1 else b"%d" % self._random.randrange(KEYS)
        self._producer.produce(self._topics[number % 2], self._value(number), key, on_delivery=self._answered)

    def _value(self, number: int) -> bytes | None:
        if number % POISON_EVERY == 0:
            return POISON[number // POISON_EVERY % len(POISON)] + b" %d" % number
        if number % TOMBSTONE_EVERY == 1:
            return None
        return json.dumps({"text": f"Message {number}: the room was lovely, the staff were rude. 房间很好。"}).encode()

    def _answered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.refused.append(error)
