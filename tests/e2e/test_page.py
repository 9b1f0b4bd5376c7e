"""The worker's page in a real browser: a real worker on the embedded broker, with traffic, some of it hostile."""

import itertools
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Producer

from tests.support.browser import Browser, chromium
from tests.support.debian import MissingError
from tests.support.kafka import wait_until
from tests.support.needed import needed
from tests.support.reaper import Reaper
from tests.support.worker import Worker
from textstream.kafka.embedded import CONSUMER_PROPERTIES, EmbeddedBroker
from textstream.observe.page import FULL, MAX_WATCHERS

TOPIC = "reviews"
SCRIPT, IMAGE = "<script>document.title = 'taken'</script>", "<img src=x onerror=\"document.title='taken'\">"
MESSAGES = [
    b'{"text": "The room was lovely but the staff were rude"}',
    json.dumps({"text": f"The charger is terrible {SCRIPT} and broke"}).encode(),
    json.dumps({"text": f"Great screen {IMAGE} and a great battery"}).encode(),
    '{"text": "房间很好，但是服务太差了"}'.encode(),
    '{"text": "👍"}'.encode(),
    b"{broken",
]
EVERY_S = 0.15

CONTRASTS = """
(() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const color = channels(getComputedStyle(node).backgroundColor);
      if (color.length === 3) return color;
    }
    return [255, 255, 255];
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + .05) / (dark + .05);
  };
  const worst = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement, said = texts.currentNode.textContent.trim();
    if (!said || !parent.getClientRects().length || ["SCRIPT", "NOSCRIPT"].includes(parent.tagName)) continue;
    worst.push([contrast(channels(getComputedStyle(parent).color), ground(parent)), said]);
  }
  for (const bar of document.querySelectorAll("#moods rect, #history rect"))
    worst.push([contrast(channels(getComputedStyle(bar).fill), ground(bar.closest("svg").parentElement)) * 1.5, "a bar"]);
  return worst.sort((a, b) => a[0] - b[0]);
})()
"""
"""The contrast of every text with its ground, the least first; that of bars, of which half of it more is asked, likewise."""


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """The browser is there; where it is not the tests fail and say what is missing."""
    needed(chromium, MissingError)


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """With traffic on its topic for as long as the tests run."""
    stop = threading.Event()
    with EmbeddedBroker() as broker:
        broker.create_topics(TOPIC, f"{TOPIC}.enriched", f"{TOPIC}.dead")
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

        def send() -> None:
            chance = Random(1)  # in turn, the page's own pace would show some of them again and again, and others never
            for n in itertools.count():
                producer.produce(TOPIC, chance.choice(MESSAGES), partition=n % 4)
                producer.flush()
                if stop.wait(EVERY_S):
                    return

        sending = threading.Thread(target=send)
        sending.start()
        yield broker
        stop.set()
        sending.join()


def worker(broker: EmbeddedBroker, reaper: Reaper, folder: Path, **settings: object) -> Worker:
    """One that reads what is sent from its start on."""
    own = {"kafka__consumer": json.dumps(CONSUMER_PROPERTIES), "input__start": "latest"}
    return Worker(broker, reaper, folder, TOPIC, folder.name, **own | settings)  # type: ignore[arg-type]


def address(worker: Worker) -> str:
    """Of its page, once it is served."""
    wait_until(lambda: "http=127.0.0.1:" in worker.log, 60, lambda: worker.log)
    return f"http://127.0.0.1:{worker.log.split('http=127.0.0.1:')[1].split()[0]}/"


@pytest.fixture(scope="module")
def url(broker: EmbeddedBroker, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a worker that has published every kind of message."""
    with worker(broker, reaper, tmp_path_factory.mktemp("page")) as serving:
        yield address(serving)
        assert serving.stop() == 0, serving.log


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all."""
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser
        assert browser.complaints == [], "the page raised an error, or was refused something by its own policy"


@contextmanager
def taken(url: str, places: int) -> Iterator[None]:
    """Somebody else watches, so often."""
    with ExitStack() as watching:

        def take() -> bool:  # a page that has just left has its place until the worker writes to it again
            with suppress(urllib.error.HTTPError):
                watching.enter_context(urllib.request.urlopen(f"{url}events", timeout=30))
                return True
            return False

        for _ in range(places):
            wait_until(take, 30, "there was no place")
        yield


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_the_page_shows_the_stream(browser: Browser, url: str, scheme: str, width: int) -> None:
    """Counts, lag, a term, a marked message and a dead letter's reason, readable in both schemes, also on a narrow screen."""
    browser.open(url, scheme=scheme, width=width)
    browser.wait("document.querySelector('#state').textContent === 'Reading'")
    browser.wait("Number(document.querySelector('#enriched').textContent.replaceAll(',', '')) >= 10")
    browser.wait("[...document.querySelectorAll('#messages mark.negative')].some(mark => mark.textContent.startsWith('staff'))")
    browser.wait("[...document.querySelectorAll('#terms .name')].some(name => name.textContent === 'staff')")
    browser.wait("document.querySelector('#dead').innerText.includes('not_json')")
    browser.wait("document.querySelectorAll('#moods rect').length > 0 && document.querySelectorAll('#history rect').length > 0")
    browser.wait("document.querySelector('#lags').innerText.includes('reviews-3')")
    browser.wait("document.querySelector('#p50').textContent.endsWith('s')")
    assert "textstream-swift" in browser.text()
    assert browser.value("document.documentElement.scrollWidth") <= width
    browser.value("state('waiting', 'Not reading', 'so that this is looked at too'); document.querySelector('#pause').click()")
    least, where = browser.value(CONTRASTS)[0]
    assert least >= 4.5, f"{where}: {least:.2f}"


def test_hostile_text_is_shown_and_does_nothing(browser: Browser, url: str) -> None:
    """Markup in messages is text on the page: no element comes of it, and no script of it runs."""
    browser.open(url)
    for text in (SCRIPT, IMAGE):
        shown = f"[...document.querySelectorAll('#messages .text')].some(one => one.innerText.includes({json.dumps(text)}))"
        without_signs = shown.replace("one.innerText", "[...one.childNodes].map(n => n.firstChild?.data ?? n.data).join('')")
        browser.wait(without_signs)
    assert browser.value("document.querySelectorAll('img, main script, iframe').length") == 0
    assert browser.value("document.title") == "textstream"


def test_it_can_be_used_by_keyboard_and_paused(browser: Browser, url: str) -> None:
    """The first tab stop is Pause, visibly; it stops what moves, and lets go of the place."""
    browser.open(url)
    browser.wait("document.querySelectorAll('#messages li').length > 0")
    for key in ({"key": "Tab", "code": "Tab"}, {"key": "Enter", "code": "Enter", "text": "\r"}):
        browser.call("Input.dispatchKeyEvent", type="keyDown", **key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=key["key"], code=key["code"])
    browser.wait("document.activeElement.id === 'pause' && document.querySelector('#state').textContent === 'Paused'")
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert browser.value("document.querySelector('#pause').getAttribute('aria-pressed')") == "true"
    assert browser.value("source") is None


def test_parts_are_named_and_only_the_state_is_read_out(browser: Browser, url: str) -> None:
    """One header, main and footer; every section has a name; one live region, the state, so that nobody is talked over."""
    browser.open(url)
    browser.wait("document.querySelectorAll('#messages li').length > 0")
    assert browser.value("['header', 'main', 'footer', 'h1'].map(tag => document.querySelectorAll(tag).length)") == [1, 1, 1, 1]
    assert browser.value("[...document.querySelectorAll('section')].every(one => one.ariaLabel || one.ariaLabelledByElements)")
    assert browser.value("[...document.querySelectorAll('[role=status],[role=alert],[aria-live]')].map(one => one.id)") == [
        "state"
    ]
    assert browser.value("[...document.querySelectorAll('svg')].every(one => one.ariaLabel)")
    signs = "one => /[−=+]/.test(one.innerText) && /\\((negative|neutral|positive)\\)/.test(one.textContent)"
    marks = f"[...document.querySelectorAll('#messages mark')].every({signs})"
    assert browser.value(marks), "colour alone would tell the sentiment"


def test_one_page_too_many_is_told_and_tries_again(
    browser: Browser, broker: EmbeddedBroker, reaper: Reaper, tmp_path: Path
) -> None:
    """It says how many may watch, and what to do; when there is room it shows the stream."""
    with worker(broker, reaper, tmp_path) as serving:
        browser.open(url := address(serving))
        browser.wait("document.querySelector('#state').textContent === 'Reading'")
        browser.value("document.querySelector('#pause').click()")
        with taken(url, MAX_WATCHERS):
            browser.value("document.querySelector('#pause').click()")
            browser.wait(f"document.querySelector('#why').textContent.startsWith({json.dumps(FULL)})")
        browser.wait("document.querySelector('#state').textContent === 'Reading'")
        assert serving.stop() == 0
        browser.wait("document.querySelector('#state').textContent === 'Gone'")
        browser.open("about:blank")
        browser.complaints.clear()  # that there was no place, and then no answer


def test_without_text_the_page_shows_counts_alone(
    browser: Browser, broker: EmbeddedBroker, reaper: Reaper, tmp_path: Path
) -> None:
    """With privacy.show_text = false it counts and says why there is no text; none of any message is in it."""
    with worker(broker, reaper, tmp_path, privacy__show_text=False) as serving:
        browser.open(url := address(serving))
        browser.wait("Number(document.querySelector('#enriched').textContent.replaceAll(',', '')) >= 10")
        assert "privacy.show_text is false" in browser.text()
        assert "Key terms" not in browser.text().splitlines()
        with urllib.request.urlopen(f"{url}events", timeout=30) as stream:
            raw = b"".join(stream.readline() for _ in range(9)).decode()
        assert raw.count("data: ") > 2 and '"dead_letters":[["not_json",' in raw
        for word in ("staff", "charger", "房间", "\\u", "lovely", "script"):
            assert word not in raw
            assert word == "script" or word not in browser.value("document.body.innerHTML")
        browser.open("about:blank")
        assert serving.stop() == 0
