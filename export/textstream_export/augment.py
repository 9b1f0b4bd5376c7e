"""Training rows as live messages would say them: spacing, case, spelling, names and genders varied, noise appended.

    augmented(row, rng)               label, terms and aspects hold; each aspect stands where its words went
    joined(first, second, rng)        two in one message, aspects of both with what is said of each
    twins(row, rng)                   two rows that differ in a name or in gender only: one answer holds for both
    variant(text, lang, rng)          negated, its words turned to their opposites, hedged, put in the past: no label
    spliced(first, second, lang, rng) two messages in one: no label
    cropped(text, lang, rng)          some words on end of it: no label
    blended(first, second, lang, rng) with words of another message in place of some of its own: no label
    substituted(text, near, rng)      with words like them in place of some of its own: no label

What has no label is for a teacher to label. Everything is a pure function of its arguments and the state of `rng`.

A change is a list of edits to one text, none of which overlap. An edit that would cross the border of an aspect, or take
away the whole of one, is not made: so every aspect keeps its words.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from textstream.event import Label
from textstream.model.text import RUN, normal, simplified
from textstream_export.data import Aspect, Row
from textstream_export.names import RECOGNISED, Gender, any_drawn, drawn, surname
from textstream_export.neighbours import Neighbours

SPACED = frozenset(
    [
        "sst2", "sst5_as3", "mr", "cr", "mpqa", "yelp_style", "twitter_mm_kp", "stackexchange_kp", "tweets_kw", "wnut17",
        "absa_laptop14", "absa_rest14", "absa_rest16", "absa_tv",
    ]
)  # fmt: skip
"""Sources whose texts were cut into tokens with spaces between, most of them lower-cased too."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often `augmented` makes each change, for a row to which it applies."""

    detokenised: float = 0.7
    truecased: float = 0.75
    renamed: float = 0.7
    regendered: float = 0.3
    pronoun_named: float = 0.15
    addressed: float = 0.08
    cased: float = 0.15
    misspelt: float = 0.2
    rewritten: float = 0.15  # Chinese: traditional, full width, punctuation
    noise: float = 0.15


RATES = Rates()


# --- edits


@dataclass(frozen=True, slots=True)
class Edit:
    """`text[begin:end]` becomes `said`."""

    begin: int
    end: int
    said: str


def edited(row: Row, edits: Iterable[Edit]) -> Row:
    """The row with those edits made that leave every aspect its words. Edits must not overlap; gold terms change with them."""
    placed = [(a.begin, a.end) for a in row.aspects or ()]
    for term in filter(None, row.terms or ()):
        placed += [found.span() for found in re.finditer(re.escape(term), row.text, re.IGNORECASE)]
    made = sorted((e for e in edits if all(_fits(e, *span) for span in placed)), key=lambda e: (e.begin, e.end))
    text = _replaced(row.text, made)
    if not made or not text.strip():
        return row
    moved = {span: _moved(span, made) for span in placed}
    if any(not text[begin:end].strip() for begin, end in moved.values()):
        return row
    aspects = row.aspects and tuple(Aspect(*moved[a.begin, a.end], a.sentiment) for a in row.aspects)
    terms = row.terms and tuple(dict.fromkeys(said for term in row.terms for said in _said(term, row.text, text, moved)))
    return replace(row, text=text, aspects=aspects, terms=terms)


def _fits(edit: Edit, begin: int, end: int) -> bool:
    """Whether the edit is outside the span or inside it, and does not take it away."""
    if edit.end <= begin or edit.begin >= end:
        return True
    return begin <= edit.begin and edit.end <= end and bool(edit.said.strip() or (edit.begin, edit.end) != (begin, end))


def _replaced(text: str, edits: Sequence[Edit]) -> str:
    parts, at = [], 0
    for edit in edits:
        assert at <= edit.begin <= edit.end <= len(text), f"{edit} overlaps another or is outside the text"
        parts += [text[at : edit.begin], edit.said]
        at = edit.end
    return "".join([*parts, text[at:]])


def _moved(span: tuple[int, int], edits: Sequence[Edit]) -> tuple[int, int]:
    """Where a span stands after the edits: what is put in at its very ends stays outside."""
    begin, end = span
    before = sum(len(e.said) - (e.end - e.begin) for e in edits if e.end <= begin)
    inside = sum(len(e.said) - (e.end - e.begin) for e in edits if e.end > begin and e.begin < end)
    return begin + before, end + before + inside


def _said(term: str, old: str, new: str, moved: dict[tuple[int, int], tuple[int, int]]) -> list[str]:
    """What a gold phrase is called after the edits; itself where it did not stand in the text."""
    there = [to for span, to in moved.items() if old[slice(*span)].casefold() == term.casefold()]
    return [new[begin:end] for begin, end in there] or [term]


# --- what keeps the label


def augmented(row: Row, rng: Random, rates: Rates = RATES) -> Row:
    """The row as another live message might say it; its label, and what its terms and aspects are, hold as before."""

    def chosen(rate: float) -> bool:
        return rng.random() < rate

    if row.lang == "en":
        row = filled(row, rng)
        if row.source in SPACED and chosen(rates.detokenised):
            row = detokenised(row, rng)
            row = truecased(row) if chosen(rates.truecased) else row
    if chosen(rates.pronoun_named):
        row = pronoun_named(row, rng)
    if chosen(rates.renamed):
        row = renamed(row, rng)
    if chosen(rates.regendered):
        row = regendered(row)
    if chosen(rates.addressed):
        row = addressed(row, rng)
    if row.lang == "zh" and chosen(rates.rewritten):
        row = rng.choice([traditional, full_width, other_stops])(row)
    if chosen(rates.misspelt):
        row = misspelt(row, rng)
    if row.lang == "en" and chosen(rates.cased):
        row = cased(row, rng)
    return noisy(row, rng) if chosen(rates.noise) else row


_PLACEHOLDER = re.compile(r"\[NAME\]|\[RELIGION\]|_num_|<(?:number|user|url|time|date|money|percent|lf)>")
_RELIGIONS = ("Christian", "Muslim", "Hindu", "Buddhist", "Jewish", "Sikh")


def filled(row: Row, rng: Random) -> Row:
    """Placeholders of the sources ("[NAME]", "_num_", "<user>") become what stood there."""
    fill: dict[str, Callable[[], str]] = {
        "[NAME]": lambda: any_drawn("en", rng),
        "[RELIGION]": lambda: rng.choice(_RELIGIONS),
        "_num_": lambda: str(rng.randint(2, 400)),
        "<number>": lambda: str(rng.randint(2, 2000)),
        "<user>": lambda: _mention(rng),
        "<url>": lambda: _url(rng),
        "<time>": lambda: f"{rng.randint(1, 12)}:{rng.randint(0, 59):02d}",
        "<date>": lambda: f"{rng.randint(1, 28)}/{rng.randint(1, 12)}",
        "<money>": lambda: f"${rng.randint(2, 900)}",
        "<percent>": lambda: f"{rng.randint(1, 99)}%",
        "<lf>": lambda: "\n",
    }
    return edited(row, [Edit(*m.span(), fill[m[0]]()) for m in _PLACEHOLDER.finditer(row.text)])


_BRACKETS = {"rb": "()", "sb": "[]", "cb": "{}"}
_TOKENISED = re.compile(
    r"""(?P<open>-l(?P<which>[rsc]b)-\s?)|(?P<close>\s?-r(?P<which2>[rsc]b)-)
      | (?P<left>``\s?)|(?P<right>\s?'')
      | (?P<gap>(?<=[A-Za-z])\s(?=n't\b|'(?:s|re|ve|ll|d|m)\b))
      | (?P<verb>(?<=\b(?:gon|wan))\s(?=na\b)|(?<=\bgot)\s(?=ta\b))
      | (?P<point>(?<=\d)\s\.\s(?=\d))
      | (?P<apart>(?<=[A-Za-z])\s'\s(?=(?:s|t|re|ve|ll|d|m)\b))      # "he ' s"
      | (?P<slash>\\(?=[/*]))
      | (?P<before>\s+(?=[,.!?%)\]}](?:[\s,.!?;:)\]}'"]|$)|[:;](?:\s|$)))
      | (?P<after>(?<=[($#\[{])\s(?=[\w"]))
      | (?P<quote>\s?"\s?)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def detokenised(row: Row, rng: Random) -> Row:
    """ "It did n't work -lrb- at all -rrb- ." as it was written: "It didn't work (at all)."."""
    dash = rng.choice([" - ", " -- ", "—", " — "])
    edits, quotes = [], 0
    for found in _TOKENISED.finditer(row.text):
        said = ""
        if found["open"]:
            said = _BRACKETS[found["which"].lower()][0]
        elif found["close"]:
            said = _BRACKETS[found["which2"].lower()][1]
        elif found["left"] or found["right"]:
            said = '"'
        elif found["apart"] or found["point"]:
            said = found[0].strip()
        elif found["quote"]:
            quotes += 1
            said = found[0].rstrip() if quotes % 2 else found[0].lstrip()
            said = said.rstrip() if re.match(r"[,.!?;:]", row.text[found.end() :]) else said
        edits.append(Edit(*found.span(), said))
    row = edited(row, edits)
    return edited(row, [Edit(*m.span(), dash) for m in re.finditer(r" --? (?=\w)", row.text)])


_SENTENCE_START = re.compile(r"(?:^|[.!?]\s+)[\"'(]*([a-z])|\b(i)(?=$|['\s,.!?])")


def truecased(row: Row) -> Row:
    """Sentences and "I" begin with a capital."""
    spans = [m.span(1) if m[1] else m.span(2) for m in _SENTENCE_START.finditer(row.text)]
    return edited(row, [Edit(b, e, row.text[b:e].upper()) for b, e in spans])


def cased(row: Row, rng: Random) -> Row:
    """All in lower case, all in capitals, or one longer word in capitals."""
    how = rng.random()
    if how < 0.6:
        return _mapped(row, str.lower)
    if how < 0.8:
        return _mapped(row, str.upper)
    words = [m.span() for m in re.finditer(r"[A-Za-z]{4,}", row.text)]
    if not words:
        return row
    begin, end = rng.choice(words)
    return edited(row, [Edit(begin, end, row.text[begin:end].upper())])


def _mapped(row: Row, change: Callable[[str], str]) -> Row:
    """Every character changed on its own; one whose change has another length stays ("ß" has no single capital)."""
    return edited(row, [Edit(i, i + 1, change(c)) for i, c in enumerate(row.text) if change(c) != c and len(change(c)) == 1])


# --- names and genders

_CAPITAL = re.compile(r"(?<![@#\w/.-])[A-Z][A-Za-z]+(?![\w@-])")
_NAME_ZH = re.compile("|".join(sorted((n for n in RECOGNISED["zh"] if len(n) > 2), key=len, reverse=True)))
_PRONOUN_EN = re.compile(r"\b(?:[Hh]e|[Ss]he)(?='s\b|'ll\b| (?:is|was|will|has|had|can|could|would|did|said|just|really)\b)")
_PRONOUN_ZH = re.compile(r"(?<![其吉维利排])[他她](?![们妈娘])")


def renamed(row: Row, rng: Random) -> Row:
    """Every name becomes another one, of any origin; the same name everywhere the same."""
    pattern, known = (_NAME_ZH if row.lang == "zh" else _CAPITAL), RECOGNISED[row.lang]
    found = [m for m in pattern.finditer(row.text) if m[0] in known]
    others = {name: drawn(row.lang, known[name], rng) for name in dict.fromkeys(m[0] for m in found)}
    return edited(row, [Edit(*m.span(), others[m[0]]) for m in found])


def pronoun_named(row: Row, rng: Random) -> Row:
    """One "he" or "she" becomes a name."""
    found = list((_PRONOUN_ZH if row.lang == "zh" else _PRONOUN_EN).finditer(row.text))
    if not found:
        return row
    place = rng.choice(found)
    return edited(row, [Edit(*place.span(), _full("female" if place[0].lower() in ("she", "她") else "male", row.lang, rng))])


_ADDRESSED = {
    "en": ("{}, ", "@{} ", "hi {}, ", "{}: ", "{} said ", "hey {}! ", "RT {}: ", "according to {} "),
    "zh": ("{}，", "@{} ", "{}说", "{}：", "听{}说", "{}你好，", "转发{}：", "据{}介绍，"),
}
_SIGNED = {
    "en": (" - {}", " @{}", ", {}", " ({})", " thanks {}", " cc {}", " with {}", " via {}"),
    "zh": ("——{}", " @{}", "，{}", "（{}）", " 谢谢{}", " 和{}一起", " 转自{}", " 来自{}"),
}


def addressed(row: Row, rng: Random) -> Row:
    """A name before or after the message: whom it is to, from or about."""
    frames, end = (_ADDRESSED, 0) if rng.random() < 0.6 else (_SIGNED, len(row.text))
    name = _full(rng.choice(("female", "male")), row.lang, rng)
    return edited(row, [Edit(end, end, rng.choice(frames[row.lang]).format(name))])


def twins(row: Row, rng: Random) -> tuple[Row, Row]:
    """Two rows that differ in a name or in gender only: what a network says of one it must say of the other."""
    turned = regendered(row)
    if turned.text != row.text and rng.random() < 0.5:
        return row, turned
    pronouns = list((_PRONOUN_ZH if row.lang == "zh" else _PRONOUN_EN).finditer(row.text))
    begin, end, frame = 0, 0, rng.choice(_ADDRESSED[row.lang])
    if pronouns:
        begin, end, frame = *rng.choice(pronouns).span(), "{}"
    names = (_full(gender, row.lang, rng) for gender in rng.choices(("female", "male"), k=2))
    one, other = (edited(row, [Edit(begin, end, frame.format(name))]) for name in names)
    return one, other


def _full(gender: Gender, lang: str, rng: Random) -> str:
    """A name, in English now and then with a surname; Chinese ones have theirs."""
    name = drawn(lang, gender, rng)
    return f"{name} {surname(rng)}" if lang == "en" and rng.random() < 0.3 else name


_PAIRS_EN = """
he she|himself herself|man woman|men women|boy girl|boys girls|boyfriend girlfriend|husband wife|father mother|dad mom
daddy mommy|son daughter|sons daughters|brother sister|brothers sisters|uncle aunt|nephew niece|grandpa grandma
grandfather grandmother|mr mrs|sir madam|king queen|prince princess|actor actress|waiter waitress|gentleman lady|male female
hubby wifey|groom bride|lad lass|bro sis|fella gal
"""
_PAIRS_ZH = """
他 她|先生 女士|男朋友 女朋友|男友 女友|男生 女生|男孩 女孩|男人 女人|男士 女士|儿子 女儿|爸爸 妈妈|老爸 老妈|父亲 母亲
哥哥 姐姐|弟弟 妹妹|老公 老婆|丈夫 妻子|爷爷 奶奶|叔叔 阿姨|帅哥 美女|小伙子 小姑娘|外公 外婆|公公 婆婆|舅舅 舅妈
男神 女神|王子 公主|男主 女主|师兄 师姐|师弟 师妹|男老师 女老师|男同事 女同事|大哥 大姐|小哥哥 小姐姐
"""


def _both_ways(pairs: str) -> dict[str, str]:
    table: dict[str, str] = {}
    for pair in re.split(r"[|\n]", pairs.strip()):
        a, b = pair.split()
        table.setdefault(a, b)
        table.setdefault(b, a)
    return table


GENDER_EN, GENDER_ZH = _both_ways(_PAIRS_EN), _both_ways(_PAIRS_ZH)
_WORD = re.compile(r"(?<![@#\w/.-])[A-Za-z]+(?![\w-])")
_GENDERED_EN = frozenset({*GENDER_EN, "him", "his", "her", "hers"})
_GENDERED_ZH = re.compile(
    "|".join([*sorted((word for word in GENDER_ZH if len(word) > 1), key=len, reverse=True), _PRONOUN_ZH.pattern])
)
_OBJECT_FOLLOWS = re.compile(
    r"\s*(?:$|[^\w\s]|\s(?:and|or|but|so|to|for|with|in|on|at|from|about|as|if|when|because|again|back|up|out|down|off|is|was|"
    r"will|the|a|an|that|this|i|you|we|they|not|very|too|now|today|yesterday|tonight|tomorrow)\b)",
    re.IGNORECASE,
)
_OUTCRY = re.compile(r"(?:\boh\s|\bhey\s|^|[.!?]\s)$", re.IGNORECASE)


def regendered(row: Row) -> Row:
    """Every gendered word becomes the other gender's."""
    if row.lang == "zh":
        return edited(row, [Edit(*m.span(), GENDER_ZH[m[0]]) for m in _GENDERED_ZH.finditer(row.text)])
    words = (m for m in _WORD.finditer(row.text) if m[0].lower() in _GENDERED_EN)
    found = [m for m in words if not _is_outcry(row.text, m)]
    return edited(row, [Edit(*m.span(), _as_cased(_other_gender(row.text, m), m[0])) for m in found])


def _is_outcry(text: str, found: re.Match[str]) -> bool:
    """Whether nobody is meant: "Oh man", "Boy, was that fun"."""
    return found[0].lower() in ("man", "boy", "girl", "bro") and bool(_OUTCRY.search(text[: found.start()]))


def _other_gender(text: str, found: re.Match[str]) -> str:
    word = found[0].lower()
    if word == "her":
        return "him" if _OBJECT_FOLLOWS.match(text, found.end()) else "his"
    if word == "his":
        return "hers" if re.match(r"\s*(?:$|[.,!?])", text[found.end() :]) else "her"
    return {"him": "her", "hers": "his"}.get(word) or GENDER_EN[word]


def _as_cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word


# --- spelling

_KEYS = {
    key: near
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for key, near in zip(row, (row[max(0, i - 1)] + row[min(len(row) - 1, i + 1)] for i in range(len(row))), strict=True)
}
_SHORT_EN = {
    "you": "u", "your": "ur", "you're": "youre", "are": "r", "please": "pls", "thanks": "thx", "people": "ppl",
    "because": "cuz", "with": "w/", "about": "abt", "though": "tho", "really": "rly", "great": "gr8", "before": "b4",
    "tomorrow": "tmrw", "something": "smth", "right now": "rn", "don't": "dont", "can't": "cant", "won't": "wont",
    "didn't": "didnt", "doesn't": "doesnt", "isn't": "isnt", "wasn't": "wasnt", "it's": "its", "i'm": "im", "i've": "ive",
    "going to": "gonna", "want to": "wanna", "love": "luv", "definitely": "definately", "their": "thier", "what": "wat",
    "received": "recieved", "okay": "ok", "probably": "prolly", "favorite": "fav", "very": "v", "to be honest": "tbh",
}  # fmt: skip
_SHORT_ZH = {
    "什么": "啥", "没有": "木有", "喜欢": "稀饭", "怎么": "肿么", "东西": "东东", "同学": "童鞋", "这样": "酱紫",
    "朋友": "盆友", "已经": "己经", "在": "再", "的": "滴", "得": "的", "做": "作", "太": "忒", "非常": "灰常", "觉得": "觉的",
    "感觉": "赶脚", "谢谢": "蟹蟹", "漂亮": "票亮", "特别": "特憋", "真的": "真滴", "以后": "已后", "吧": "叭", "呢": "捏",
    "了": "惹", "真是": "真素", "期待": "期带", "帮忙": "邦忙", "服务": "服物", "快递": "快弟", "客服": "克服", "物流": "物留",
}  # fmt: skip
_SHORT = {
    "en": (re.compile(rf"(?<![\w'])(?:{'|'.join(map(re.escape, _SHORT_EN))})(?![\w'])", re.IGNORECASE), _SHORT_EN),
    "zh": (re.compile("|".join(sorted(_SHORT_ZH, key=len, reverse=True))), _SHORT_ZH),
}
_LONG_WORD = re.compile(r"(?<![@#/\w.])[A-Za-z]{5,}(?![\w/.@])(?!'t)")
_STRETCHABLE = re.compile(
    r"(?<![@#/\w.])(?:so+|good|bad|love|hate|no|yes|please|ugh|wow|yay|really|very)(?![\w/.@])", re.IGNORECASE
)
_DENIES = re.compile(r"(?i)never|without|hardly|barely|nothing|nobody|cannot|unless|aren|couldn|wouldn|shouldn")


def misspelt(row: Row, rng: Random) -> Row:
    """Shortened words, slips of the finger, stretched vowels. Words that deny are left as they are."""
    pattern, table = _SHORT[row.lang]
    short = {m[0].lower(): Edit(*m.span(), table[m[0].lower()]) for m in pattern.finditer(row.text)}  # the last of each
    kinds = [rng.sample(list(short.values()), min(len(short), rng.randint(1, 2)))]
    if row.lang == "en":
        words = [m for m in _LONG_WORD.finditer(row.text) if not _DENIES.match(m[0])]
        chosen = rng.sample(words, min(len(words), rng.randint(1, 2)))
        kinds.append([Edit(*m.span(), _slip(m[0], rng)) for m in chosen])
        drawn = list(_STRETCHABLE.finditer(row.text))
        kinds.append([Edit(*m.span(), _stretched(m[0], rng)) for m in drawn[:1]])
    kinds = [edits for edits in kinds if edits]
    return edited(row, rng.choice(kinds)) if kinds else row


def _slip(word: str, rng: Random) -> str:
    """One slip after the first letter: two letters swapped, one left out, doubled, or its neighbour on the keyboard."""
    at = rng.randrange(1, len(word) - 1)
    a, b = word[at], word[at + 1]
    near = rng.choice(_KEYS.get(a, a))
    return word[:at] + rng.choice([b + a, b, a + a + b, near + b]) + word[at + 2 :]


def _stretched(word: str, rng: Random) -> str:
    vowel = max((i for i, c in enumerate(word) if c.lower() in "aeiouy"), default=len(word) - 1)
    return word[:vowel] + word[vowel] * rng.randint(2, 5) + word[vowel:]


# --- other ways of writing Chinese

_WIDE = {chr(c): chr(c + 0xFEE0) for c in range(ord("!"), ord("~") + 1)}
_STOPS = {"，": ",", "。": ".", "！": "!", "？": "?", "：": ":", "；": ";", "（": "(", "）": ")"}


@cache
def _traditional() -> dict[str, str]:
    """Simplified character → the commonest traditional one: Big5 lists common characters first."""
    table: dict[str, str] = {}
    for code, plain in simplified().items():
        if (rank := _big5(chr(code))) and not _big5(plain) and rank < (_big5(table.get(plain, "")) or rank + 1):
            table[plain] = chr(code)
    return table


def _big5(char: str) -> int:
    """The place of a character in Big5; 0 where it has none."""
    return int.from_bytes(char.encode("big5", "ignore"), "big")


def traditional(row: Row) -> Row:
    """Written in traditional characters."""
    table = _traditional()
    return edited(row, [Edit(i, i + 1, table[c]) for i, c in enumerate(row.text) if c in table])


def full_width(row: Row) -> Row:
    """Letters, digits and punctuation in full width, but in addresses and mentions."""
    apart = {i for m in re.finditer(r"(?:https?:|www\.|[@#])\S+", row.text) for i in range(*m.span())}
    return edited(row, [Edit(i, i + 1, _WIDE[c]) for i, c in enumerate(row.text) if c in _WIDE and i not in apart])


def other_stops(row: Row) -> Row:
    """Chinese punctuation typed as ASCII."""
    return edited(row, [Edit(i, i + 1, _STOPS[c]) for i, c in enumerate(row.text) if c in _STOPS])


# --- noise around the message

_ANY_EMOJI = ("📷", "👇", "🔁", "🎥", "📍", "🗓️", "➡️", "🤔", "👀", "🎧", "☕", "📌")
_EMOJI: dict[Label | None, tuple[str, ...]] = {
    "positive": ("😊", "😍", "👍", "❤️", "🥰", "🎉", "💯", "😁", "🙌", "😄"),
    "negative": ("😡", "😞", "👎", "😤", "💔", "😒", "🙄", "😭", "🤬", "😩"),
}
_TAGS = {
    "en": ("#news", "#monday", "#today", "#nowplaying", "#review", "#travel", "#foodie", "#tech", "#london", "#work"),
    "zh": ("#今日分享#", "#生活记录#", "#周末#", "#美食#", "#日常#", "#数码#", "#旅行#", "#上班#"),
}
_PREFIXES = {"en": ("RT {}: ", "{} ", "re: "), "zh": ("回复{}:", "//{}: ", "{} ", "转发：")}


def noisy(row: Row, rng: Random) -> Row:
    """An emoji, address, mention or tag around the message; an emoji with a mood only where it is the label's."""
    end = len(row.text)
    moods = _EMOJI.get(row.label, ())
    gap = " " if rng.random() < 0.6 else ""
    tails = [" " + _url(rng), " " + _mention(rng), gap + rng.choice(_ANY_EMOJI)]
    tails += [gap + rng.choice(moods) * rng.randint(1, 3)] * 2 if moods else []
    tails += [" " + rng.choice(_TAGS[row.lang])] if row.terms is None else []  # a tag may well be a key phrase
    if rng.random() < 0.25:
        return edited(row, [Edit(0, 0, rng.choice(_PREFIXES[row.lang]).format(_mention(rng)))])
    return edited(row, [Edit(end, end, rng.choice(tails))])


def _mention(rng: Random) -> str:
    return "@" + any_drawn("en", rng).lower() + rng.choice(["", "_", "x"]) + str(rng.randint(1, 99))


def _url(rng: Random) -> str:
    name = "".join(rng.choices("abcdefghkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=7))
    return rng.choice(["https://t.co/", "http://t.cn/", "http://bit.ly/", "https://example.com/"]) + name


# --- what a teacher must label

_OPPOSITES_EN = """
good bad|great terrible|love hate|loved hated|loves hates|best worst|better worse|amazing awful|happy sad|fast slow
quickly slowly|easy difficult|friendly rude|clean dirty|cheap expensive|fresh stale|helpful useless|beautiful ugly
interesting dull|perfect broken|excellent poor|nice nasty|delicious disgusting|comfortable uncomfortable|works fails
win lose|won lost|winning losing|always never|more less|like dislike|recommend avoid|reliable unreliable|strong weak
fixed broke|success failure|improved worsened|glad sorry|excited worried|thanks shame|enjoy regret|enjoyed regretted
fun boring
"""
_OPPOSITES_ZH = """
好吃 难吃|好看 难看|好用 难用|好听 难听|喜欢 讨厌|满意 失望|开心 难过|高兴 生气|便宜 太贵|太快 太慢|干净 很脏|方便 麻烦
舒服 难受|漂亮 丑|推荐 后悔|热情 冷淡|新鲜 不新鲜|清晰 模糊|流畅 卡顿|很好吃 很难吃|很好看 很难看|很好用 很难用|很好听 很难听
优秀 糟糕|精彩 无聊|成功 失败
赢了 输了|上涨 下跌|进步 退步|有用 没用|结实 易坏|安静 吵闹|幸福 痛苦|期待 害怕|支持 反对|值得 不值|真香 真坑|给力 坑爹
好评 差评|很好 很差|真好 真差|太好 太差|挺好 挺差|很快 很慢|最爱 最恨
"""
OPPOSITE = {"en": _both_ways(_OPPOSITES_EN), "zh": _both_ways(_OPPOSITES_ZH)}
_TURNABLE = {
    "en": re.compile(rf"(?<![\w'@#])(?:{'|'.join(OPPOSITE['en'])})(?![\w'])", re.IGNORECASE),
    "zh": re.compile("|".join(sorted(OPPOSITE["zh"], key=len, reverse=True))),
}

_AFFIRMS_EN = re.compile(
    r"\b(?:is|was|are|were|will|would|should|could|can|does|did|do|has|have|am)\b(?! not|n't|'t)"
    r"|\b(?:I|you|we|they|i) (?=(?:like|love|want|need|enjoy|recommend|think|feel|trust|hope|care|know|get)\b)"
)
_DENIAL_EN = re.compile(r"(?:n't|n’t)\b| not\b| never\b|\bno longer ", re.IGNORECASE)
_AFFIRMS_ZH = re.compile(
    "(?<![不没很])(?:很?(?=喜欢|推荐|满意|好吃|好看|好用|想|会|能|值得|开心|支持|建议|舒服|觉得|应该|方便|相信)|很(?=[好快美香棒甜新]))"
)
_DENIAL_ZH = re.compile("不(?=是|太|会|能|好|喜欢|推荐|满意|错|想|值|够|应该|方便|建议)|没(?=有|想到)|并不|从不|毫不")

_FRAMES = {
    "en": (
        "I wouldn't say {}", "nobody would claim that {}", "I wish I could say {}", "they promised {}", "not sure that {}",
        "{}, said no one ever", "{}... yeah right", "{}? not at all", "last year {} these days it's the other way round",
        "I was told {} but I can't confirm that", "does anyone really think {}", "if only {}", "{}, or so they say",
        "it is simply not the case that {}", "hard to believe that {}", "my sister says {}", "tell me why {}", "{} /s",
        "it's hardly true that {}", "before the update: {}", "{} but then everything changed", "{} (finally fixed)",
        "turns out I was wrong: {}", "I doubt that {}", "oh great, {}", "thanks for nothing. {}", "can't complain, {}",
        "could have been worse: {}",
    ),
    "zh": (
        "不能说{}", "谁说{}", "我可不觉得{}", "要是{}就好了", "{}才怪", "并不是说{}", "以前{}，如今早就不是这样了", "难道{}",
        "客服说{}，我不信", "据说{}，没核实过", "{}？一点也不", "听我妈说{}", "{}，呵呵", "真希望{}",
        "大家都说{}，我倒不这么看",
        "怀疑{}", "说好的{}呢", "{}，后来全变了", "更新之前{}", "没想到{}", "原来是我错了，{}", "很难相信{}", "{}（已解决）",
        "请问是不是{}", "万一{}怎么办", "{}，你信吗", "没啥好抱怨的，{}", "真是谢谢你啊，{}",
    ),
}  # fmt: skip
_JOINTS = {
    "en": (", but ", ". However, ", " although ", " and ", ". ", " - ", "; still, ", " even though ", ". Then again, ", "\n"),
    "zh": ("，但是", "，不过", "。可是", "，而且", "。", " ", "，然而", "；另外", "，就是", "\n"),
}
CROPPED = 2, 10
"""Words of a crop."""
BLENDED = 0.2
"""Part of the words that become others."""
SUBSTITUTED = 0.15, 0.5
"""Least and greatest part of the words that become others like them."""
FRAMED_LENGTH = 120
"""Code points of the longest text that is put in a frame: nobody frames a paragraph."""
TURNED_INSIDE = 0.7
"""How often `contrary` changes words where it can, before it looks at the whole: that is where meaning turns."""


def contrary(text: str, lang: str, rng: Random) -> str:
    """The text with its meaning turned, or hedged, or put in doubt: what it then says is for a teacher to tell."""
    inside, around = [_denied, _affirmed, _turned], [_questioned, _framed]
    rng.shuffle(inside)
    rng.shuffle(around)
    turns = inside + around if rng.random() < TURNED_INSIDE else around + inside
    done = (turn(text, lang, rng) for turn in turns)
    return next((said for said in done if said != text and said.strip()), text)


def variant(text: str, lang: str, rng: Random) -> str:
    """A contrary text, written as another live message might write it."""
    return augmented(Row(contrary(text, lang, rng), lang, source=""), rng).text


def spliced(first: str, second: str, lang: str, rng: Random) -> str:
    """Two messages in one, by a word of contrast or none."""
    return _opening(first, 0) + _going_on(second, lang, rng)


def joined(first: Row, second: Row, rng: Random) -> Row:
    """Two rows of aspects in one message of the first's source, as `spliced`. Its own label nobody knows."""
    ours, theirs = first.aspects or (), second.aspects or ()
    text = _opening(first.text, max((a.end for a in ours), default=0)) + _going_on(second.text, first.lang, rng)
    behind = len(text) - len(second.text)
    moved = (replace(a, begin=a.begin + behind, end=a.end + behind) for a in theirs)
    return Row(text, first.lang, first.source, aspects=(*ours, *moved))


def _opening(text: str, kept: int) -> str:
    """Without the stop at its end, where that is behind the first `kept` code points."""
    return text[:kept] + text[kept:].rstrip(" .!?。！？，,") or text


def _going_on(text: str, lang: str, rng: Random) -> str:
    """The second of two messages, with what joins them before it; it is as long as it was."""
    joint = rng.choice(_JOINTS[lang])
    small = text[:1].lower()
    goes_on = joint[-1:] == " " and joint[0] != "." and len(small) == 1  # "İ" becomes two
    return joint + (small + text[1:] if goes_on else text)


def cropped(text: str, lang: str, rng: Random) -> str:
    """A few words on end, as Tang et al. 2019 (arXiv 1903.12136) cut texts for a small student."""
    pieces = _pieces(text, lang)
    size = min(len(pieces), rng.randint(*CROPPED))
    begin = rng.randrange(len(pieces) - size + 1)
    return "".join(pieces[begin : begin + size]).strip()


def blended(first: str, second: str, lang: str, rng: Random) -> str:
    """Some words of the first become words of the second: a word alone must not be known by the company it kept."""
    pieces, others = _pieces(first, lang), _pieces(second, lang)
    return "".join(rng.choice(others) if rng.random() < BLENDED else piece for piece in pieces).strip()


def substituted(text: str, near: Neighbours, rng: Random) -> str:
    """Some words become others that stand in such places too, as Jiao et al. 2020 (TinyBERT, arXiv 1909.10351) make texts for a
    small student: what a word says apart from its company."""
    share = rng.uniform(*SUBSTITUTED)

    def said(piece: str) -> str:
        word = piece.lstrip()
        others = near.of(normal(word)) if rng.random() < share else ()
        return piece[: len(piece) - len(word)] + _as_cased(rng.choice(others), word) if others else piece

    return "".join(map(said, RUN.findall(text)))


def _pieces(text: str, lang: str) -> list[str]:
    """The words of a text, each with the space before it; Chinese by two characters, as most of its words are."""
    pieces = RUN.findall(text)
    if lang == "en":
        return pieces
    return [piece[at : at + 2] for piece in pieces for at in range(0, len(piece), 2)]


def _denied(text: str, lang: str, rng: Random) -> str:
    if lang == "zh":
        return _at_one(_AFFIRMS_ZH, text, rng, lambda said: rng.choice(["不", "不是很", "并不", "不怎么"]))
    return _at_one(
        _AFFIRMS_EN, text, rng, lambda said: said + "don't " if said.endswith(" ") else said + rng.choice([" not", "n't"])
    )


def _affirmed(text: str, lang: str, rng: Random) -> str:
    return _at_one(_DENIAL_ZH if lang == "zh" else _DENIAL_EN, text, rng, lambda said: "")


def _turned(text: str, lang: str, rng: Random) -> str:
    """All words that have an opposite, or one of them, become it."""
    table = OPPOSITE[lang]
    if rng.random() < 0.5:
        return _at_one(_TURNABLE[lang], text, rng, lambda said: _as_cased(table[said.lower()], said))
    return _TURNABLE[lang].sub(lambda m: _as_cased(table[m[0].lower()], m[0]), text)


def _questioned(text: str, lang: str, rng: Random) -> str:
    body = text.rstrip(" .!?。！？~～")
    ending = rng.choice(["吗？", "？", "吗", "？？"] if lang == "zh" else ["?", "??", " right?", " or not?"])
    return body + ending if body else text


def _framed(text: str, lang: str, rng: Random) -> str:
    if len(text) > FRAMED_LENGTH:
        return text
    frame = rng.choice(_FRAMES[lang])
    body = text.strip().rstrip(".。") or text
    if not frame.startswith("{") and not re.match(r"I\b|[A-Z]{2}", body):
        body = body[:1].lower() + body[1:]
    return frame.replace("{}", body)


def _at_one(pattern: re.Pattern[str], text: str, rng: Random, said: Callable[[str], str]) -> str:
    """One match of the pattern, drawn by `rng`, becomes what is said."""
    found = list(pattern.finditer(text))
    if not found:
        return text
    place = rng.choice(found)
    return text[: place.start()] + said(place[0]) + text[place.end() :]
