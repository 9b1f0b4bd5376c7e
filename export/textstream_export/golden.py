"""The golden inputs: texts of our own over languages, lengths and outcomes, whose outputs every machine must repeat."""

from itertools import product

_EN = (
    "The {a} was {b}.",
    "I can't believe how {b} the {a} is!!!",
    "not sure about the {a}, maybe {b}?",
    "@shop my {a} is {b} :( http://t.co/x1Y",
    "The {a} was {b} but the staff were rude 😡",
    "{A} UPDATE: {b} again lol #fail",
)
_EN_A = ("battery life", "room", "pizza", "customer service", "new iPhone", "delivery")
_EN_B = ("great", "terrible", "okay")
_ZH = (
    "{a}很{b}。",
    "这家店的{a}真的{b}，下次不会再来了",
    "{a}{b}，但是服务员态度差[怒]",
    "请问{a}什么时候到？",
    "//@小王:{a}太{b}了哈哈哈 http://t.cn/abc",
    "這個{a}質量{b}，推薦！👍🏽",
)
_ZH_A = ("房间", "手机电池", "火锅", "快递", "客服", "iPhone15屏幕")
_ZH_B = ("好", "糟糕", "一般")
_EDGE = (
    "",
    " ",
    "😀😀😀",
    "https://example.com/a?b=c",
    "12345 67.8%",
    "@someone",
    "👨‍👩‍👧‍👦🇨🇳1️⃣",
    "\u0000nul\u0000 bytes are fine",
    "これはとても美味しいです",
    "안녕하세요 반갑습니다",
    "Привет, как дела?",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "La habitación era muy bonita pero el personal fue muy grosero con nosotros",
    "Das Zimmer war sehr schön, aber das Personal war leider unfreundlich",
    "Le service était vraiment décevant et la chambre n'était pas propre",
    "u r gr8 lol c u 2nite",
    "我昨天在 Starbucks 喝了一杯 latte，not bad 哦",
    "The 火锅 here is so good",
    "e\u0301tude cafe\u0301 naïve façade",
    "ＦＵＬＬ　ＷＩＤＴＨ text",
    "do n't like it , it 's a bit slow .",
    "Don't like it, it's a bit slow.",
    "a",
    "好",
)


def texts() -> list[str]:
    """About 240 texts: the long ones pass the length of a window, so that merging is checked too."""
    english = [t.format(a=a, A=a.title(), b=b) for t, a, b in product(_EN, _EN_A, _EN_B)]
    chinese = [t.format(a=a, b=b) for t, a, b in product(_ZH, _ZH_A, _ZH_B)]
    long = [" ".join(english[:60]), "".join(chinese[:60]), " ".join(english[i] for i in range(0, 100, 9)), "很好" * 300]
    return [*english, *chinese, *_EDGE, *long]
