"""Who we are to the brokers: read from files and variables, read again when that changes, never shown."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import structlog

from textstream.errors import Misconfigured
from textstream.settings import FILE, VARIABLE, Kafka, property_name

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("textstream.kafka")

LOOK_INTERVAL_S = 5.0
"""How often the files of a name and a password are read: a rotation waits no longer."""

SASL = ("sasl.username", "sasl.password")


def read(given: Mapping[str, str]) -> dict[str, str]:
    """librdkafka properties, with the values that stand in files and variables. Raises `Misconfigured`."""
    return {property_name(name): _value(name, value) for name, value in given.items()}


def _value(name: str, value: str) -> str:
    if name.endswith(FILE):
        try:
            return Path(value).read_text(encoding="utf-8").rstrip("\r\n")  # which an editor, or echo, puts there
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise Misconfigured(f"the file {value} of {name} cannot be read: {why}") from None
    if name.endswith(VARIABLE):
        if value not in os.environ:
            raise Misconfigured(f"the variable {value} of {name} is not set")
        return os.environ[value]
    return value


class SaslClient(Protocol):
    """Any of confluent-kafka's clients."""

    def set_sasl_credentials(self, username: str, password: str, /) -> None:
        """For the connections from now on."""


class Credentials:
    """A client's SASL name and password while it lives. Only what stands in a file can change."""

    def __init__(self, kafka: Kafka, extra: Mapping[str, str]) -> None:
        given = {name: value for name, value in {**kafka.client, **extra}.items() if property_name(name) in SASL}
        self._sources = given if any(name.endswith(FILE) for name in given) else {}
        self._known = read(self._sources)
        self._looked_at = monotonic()

    def renew(self, client: SaslClient) -> None:
        """Read them again, where that is due, and hand a change to the client.

        While a broker refuses them the client tries on, so that a rotation may begin at either end.
        """
        if not self._sources or monotonic() - self._looked_at < LOOK_INTERVAL_S:
            return

        self._looked_at = monotonic()
        try:
            found = read(self._sources)
        except Misconfigured as error:  # it may be just being written
            log.warning("credentials_unreadable", why=str(error), then="what it held before stays in use")
            return
        if found != self._known:
            self._known = found
            client.set_sasl_credentials(*(found.get(name, "") for name in SASL))
            log.info("credentials_read_again")


def token_callback(named: str) -> Callable[[str], Any]:
    """The function that makes OAUTHBEARER tokens, `module:function`. Raises `Misconfigured` where there is none.

    Of its errors only the type is told: their text may hold a token or a secret.
    """
    module, _, function = named.partition(":")
    try:
        make = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise Misconfigured(f"kafka.token_callback = {named}: {error}; name one that can be imported") from None

    def called(config: str) -> Any:
        try:
            return make(config)
        except Exception as error:
            log.warning("token_callback_failed", callback=named, error=type(error).__name__)
            raise RuntimeError(f"kafka.token_callback = {named} raised {type(error).__name__}") from None

    return called
