"""Texts at the edge of what the packaged model is for: each has a defined language and a defined outcome."""

import pytest

from tests.unit.test_model_scorer import check
from textstream.event import EnrichedEvent, Label
from textstream.model.scorer import Scorer


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The packaged model with default settings."""
    return Scorer.load("swift", device="cpu")


def one(scorer: Scorer, text: str) -> EnrichedEvent:
    """The event of a text, with everything checked that an event promises; the same beside other texts as alone."""
    (event,) = scorer.score([text])
    check(event)
    beside = scorer.score(["what a great day", text, "服务太差了"])[1]
    assert (beside["language"], beside["sentiment"]) == (event["language"], event["sentiment"])
    assert (event["text"], event["truncated"]) == (text, False)
    return event


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("La habitación era preciosa pero el personal fue muy grosero", "es"),
        ("Das Zimmer war leider schmutzig und viel zu laut", "de"),
        ("Je ne reviendrai jamais dans cet hôtel, la chambre était sale", "fr"),
        ("Hizmet berbattı, bir daha gelmem", "tr"),
        ("Dịch vụ quá tệ, tôi rất thất vọng", "vi"),
        ("Pelayanannya buruk sekali, saya kecewa", "id"),
        ("Ужасный сервис, больше не приду", "ru"),
        ("サービスが最悪でした", "ja"),
        ("这家店 とても美味しい", "ja"),
        ("정말 맛있어요 추천합니다", "ko"),
        ("الخدمة كانت سيئة للغاية", "ar"),
        ("सेवा बहुत खराब थी", "hi"),
        ("บริการแย่มาก", "th"),
    ],
)
def test_a_text_in_a_third_language_is_named_and_not_judged(scorer: Scorer, text: str, code: str) -> None:
    """Its language is told, it is not supported, and it gets no sentiment and no key terms."""
    event = one(scorer, text)
    assert (event["language"]["code"], event["language"]["supported"]) == (code, False)
    assert event["sentiment"] is None and event["key_terms"] == []


@pytest.mark.parametrize(
    "text",
    [
        "", "   \n\t", "\u200b", "😍😍😍", "😡", "👍🏽👨‍👩‍👧‍👦🇨🇳", "❤️ 💔", "1️⃣2️⃣", ":) :-(", "^_^",
        "https://t.co/abc123", "http://t.cn/A6x7Kq2L", "www.example.org/terrible/service", "😂 https://t.co/x",
        "@someone", "@张三 @李四", "@user https://t.co/x 😍", "12345", "10/10", "3:45 - 67.8%", "!!!", "？？？", "...",
        "#", "——",
    ],
)  # fmt: skip
def test_a_text_without_words_is_of_no_language_and_not_judged(scorer: Scorer, text: str) -> None:
    """Only emoji, addresses, mentions, digits or marks: `und` for certain, no sentiment, no key terms."""
    event = one(scorer, text)
    assert event["language"] == {"code": "und", "probability": 1.0, "supported": False}
    assert event["sentiment"] is None and event["key_terms"] == []


@pytest.mark.parametrize(
    ("text", "codes", "label"),
    [
        ("这个app真的very nice，love it", {"en", "zh"}, "positive"),
        ("The 火锅 was so 好吃, totally worth it", {"en"}, "positive"),
        ("今天的meeting太boring了", {"zh"}, "negative"),
        ("我昨天在 Starbucks 排了一个小时队，服务太差了", {"zh"}, "negative"),
        ("muchas gracias the food was great", {"en"}, "positive"),
        ("the delivery was awful, nunca más", {"en"}, "negative"),
        ("service 态度 terrible 再也不来", {"en", "zh"}, "negative"),
    ],
)
def test_code_switched_text_is_judged_in_the_language_it_has_most_of(
    scorer: Scorer, text: str, codes: set[str], label: Label
) -> None:
    """English and Chinese mixed, or English with a few foreign words: supported, and its feeling understood."""
    event = one(scorer, text)
    assert event["language"]["code"] in codes and event["language"]["supported"]
    assert event["sentiment"] is not None and event["sentiment"]["label"] == label


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ok", "en"),
        ("lol", "en"),
        ("好", "zh"),
        ("#happy", "en"),
        ("#难过#", "zh"),
        ("[哈哈][哈哈]", "zh"),
        ("love it 😍 https://t.co/x", "en"),
        ("@客服 还没发货？？", "zh"),
        ("服務很差，唔好再嚟", "zh"),
        ("Ｔｈｉｓ ｉｓ ｔｅｒｒｉｂｌｅ", "en"),
        ("𝗧𝗵𝗶𝘀 𝗶𝘀 𝘁𝗲𝗿𝗿𝗶𝗯𝗹𝗲", "en"),
    ],
)
def test_a_word_is_enough_to_be_judged(scorer: Scorer, text: str, code: str) -> None:
    """One word, tag or Weibo emoticon, traditional characters, full-width or styled letters: supported, with a sentiment."""
    event = one(scorer, text)
    assert (event["language"]["code"], event["language"]["supported"]) == (code, True)
    assert event["sentiment"] is not None
