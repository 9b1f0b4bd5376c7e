"""The worker's page: what reaches it, what never does, and that watchers stay few and hold nobody up."""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from tests.support.events import event, term
from tests.support.kafka import wait_until
from tests.unit.test_health import ManualClock
from textstream.core.record import Outcome, Position, Record
from textstream.event import LABELS, Label
from textstream.observe import live as limits
from textstream.observe.health import Health
from textstream.observe.http import MAX_CONNECTIONS, HttpServer
from textstream.observe.live import Live, Stood
from textstream.observe.page import FULL, MAX_PARTITIONS_SHOWN, MAX_WATCHERS, Page, is_own_name
from textstream.observe.view import segments

START = 1_795_439_102.0
SECRET = "Xylophones rattle"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def enriched(text: str, label: Label | None = "neutral", said: str = "", *, sent_s: float = START, **more: Any) -> Outcome:
    """The outcome of one scored message, as a worker publishes it."""
    value = event(text, label, terms=[term(text, said, label or "neutral")] if said else []) | more
    record = Record(Position("reviews", 0, 0, 1), b"", timestamp_ms=int(sent_s * 1000))
    return Outcome(record, "enriched", json.dumps(value).encode(), [], 0, label=label or "none")


def dead(reason: str) -> Outcome:
    """A dead letter, with the message that made it one."""
    headers = [("__connect.errors.exception.message", SECRET.encode())]
    return Outcome(Record(Position("reviews", 0, 0, 1), b""), "dead", SECRET.encode(), headers, 0, reason=reason)


TOMBSTONE = Outcome(Record(Position("reviews", 0, 0, 1), None), "tombstone", None, [], 0)


def stood(outcomes: list[Outcome], now: float) -> list[Stood]:
    """Acknowledged now."""
    return [(outcome, int(now * 1000)) for outcome in outcomes]


def watched(**options: Any) -> Live:
    """One that somebody looks at."""
    live = Live(START, **options)
    live.watched = True
    return live


def page_of(live: Live, registry: CollectorRegistry | None = None, health: Health | None = None) -> Page:
    """The page of a worker that turns."""
    turning = Health(stall_after_s=10, clock=ManualClock())
    turning.turned(None)
    return Page(live, registry or CollectorRegistry(), health or turning, clock=lambda: START + 100)


def frame_of(page: Page) -> dict[str, Any]:
    """What it sends."""
    return dict(json.loads(page.frame()))


OUTCOMES = st.one_of(
    st.sampled_from(LABELS).map(lambda label: enriched("text", label)),
    st.just(enriched("👍", None)),
    st.just(TOMBSTONE),
    st.sampled_from(["not_json", "no_text"]).map(dead),
)


@given(st.lists(st.tuples(st.floats(-1, 5), st.lists(OUTCOMES, max_size=100)), max_size=8))
def test_every_outcome_is_counted_however_they_come(turns: list[tuple[float, list[Outcome]]]) -> None:
    """Batches of any size at any pace, a clock that steps back included: counts by kind, label and reason are exact."""
    live, now = watched(), START
    for step, outcomes in turns:
        now += step
        live.add(stood(outcomes, now), now)
    live.add([], now + limits.FRAME_S)
    every = [outcome for _, outcomes in turns for outcome in outcomes]
    frame = frame_of(page_of(live))
    assert frame["sentiment"] == [sum(outcome.label == label for outcome in every) for label in LABELS]
    assert frame["enriched"] == sum(outcome.kind == "enriched" for outcome in every)
    assert frame["unscored"] == sum(outcome.kind == "enriched" and outcome.label == "none" for outcome in every)
    assert frame["tombstones"] == sum(outcome.kind == "tombstone" for outcome in every)
    assert sum(count for _, count in frame["dead_letters"]) == frame["dead"] == sum(one.kind == "dead" for one in every)


def test_a_frame_tells_rate_latency_and_sentiment_over_time() -> None:
    """Ten messages a second for ten seconds, each 50 ms old, first negative, then positive."""
    live = watched()
    for n in range(100):
        now = START + n / 10
        live.add(stood([enriched("x", "negative" if n < 50 else "positive", sent_s=now - 0.05)], now), now)
    live.add([], START + 10)
    frame = frame_of(page_of(live))
    assert (frame["rate"], frame["history"]) == (10, [10] * 10)
    assert frame["latency"] == {"p50_ms": pytest.approx(50, abs=2), "p99_ms": pytest.approx(50, abs=2)}
    assert frame["moods"] == [[50, 0, 0], [0, 0, 50], [0, 0, 0]]


def test_terms_and_messages_come_from_a_sample() -> None:
    """Of a flood some events are decoded, no more a second than the limit, and they are shown with their terms marked."""
    live = watched()
    for n in range(200):
        live.add(stood([enriched("rude staff", "negative", "staff")] * 500, START + n / 100), START + n / 100)
    live.add([], START + 3)
    frame = frame_of(page_of(live))
    assert frame["enriched"] == 100_000
    assert 40 <= sum(count for _, count in frame["languages"]) <= 2 * limits.SAMPLED_A_SECOND + limits.SAMPLED_AT_ONCE
    assert frame["terms"][0]["term"] == "staff" and frame["terms"][0]["mix"][1:] == [0, 0]
    assert frame["latest"][0]["parts"] == [["rude ", None], ["staff", "negative"]]


def test_an_event_that_cannot_be_read_back_is_counted_all_the_same() -> None:
    """With output.keep_input a producer decides how deep and how large an event is: it is not shown, and harms nothing."""
    live = watched()
    deep, large = enriched("deep"), enriched("x" * limits.MAX_SAMPLED_BYTES)
    deep.value = b'{"input":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    for n, outcome in enumerate((deep, large)):
        live.add(stood([outcome], START), START + 1 + n)
    live.add([], START + 5)
    frame = frame_of(page_of(live))
    assert (frame["enriched"], frame["latest"]) == (2, [])


def test_nothing_is_drawn_while_nobody_looks() -> None:
    """Counting goes on, and who comes later sees all that was counted."""
    live = Live(START)
    live.add(stood([enriched("x")] * 3, START + 1), START + 1)
    assert live.view is None
    live.watched = True
    live.add([], START + 2)
    assert frame_of(page_of(live))["enriched"] == 3


def test_without_text_nothing_of_a_message_is_sent() -> None:
    """With privacy.show_text = false the whole stream holds no text, key term, excerpt or language; the counts are the same."""
    outcomes = [enriched(f"{SECRET} loudly", "negative", "Xylophones", id="Xyl-0-0"), dead("not_json")]
    frames = {}
    for show_text in (True, False):
        live = watched(show_text=show_text)
        live.add(stood(outcomes, START), START + 1)
        live.add([], START + 3)
        frames[show_text] = page_of(live).frame()
    assert b"Xyl" in frames[True], "the search below would find it"
    assert b"yl" not in frames[False] and b"oud" not in frames[False]
    open_, closed = (json.loads(frame) for frame in frames.values())
    assert set(open_) - set(closed) == {"latest", "terms", "term_window_s", "languages"}
    assert {key: value for key, value in closed.items() if key != "show_text"}.items() <= open_.items()


def test_why_a_letter_is_dead_is_never_sent() -> None:
    """Its reason is ours; the sentence beside it may quote the message."""
    live = watched()
    live.add(stood([dead("scoring_failed")], START), START + 2)
    frame = page_of(live).frame()
    assert b"scoring_failed" in frame and SECRET.encode() not in frame


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30), st.sampled_from(LABELS)), max_size=6))
def test_pieces_make_up_the_text(text: str, spans: list[tuple[int, int, Label]]) -> None:
    """Whatever spans an event has, also ones that overlap or lie beyond the text: the pieces are the text."""
    one = event(text)
    for begin, end, label in spans:
        one["key_terms"].append(term("x", "x", label) | {"begin": begin, "end": end})  # type: ignore[typeddict-item]
    assert "".join(piece for piece, _ in segments(one)) == text


def test_lag_is_told_as_far_as_it_is_known() -> None:
    """The longest lags first, and not all of very many; seconds only where the metrics have them; sums over all."""
    registry = CollectorRegistry()
    messages = Gauge("textstream_lag_messages", "", ["topic", "partition"], registry=registry)
    assert frame_of(page_of(Live(START), registry))["lag"] == {"messages": None, "seconds": None}
    for number in range(MAX_PARTITIONS_SHOWN + 5):
        messages.labels("reviews", number).set(number)
    seconds = Gauge("textstream_lag_seconds", "", ["topic", "partition"], registry=registry)
    seconds.labels("reviews", 7).set(12)
    frame = frame_of(page_of(Live(START), registry))
    assert frame["lag"] == {"messages": sum(range(MAX_PARTITIONS_SHOWN + 5)), "seconds": 12}
    assert (len(frame["lags"]), frame["partitions"]) == (MAX_PARTITIONS_SHOWN, MAX_PARTITIONS_SHOWN + 5)
    assert frame["lags"][0] == {"topic": "reviews", "partition": MAX_PARTITIONS_SHOWN + 4, "messages": MAX_PARTITIONS_SHOWN + 4}
    assert {"topic": "reviews", "partition": 7, "messages": 7, "seconds": 12} in frame["lags"]


def test_a_frame_says_how_the_worker_is() -> None:
    """Starting, reading, held with the reason, stalled; also before anything was drawn."""
    clock = ManualClock()
    health = Health(stall_after_s=10, clock=clock)

    def status() -> dict[str, str]:
        return dict(frame_of(page_of(Live(START), health=health))["status"])

    assert status() == {"state": "waiting", "why": "not reading yet, or no more"}
    health.turned(None)
    assert status() == {"state": "reading", "why": ""}
    health.held("too many dead letters")
    assert status() == {"state": "waiting", "why": "too many dead letters"}
    clock.now += 11
    assert status() == {"state": "stalled", "why": "the polling thread has not turned for 11 s"}


def test_what_a_name_may_be() -> None:
    """Addresses and localhost are the reader's own; a name may be an attacker's that points here."""
    for own in ("localhost", "localhost:9464", "127.0.0.1:9464", "[::1]:9464", "[::1]", "10.0.0.7"):
        assert is_own_name(own), own
    for other in ("evil.example", "evil.example:9464", "127.0.0.1.evil.example", "", "localhost.evil.example:1"):
        assert not is_own_name(other), other


@contextmanager
def served(live: Live) -> Iterator[int]:
    """The port of a server of this view."""
    health = Health(stall_after_s=10, clock=ManualClock())
    server = HttpServer("127.0.0.1", 0, CollectorRegistry(), health, live)
    try:
        yield server.port
    finally:
        server.close()


def ask(port: int, path: str, method: str = "GET", host: str = "localhost") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer, as it stands on the wire."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    status, *headers = head.decode().split("\r\n")
    return int(status.split()[1]), dict(header.split(": ", 1) for header in headers), body


def test_the_page_allows_its_own_script_and_style_alone() -> None:
    """The policy names hashes, nothing comes from elsewhere, and no cache or other page may have it."""
    with served(Live(START)) as port:
        status, headers, body = ask(port, "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert policy.count("'sha256-") == 2 and body.count(b"<script>") == body.count(b"<style>") == 1
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
        assert not [line for line in body.splitlines() if b"http" in line and b"www.w3.org" not in line]
        assert b"innerHTML" not in body and b"insertAdjacentHTML" not in body and b" style=" not in body


def test_methods_paths_and_names_get_a_plain_answer() -> None:
    """HEAD has no body, but its length; other methods 405; unknown paths 404; and a stranger's name for this address 403."""
    with served(Live(START)) as port:
        status, headers, body = ask(port, "/", "HEAD")
        assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 1_000
        assert ask(port, "/events", "HEAD")[::2] == (200, b"")
        assert ask(port, "/livez", "HEAD")[::2] == (200, b"")
        assert ask(port, "/", "POST")[0] == 405 and ask(port, "/", "POST")[1]["Allow"] == "GET, HEAD"
        assert ask(port, "/page.html")[0] == ask(port, "/events/")[0] == ask(port, "/../etc/passwd")[0] == 404
        for path in ("/", "/events"):
            assert ask(port, path, host="evil.example")[0] == 403
        assert ask(port, "/livez", host="evil.example")[0] == 200


def test_only_so_many_may_watch() -> None:
    """One beyond the limit gets 503 and what to do, as text; when one leaves there is room again."""
    live = Live(START)
    with served(live) as port:
        url = f"http://127.0.0.1:{port}/events"
        watching = [urllib.request.urlopen(url, timeout=20) for _ in range(MAX_WATCHERS)]
        assert live.watched
        status, headers, body = ask(port, "/events")
        assert (status, body.decode(), headers["Retry-After"]) == (503, f"{FULL}\n", "5")
        assert ask(port, "/livez")[0] == 200
        watching.pop().close()
        wait_until(lambda: first_line(port).endswith(b" 200 OK"), 20, "no place became free")
        for one in watching:
            one.close()
        wait_until(lambda: not live.watched, 20, "somebody still watches")


def first_line(port: int) -> bytes:
    """Of a stream that is left at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        return connection.recv(65_536).split(b"\r\n")[0]


def test_a_slow_client_is_dropped_and_holds_nobody_up() -> None:
    """One that never reads: the feeding thread is never held up, others get their frames, and its place becomes free."""
    live = watched()
    outcomes = [enriched("慢" * 600, "negative", "慢")]
    fed = 0
    stop = threading.Event()

    def feed() -> None:
        nonlocal fed
        while not stop.wait(0.01):
            fed += 1
            live.add(stood(outcomes, START), START + fed)

    with served(live) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        feeding = threading.Thread(target=feed)
        feeding.start()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=20) as other:
                for _ in range(10):
                    assert other.readline()
            before = fed
            wait_until(lambda: not live.watched, 60, "the slow client still has its place")
            assert fed > before + 20
        finally:
            stop.set()
            feeding.join()


def test_whoever_opens_connections_without_end_shuts_nobody_out() -> None:
    """No more are open than the limit: the oldest that sent no request makes room, and whoever is being answered stays."""
    with served(Live(START)) as port, ExitStack() as closing:
        watching = closing.enter_context(urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=20))
        assert watching.readline()
        opened = (socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(MAX_CONNECTIONS))
        idle = [closing.enter_context(one) for one in opened]
        for one in idle:
            one.sendall(b"GET / HTTP/1.0\r\nX: ")
        assert ask(port, "/livez")[0] == 200
        assert idle[0].recv(1) == idle[1].recv(1) == b""
        assert threading.active_count() <= MAX_CONNECTIONS + 20
        assert any(watching.readline().startswith(b"data") for _ in range(4))


def test_hostile_text_is_sent_as_it_is_and_only_in_a_string() -> None:
    """A frame is JSON on one line, which no text can end; markup in it is for the page to show, not for the browser."""
    live = watched()
    live.add(stood([enriched(f"{HOSTILE}\n\ndata: {{}}\n\n", said="<script>")], START + 1), START + 1)
    live.add([], START + 3)
    page = page_of(live)
    assert b"\n" not in page.frame()
    shown = "".join(piece for piece, _ in frame_of(page)["latest"][0]["parts"])
    assert shown == f"{HOSTILE}⏎⏎data: {{}}⏎⏎"
