"""The HTTP port: that it is free, and that what it proves itself with can be read and is not about to end."""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from textstream.check.finding import NOW, Check
from textstream.errors import Misconfigured
from textstream.observe.health import Health
from textstream.observe.http import HttpServer, Tls
from textstream.observe.live import Live
from textstream.settings import Observe

RENEW_WITHIN_DAYS = 14
"""A certificate that ends sooner is worth a line: what renews it by itself has done so by then."""
SEQUENCE, UTC_TIME, EXPLICIT_VERSION = 0x30, 0x17, 0xA0
"""Tags of DER (X.690) that a certificate is walked by."""


def port_checks(observe: Observe) -> Iterator[Check]:
    """The port as a worker would open it; it is closed again at once."""
    health = Health(stall_after_s=observe.stall_after_s, clock=time.monotonic)
    tls = Tls(observe.http_certificate, observe.http_key, observe.http_client_ca)
    try:
        server = HttpServer(observe.http_host, observe.http_port, CollectorRegistry(), health, Live(time.time()), tls)
    except Misconfigured as error:
        beside = "" if "listen" not in str(error) else "; to check beside a worker that runs here: --observe.http_port 0"
        yield Check("http", f"{error}{beside}", exit_status=error.exit_status)
        return
    server.close()
    yield Check("http", f"{observe.http_host}:{server.port} is free" + ", its certificate can be read" * bool(tls.certificate))
    if tls.certificate:
        yield _expiry(tls.certificate, datetime.now(UTC))


def _expiry(certificate: str, now: datetime) -> Check:
    ends = not_after(Path(certificate).read_text(encoding="ascii", errors="replace"))
    days = (ends - now).days
    when = f"{certificate} ends at {ends:%Y-%m-%d %H:%M} UTC"
    if ends <= now:
        return Check("certificate", f"{when}: it has ended", "renew it; a running worker reads the new one by itself", NOW)
    to_do = "renew it; a running worker reads the new one by itself" if days < RENEW_WITHIN_DAYS else ""
    return Check("certificate", f"{when}, in {days} days", to_do)


def not_after(pem: str) -> datetime:
    """The end of the first certificate in a PEM file. Python's ssl tells it only of a peer that it has verified."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = pem[pem.index(begin) : pem.index(end) + len(end)]
    certificate = _content(ssl.PEM_cert_to_DER_cert(first), SEQUENCE)
    fields = list(_elements(_content(certificate, SEQUENCE)))
    if fields[0][0] == EXPLICIT_VERSION:
        fields = fields[1:]
    _, _, _, (_, validity), *_ = fields  # serial number, algorithm, issuer, validity
    _, (tag, ends) = _elements(validity)
    form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"  # RFC 5280: years below 2050, and beyond
    return datetime.strptime(ends.decode(), form).replace(tzinfo=UTC)


def _content(der: bytes, expected: int) -> bytes:
    tag, content = next(_elements(der))
    assert tag == expected, f"a certificate of which OpenSSL was content has {tag:#x} where {expected:#x} stands in all others"
    return content


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element, by their lengths."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:  # the low bits say how many bytes the length has
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count]), at + count
        yield tag, der[at : at + length]
        at += length
