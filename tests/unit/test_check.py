"""`textstream check` without a broker: what it makes of what brokers say, and the HTTP port."""

import io
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
import trustme
from cryptography import x509
from hypothesis import given, settings
from rich.console import Console

from textstream import cli
from textstream.check import brokers
from textstream.check.finding import Check
from textstream.check.port import not_after, port_checks
from textstream.core.ports import Topics
from textstream.kafka.survey import Seen
from textstream.layers import load_settings
from textstream.settings import Observe

ONE = Topics("in", "in.enriched", "in.dead", "in.replay")
NOW_MS = 1_800_000_000_000
AUTHORITY = trustme.CA()


def seen(*partitions: tuple[bool, int, int], newest_ms: int | None = None, **config: str) -> dict[str, Seen]:
    """The topics of `ONE`, all alike; an underscore in a setting's name stands for a dot."""
    named = {name.replace("_", "."): value for name, value in config.items()}
    each = Seen("", partitions=partitions or ((True, 1, 1),), config=named, newest_ms=newest_ms)
    return {name: replace(each, name=name) for name in ONE.all}


def changed(topic: str, **config: str) -> dict[str, Seen]:
    """The topics of `ONE` as a broker makes them, one of them with other settings."""
    usual = {"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "1048588"}
    found = {name: replace(each, config=usual) for name, each in seen().items()}
    named = {name.replace("_", "."): value for name, value in config.items()}
    return found | {topic: replace(found[topic], config=usual | named)}


def said(checks: Sequence[Check]) -> str:
    """What is found and to be done, in one line."""
    return " ".join(f"{check.verdict} {check.finding} {check.to_do}" for check in checks)


@pytest.mark.parametrize(
    ("topic", "config", "words"),
    [
        ("in", {"retention_ms": "3600000"}, ("hint", "in keeps records for 60 min", "retention.ms")),
        ("in", {"retention_bytes": "1000000"}, ("hint", "retention.bytes")),
        ("in", {"cleanup_policy": "compact"}, ("hint", "in is compacted")),
        ("in.enriched", {"cleanup_policy": "compact"}, ("hint", "in.enriched is compacted", "null key")),
        ("in.dead", {"message_timestamp_type": "LogAppendTime"}, ("hint", "in.dead", "CreateTime")),
        ("in.enriched", {"max_message_bytes": "1000"}, ("hint", "in.enriched takes 1000", "1056780")),
        ("in.dead", {"max_message_bytes": "1000"}, ("hint", "in.dead takes 1000", "is cut")),
        ("in", {}, ("ok", "in 7 days")),
        ("in", {"retention_ms": "-1"}, ("ok", "for ever")),
        ("in", {"retention_ms": "3600000", "cleanup_policy": "compact"}, ("hint", "compacted")),
    ],
)
def test_how_records_are_kept(topic: str, config: dict[str, str], words: tuple[str, ...]) -> None:
    """Each setting of a topic that loses, cuts or refuses records is named with what to set; harmless ones are one line."""
    checks = list(brokers.retention([ONE], changed(topic, **config)))
    assert len(checks) == 1
    for word in words:
        assert word in said(checks)


def test_a_topic_whose_settings_may_not_be_read() -> None:
    """That is no failure: the right to ask is named, and what is taken for granted until then."""
    found = seen() | {ONE.dead: replace(seen()[ONE.dead], config=None)}
    (check,) = brokers.retention([ONE], found)
    assert check.verdict == "hint"
    assert "in.dead" in check.finding
    assert "DescribeConfigs" in check.to_do


@pytest.mark.parametrize(
    ("partitions", "config", "status", "words"),
    [
        ([(True, 3, 3)], {"min_insync_replicas": "2"}, 0, ()),
        ([(True, 3, 3)], {"min_insync_replicas": "1"}, 0, ("min.insync.replicas = 1", "lost")),
        ([(True, 3, 3)], {"min_insync_replicas": "3"}, 0, ("no broker may be away",)),
        ([(True, 1, 1)], {}, 0, ("one replica",)),
        ([(True, 3, 2)], {"min_insync_replicas": "2"}, 0, ("out of sync in partition 0",)),
        ([(True, 3, 3), (True, 3, 1)], {"min_insync_replicas": "2"}, 75, ("in partition 1", "refused")),
        ([(False, 3, 0)], {"min_insync_replicas": "2"}, 75, ("no leader for partition 0",)),
    ],
)
def test_replicas(partitions: list[tuple[bool, int, int]], config: dict[str, str], status: int, words: tuple[str, ...]) -> None:
    """What a worker would wait for now fails with 75; what one broker less would do is a hint; a healthy topic says nothing."""
    checks = list(brokers.replicas([ONE], seen(*partitions, **config), 3))
    assert max((check.exit_status for check in checks), default=0) == status
    assert bool(checks) == bool(words)
    for word in words:
        assert word in said(checks)


def test_other_numbers_of_partitions() -> None:
    """An output that cannot take the partition numbers of its input is named."""
    found = seen((True, 1, 1), (True, 1, 1)) | {ONE.dead: seen()[ONE.dead]}
    (check,) = brokers.replicas([ONE], found, 1)
    assert "in.dead" in check.finding
    assert "2 partitions" in check.to_do


@pytest.mark.parametrize(
    ("newest_ms", "verdict", "word"),
    [
        (None, "ok", "no record"),
        (NOW_MS - 3_000, "ok", "3 s ago"),
        (NOW_MS - 90 * 86_400_000, "ok", "90 days ago"),
        (NOW_MS + 30_000, "ok", "UTC"),
        (NOW_MS + 120_000, "hint", "2 min ahead"),
        (2**62, "hint", "after 1970"),
    ],
)
def test_clocks(newest_ms: int | None, verdict: str, word: str) -> None:
    """A record of the future tells of a wrong clock; an idle topic, also one of last year, of nothing."""
    (check,) = brokers.clocks([ONE], seen(newest_ms=newest_ms), NOW_MS)
    assert check.verdict == verdict
    assert word in check.finding


@pytest.mark.parametrize(
    ("flags", "apis", "protocols", "status"),
    [
        ({}, {0, 1}, None, 0),
        ({}, set(), None, 0),
        ({"kafka.group_protocol": "consumer"}, {0, 1}, None, 78),
        ({"kafka.group_protocol": "consumer"}, {0, 68}, None, 0),
        ({"kafka.group_protocol": "consumer"}, {0, 68}, "classic", 78),
        ({"kafka.group_protocol": "consumer"}, {0, 68}, "classic,consumer", 0),
        ({"delivery.guarantee": "exactly_once"}, {0, 22}, None, 78),
        ({"delivery.guarantee": "exactly_once"}, {22, 24, 25, 26, 28}, None, 0),
    ],
)
def test_capabilities(flags: dict[str, object], apis: set[int], protocols: str | None, status: int) -> None:
    """Brokers that do not know what the settings ask for fail the check, with the setting to change; silent ones do not."""
    check = brokers.capabilities(load_settings(environ={}, flags=flags), apis, protocols)
    assert check.exit_status == status
    if status:
        assert next(iter(flags)) in check.finding + check.to_do
    assert bool(check.to_do) == (status != 0 or not apis)


@settings(max_examples=20)
@given(st.datetimes(datetime(2030, 1, 1), datetime(2090, 1, 1)))
def test_the_end_of_a_certificate(ends: datetime) -> None:
    """What our few lines read of it is what a library for certificates reads, in both ways to write a year."""
    pem = AUTHORITY.issue_cert("a", not_after=ends.replace(microsecond=0)).cert_chain_pems[0].bytes()
    assert not_after(pem.decode()) == x509.load_pem_x509_certificate(pem).not_valid_after_utc


@pytest.mark.parametrize(("days", "verdict"), [(400, "ok"), (3, "hint"), (-1, "FAIL")])
def test_the_certificate_of_the_port(days: int, verdict: str, tmp_path: Path) -> None:
    """It can be read; one that ends soon is a hint, one that has ended a failure, each with the day."""
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    file = tmp_path / "port.pem"
    AUTHORITY.issue_cert(
        "a", not_before=ends - timedelta(days=500), not_after=ends
    ).private_key_and_cert_chain_pem.write_to_path(file)
    port, certificate = port_checks(Observe(http_port=0, http_certificate=str(file)))
    assert port.verdict == "ok"
    assert certificate.verdict == verdict
    assert f"{ends:%Y-%m-%d}" in certificate.finding


def test_a_port_that_is_taken() -> None:
    """A worker could not start: 78, and how to check beside one that runs."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (check,) = port_checks(Observe(http_port=taken.getsockname()[1]))
    assert check.exit_status == 78
    assert "--observe.http_port 0" in check.finding


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """78, and the settings that name its files."""
    (tmp_path / "port.pem").write_text("nothing")
    (check,) = port_checks(Observe(http_port=0, http_certificate=str(tmp_path / "port.pem")))
    assert check.exit_status == 78
    assert "observe.http_certificate" in check.finding


def test_a_line_on_a_terminal_says_what_was_found_and_no_more() -> None:
    """What a broker or a pattern says is shown as it is: nothing of it is markup, and nothing steers the terminal."""
    shown = io.StringIO()
    console = Console(file=shown, width=40)
    cli._write_check(console, Check("topics", "no topic matches ^reviews-[a-z]+ [bold]\x1b]0;taken\x07", "create one"))
    assert shown.getvalue() == "hint topics       no topic matches ^reviews-[a-z]+ [bold]␛]0;taken␇ → create one\n"
