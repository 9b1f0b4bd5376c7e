"""Credentials: from files and variables, read again, never told."""

from pathlib import Path

import pytest

from textstream.errors import Misconfigured
from textstream.kafka import credentials
from textstream.kafka.client import opened
from textstream.kafka.credentials import Credentials, read, token_callback
from textstream.layers import load_settings
from textstream.settings import Kafka


class Client:
    """Takes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def set_sasl_credentials(self, username: str, password: str, /) -> None:
        """As confluent-kafka's clients."""
        self.told.append((username, password))


def test_a_value_may_stand_in_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any property's; the line's end is not part of it, and what is missing is named."""
    file = tmp_path / "password"
    file.write_text(" canary \n")
    monkeypatch.setenv("WHO", "worker")
    given = {"sasl.password_file": str(file), "sasl.username_variable": "WHO", "security.protocol": "ssl"}
    assert read(given) == {"sasl.password": " canary ", "sasl.username": "worker", "security.protocol": "ssl"}
    with pytest.raises(Misconfigured, match=r"missing of ssl\.key\.pem_file cannot be read: No such file"):
        read({"ssl.key.pem_file": str(tmp_path / "missing")})
    with pytest.raises(Misconfigured, match=r"the variable NOBODY of sasl\.username_variable is not set"):
        read({"sasl.username_variable": "NOBODY"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"acks_file": "x"}, "acks is not yours to set"),
        ({"oauth_cb_variable": "x"}, "oauth_cb is a Python callback"),
        ({"sasl.password": "canary", "sasl.password_file": "x"}, "sasl.password is given twice"),
    ],
)
def test_a_file_opens_no_other_door(given: dict[str, str], said: str) -> None:
    """What may not be set may not be set from a file either, and nothing twice."""
    with pytest.raises(Misconfigured, match=said) as raised:
        load_settings(environ={}, flags={"kafka.client": given})
    assert "canary" not in str(raised.value)


def test_a_change_is_told_to_the_client_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone for a moment changes nothing; what does not come from a file never changes."""
    monkeypatch.setattr(credentials, "LOOK_INTERVAL_S", 0.0)
    file, client = tmp_path / "password", Client()
    file.write_text("one")
    who = Credentials(Kafka(client={"sasl.username": "me", "sasl.password_file": str(file)}), {})
    who.renew(client)
    file.unlink()
    who.renew(client)
    file.write_text("two")
    who.renew(client)
    who.renew(client)
    assert client.told == [("me", "two")]
    fixed = Credentials(Kafka(client={"sasl.username": "me", "sasl.password": "one"}), {})
    fixed.renew(client)
    assert len(client.told) == 1


def test_a_refused_property_hides_the_secrets() -> None:
    """librdkafka's complaint may hold what it complains of."""

    def refuse(config: dict[str, str]) -> None:
        raise ValueError(f"cannot parse {config['sasl.oauthbearer.config']}")

    with pytest.raises(Misconfigured, match=r"cannot parse \*\*\*"):
        opened(refuse, {"sasl.oauthbearer.config": "canary"})


def test_of_a_token_callback_that_fails_only_the_type_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """Its message may hold a token; one that is not there is named at start."""
    with pytest.raises(RuntimeError) as raised:
        token_callback("tests.support.secured:broken_token")("")
    assert "raised ValueError" in str(raised.value)
    told = "".join(capfd.readouterr())
    assert "token_callback_failed" in told
    assert "canary" not in str(raised.value) + told
    for missing in ("no_such_module:f", "tests.support.secured:no_such_function"):
        with pytest.raises(Misconfigured, match=r"kafka\.token_callback"):
            token_callback(missing)
