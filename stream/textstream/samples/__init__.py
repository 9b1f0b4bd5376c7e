"""The sample stream: some 300 messages as producers send them, good and bad ones, written for textstream."""

from importlib import resources


def values() -> list[bytes]:
    """The record values, as they are: one a line of stream.jsonl, broken ones included."""
    data = (resources.files(__name__) / "stream.jsonl").read_bytes()
    return [value for value in data.split(b"\n") if value]
