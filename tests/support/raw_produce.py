"""Records that no well-behaved client sends: one Kafka record batch written by hand and sent over a socket.

librdkafka cannot send a header whose name is not UTF-8, nor a record at time 0 or without a time, and it decides itself
what shares a batch. The bytes follow Kafka's protocol: Produce version 3, record batch format 2.
"""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

NO_TIMESTAMP = -1
TIMEOUT_S = 30


@dataclass(frozen=True)
class RawRecord:
    """A record as it stands in the batch: header names are bytes here."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = field(default_factory=tuple)
    timestamp: int = 1_700_000_000_000


def produce_batch(bootstrap_servers: str, topic: str, partition: int, records: Sequence[RawRecord]) -> int:
    """Append the records as one batch, by one request; return the offset of the first. The broker must be the leader."""
    body = struct.pack(">hhi", -1, -1, TIMEOUT_S * 1000) + struct.pack(">i", 1) + _string(topic.encode())
    body += struct.pack(">ii", 1, partition) + _sized(_batch(records))
    request = struct.pack(">hhi", 0, 3, 1) + _string(b"raw") + body  # Produce, version 3, correlation 1
    host, port = bootstrap_servers.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(_sized(request))
        (size,) = struct.unpack(">i", _receive(connection, 4))
        answer = _receive(connection, size)
    skipped = 4 + 4 + 2 + len(topic.encode()) + 4 + 4  # correlation, one topic, its name, one partition, its number
    error, first_offset = struct.unpack_from(">hq", answer, skipped)
    assert error == 0, f"the broker refused the batch with error {error}"
    return int(first_offset)


def _batch(records: Sequence[RawRecord]) -> bytes:
    times = [record.timestamp for record in records if record.timestamp != NO_TIMESTAMP]
    assert not times or len(times) == len(records), "a batch has times or none: its records' times count from the first"
    first_time, last_time = (records[0].timestamp, max(times)) if times else (NO_TIMESTAMP, NO_TIMESTAMP)
    encoded = b"".join(_record(record, index, record.timestamp - first_time) for index, record in enumerate(records))
    attributes, no_producer = 0, struct.pack(">qhi", -1, -1, -1)
    tail = struct.pack(">hiqq", attributes, len(records) - 1, first_time, last_time) + no_producer
    tail += struct.pack(">i", len(records)) + encoded
    leader_epoch, magic = -1, 2
    rest = struct.pack(">ibI", leader_epoch, magic, crc32c(tail)) + tail
    return struct.pack(">qi", 0, len(rest)) + rest


def _record(record: RawRecord, index: int, time_delta: int) -> bytes:
    body = b"\x00" + _varint(time_delta) + _varint(index) + _bytes(record.key) + _bytes(record.value)
    body += _varint(len(record.headers)) + b"".join(_bytes(name) + _bytes(value) for name, value in record.headers)
    return _varint(len(body)) + body


def _bytes(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    """Zigzag, seven bits a byte, lowest first."""
    rest = (number << 1) ^ (number >> 63)
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _string(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value


def _sized(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        assert part, "the broker closed the connection"
        received += part
    return received


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum of Kafka's batches; slow (about 10 MB/s) and sufficient."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
