"""Settings: one declaration, three sources, and a clear word about every mistake."""

import re
from pathlib import Path

import pytest

from textstream.docs import commented_toml
from textstream.errors import Misconfigured
from textstream.layers import Layers, config_path, load_settings, validate
from textstream.settings import Settings, declared


def toml(folder: Path, text: str) -> Path:
    """A settings file."""
    path = folder / "textstream.toml"
    path.write_text(text)
    return path


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    """The last source that names a setting wins, and its origin is known."""
    path = toml(tmp_path, "[batch]\nmax_messages = 1\nmax_tokens = 2\nmax_wait_ms = 3\n")
    layers = Layers(
        path, {"TEXTSTREAM_BATCH_MAX_TOKENS": "20", "TEXTSTREAM_BATCH_MAX_WAIT_MS": "30"}, {"batch.max_wait_ms": "300"}
    )
    batch = validate(layers).batch
    assert (batch.max_messages, batch.max_tokens, batch.max_wait_ms) == (1, 20, 300)
    origins = [layers.origin("batch", name) for name in ("max_messages", "max_tokens", "max_wait_ms")]
    assert origins == [str(path), "environment", "flag"]
    assert layers.origin("input", "topics") == "default"


def test_every_setting_can_be_given_by_variable() -> None:
    """Section and name joined by an underscore reach every declared setting."""
    for setting in declared():
        value = setting.field.default
        shown = "{}" if value == {} else ",".join(value) if isinstance(value, list) else value
        environ = {} if shown is None else {setting.variable: str(shown)}
        assert load_settings(environ=environ) == Settings(), setting.variable


def test_lists_and_dictionaries_in_variables() -> None:
    """Topics are separated by commas, librdkafka properties are JSON and become text."""
    environ = {
        "TEXTSTREAM_INPUT_TOPICS": "reviews, chat",
        "TEXTSTREAM_KAFKA_CONSUMER": '{"fetch.min.bytes": 10, "check.crcs": true}',
    }
    settings = load_settings(environ=environ)
    assert settings.input.topics == ["reviews", "chat"]
    assert settings.kafka.consumer == {"fetch.min.bytes": "10", "check.crcs": "true"}


@pytest.mark.parametrize(
    ("environ", "flags", "message"),
    [
        ({"TEXTSTREAM_INPUT_TOPIC": "a"}, {}, "unknown variable TEXTSTREAM_INPUT_TOPIC: did you mean TEXTSTREAM_INPUT_TOPICS"),
        ({"textstream_batch_max_token": "1"}, {}, "did you mean TEXTSTREAM_BATCH_MAX_TOKENS"),
        ({}, {"input.topisc": "a"}, "unknown setting input.topisc: did you mean input.topics"),
        ({}, {"inptu.topics": "a"}, "unknown section [inptu]: did you mean input"),
        ({}, {"batch.max_messages": "many"}, "batch.max_messages = 'many': Input should be a valid integer"),
        ({}, {"batch.max_messages": "0"}, "batch.max_messages = '0': Input should be greater than or equal to 1"),
        ({}, {"input.topics": "a b"}, "input.topics.0 = 'a b'"),
        ({}, {"output.topic": "{topics}.x"}, "output.topic = '{topics}.x'"),
        ({}, {"input.pointer": "text"}, 'a JSON pointer (RFC 6901) is empty or starts with "/"'),
        ({}, {"model.device": "gpu"}, "Input should be 'auto', 'cpu' or 'cuda'"),
        (
            {"TEXTSTREAM_KAFKA_CONSUMER": "oops"},
            {},
            "TEXTSTREAM_KAFKA_CONSUMER is not JSON: librdkafka properties",
        ),
        ({}, {"kafka.consumer": {"group.id": "x"}}, "group.id is not yours to set; use kafka.group_id"),
        ({}, {"kafka.producer": {"acks": "1"}}, "textstream's delivery promise rests on it"),
        ({}, {"kafka.client": {"error_cb": "x"}}, "error_cb is a Python callback"),
        ({}, {"kafka.client": {"metadata.broker.list": "x"}}, "use kafka.bootstrap_servers"),
        ({}, {"kafka.client": {"enable.idempotence": "false"}}, "enable.idempotence is not yours to set"),
    ],
)
def test_each_mistake_is_one_line_that_says_what_to_change(environ: dict, flags: dict, message: str) -> None:
    """A wrong, unknown or misspelt setting is refused with its name and the mend."""
    with pytest.raises(Misconfigured) as raised:
        load_settings(environ=environ, flags=flags)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_password_is_not_in_the_message() -> None:
    """A mistake among librdkafka's properties never prints the others."""
    with pytest.raises(Misconfigured) as raised:
        load_settings(environ={}, flags={"kafka.client": {"sasl.password": "hunter2", "acks": "1"}})
    assert "hunter2" not in str(raised.value)
    with pytest.raises(Misconfigured) as raised:
        load_settings(environ={}, flags={"kafka.client": "sasl.password=hunter2"})
    assert "hunter2" not in str(raised.value)


def test_properties_may_be_written_without_quotes(tmp_path: Path) -> None:
    """TOML nests an unquoted dotted name; librdkafka gets it whole, and it is refused or hidden like a quoted one."""
    path = toml(tmp_path, '[kafka.client]\nsecurity.protocol = "ssl"\nsasl.password = "hunter2"\nssl.ca.location = "x"\n')
    client = load_settings(toml=path, environ={}).kafka.client
    assert client == {"security.protocol": "ssl", "sasl.password": "hunter2", "ssl.ca.location": "x"}
    with pytest.raises(Misconfigured, match="acks is not yours"):
        load_settings(toml=toml(tmp_path, "[kafka.producer]\nacks = 1\n"), environ={})


def test_what_kubernetes_sets_beside_a_service_is_no_setting() -> None:
    """A Service named textstream puts variables into every container; they are no misspelt settings."""
    service = {"TEXTSTREAM_SERVICE_HOST": "10.0.0.1", "TEXTSTREAM_SERVICE_PORT": "9464"}
    ports = {"TEXTSTREAM_PORT": "tcp://10.0.0.1:9464", "TEXTSTREAM_PORT_9464_TCP_ADDR": "10.0.0.1"}
    assert load_settings(environ=service | ports | {"TEXTSTREAM_SERVICE_PORT_HTTP": "9464"}) == Settings()


def test_mistakes_in_the_file(tmp_path: Path) -> None:
    """A missing file, broken TOML, a misspelt key and a value outside any section are told apart."""
    for text, message in (
        ("[batch\n", "cannot be read as TOML"),
        ("[batch]\nmax_mesages = 1\n", "did you mean batch.max_messages"),
        ("batch = 3\n", "batch"),
        ("topics = 'a'\n", "unknown section [topics]"),
    ):
        with pytest.raises(Misconfigured) as raised:
            load_settings(toml=toml(tmp_path, text), environ={})
        assert message in str(raised.value)
    with pytest.raises(Misconfigured, match="textstream init"):
        load_settings(toml=tmp_path / "absent.toml", environ={})


def test_the_file_of_init_holds_the_defaults(tmp_path: Path) -> None:
    """The commented file parses as it is, and with every line uncommented it still gives the defaults."""
    text = commented_toml()
    assert load_settings(toml=toml(tmp_path, text), environ={}) == Settings()
    names = "|".join(setting.name for setting in declared())
    uncommented = re.sub(rf"^# (({names}) = (?!…))", r"\1", text, flags=re.MULTILINE)
    assert load_settings(toml=toml(tmp_path, uncommented), environ={}) == Settings()
    assert uncommented != text


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag's file, else the variable's, else textstream.toml in this folder, else none."""
    monkeypatch.chdir(tmp_path)
    assert config_path({}, None) is None
    toml(tmp_path, "")
    assert config_path({}, None) == Path("textstream.toml")
    assert config_path({"TEXTSTREAM_CONFIG": "b.toml"}, None) == Path("b.toml")
    assert config_path({"TEXTSTREAM_CONFIG": "b.toml"}, "c.toml") == Path("c.toml")
