"""Which characters of Chinese texts stand for a person, by their shape alone: names, and words for persons of a gender.

A surname and one or two characters of given names, as long as they are no word and part none: 王小明, but not 高兴 or 方便.
So are 小王 and 阿强, the surname before a title (王 in 王老师), and three characters or more that write sounds, as in foreign
names. 王哥 and 陈姨 are names as a whole. Whose name it is is not asked: a film star's, a neighbour's, or a brand's or a
place's that is made like one.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textstream.model.neutral import NAME, PERSONS

_WEAK = (
    "于高白万常安方计付代左游关单包花石田江龙马牛金银车房路钱雷宫毛汤武申盛童乐温文商蓝边顾古井莫查宗党官扬伏习简池景甘谈仇时曲"
)
"""Surnames that are words by themselves: a title behind one tells nothing, one character only where it is strong, and two where
they are no word."""
_STRONG = "娜婷琪辉杰伟涛鹏磊斌琳颖洁莉莹璐瑶怡倩芳娟敏艳霞萍玲芬燕彬鑫晖晗昊轩婧媛婉雯蕾薇琴"
"""Characters of which hardly anything but a name is written: one is enough."""
_DOUBLED = "娜婷丽玲莉倩芳静媛露璐琪雪蕾薇萌菲佳瑶莹莎珊琳欣涵萱蓉妮娟艳燕丹婧茜强军伟磊"
_ADDRESS = "[哥姐叔姨婶嫂爷](?![哥姐叔姨婶嫂爷])"
"""Forms of address that are one token with the name before them, for they say its gender and have no other row to share."""
_LONG_ADDRESS = f"{_ADDRESS}|先生|女士|小姐|大爷|大妈|大哥|大姐|大叔|大婶|奶奶|爷爷|阿姨|叔叔"
"""The same behind a surname alone: 王小姐, but 王小明 and 先生."""
_NO_PERSON = {
    "老公": "司平安示开园交正道路布寓主务公",
    "老婆": "饼婆",
    "外公": "司布开共示告交",
    "先生": "产病气活成物意孩下出了娃效动存",
    "小姐": "姐",
    "女士": "兵",
    "男士": "兵",
    "父亲": "自切戚",
    "母亲": "自切戚",
    "女儿": "童",
    "儿子": "童",
    "帅哥": "哥",
}
"""Characters before which a word for a person is none: 老公司 is an old company."""
_BEHIND_COMPOUND = "千一二三郎由咲"
"""Characters of given names that say nothing behind other surnames."""
_FIRST, _SECOND = 1, 2
"""Roles: may stand first in what the pattern matches; may stand behind that."""
_OUTSIDE = ord("\n")
"""Stands for whatever is none of the common Chinese characters, and wherever two of them do not stand side by side."""
_LONG_PERSONS = tuple(word for word in dict.fromkeys([*PERSONS, *PERSONS.values()]) if len(word) > 1)


class Person(NamedTuple):
    """Characters [begin, end) that are one token, and the word it stands as."""

    begin: int
    end: int
    form: str


class _Finder:
    """The lists, and the pattern of what may be a name."""

    def __init__(self) -> None:
        lines = Path(__file__).with_name("chinese_names.txt").read_text(encoding="utf-8").splitlines()
        lists = [line.split(" ") for line in lines if line[:1] != "#"]
        (one,), compound, (given,), (dear,), titles, (sounds,), foreign, words, names, inside = lists
        self._compound, self._words, self._given = frozenset(compound), frozenset(words), frozenset(names)
        self._longer: dict[str, list[tuple[str, int]]] = {}  # what looks like a name → words it is in, and where in them
        for word in filter(None, inside):
            before, name, behind = re.split(r"[\[\]]", word)
            self._longer.setdefault(name, []).append((before + name + behind, len(before)))
        self._address, self._long_address = re.compile(_ADDRESS), re.compile(_LONG_ADDRESS)
        persons = [f"{word}(?![{_NO_PERSON[word]}])" if word in _NO_PERSON else word for word in _LONG_PERSONS]
        self._pattern = re.compile(
            "|".join(
                (
                    rf"(?P<sounds>(?:(?P<sound>[{sounds}])(?!(?P=sound))){{3,8}})",  # laughter repeats itself
                    rf"(?P<titled>[{one}](?=(?:{'|'.join(titles)})))",
                    rf"(?P<full>(?:{'|'.join(compound)})(?:[{given}{_BEHIND_COMPOUND}]{{1,2}}|大[{given}])"
                    rf"|[{one}][{given}]{{1,2}})",
                    rf"(?P<foreign>{'|'.join(foreign)})",
                    rf"(?P<dear>[{dear}][{one}{given}])",
                    rf"(?P<twice>(?P<once>[{_DOUBLED}])(?P=once))",
                    rf"(?P<person>{'|'.join(persons)})",
                    r"[我咱](?P<parent>[爸妈])(?![爸妈])",
                )
            )
        )
        self.roles: dict[str, int] = {}
        whole = (*compound, *foreign, *_LONG_PERSONS)
        firsts = "".join((one, dear, sounds, _DOUBLED, "我咱", *(word[0] for word in whole)))
        behind = (*(word[1] for word in whole), *(title[0] for title in titles))
        seconds = "".join((given, one, sounds, _DOUBLED, "爸妈", *behind))
        for characters, role in ((firsts, _FIRST), (seconds, _SECOND)):
            for character in characters:
                self.roles[character] = self.roles.get(character, 0) | role

    def spans(self, letters: str, roles: NDArray[np.uint8]) -> list[Person]:
        """Persons in `letters`, in order, none over another; `roles` (letters,) as `self.roles` has them."""
        candidates = np.flatnonzero((roles[:-1] & _FIRST != 0) & (roles[1:] & _SECOND != 0))
        found: list[Person] = []
        behind = 0
        for at in candidates.tolist():
            match = self._pattern.match(letters, at) if at >= behind else None
            if match is None:
                continue
            kind, end = match.lastgroup, match.end()
            if kind in ("person", "parent"):
                behind = end
                word = match[kind]
                found.append(Person(end - len(word), end, PERSONS.get(word, word)))
            elif end := self._end(letters, at, kind, end):
                behind = end
                if not self._in_longer(letters, at, end):
                    address = (self._long_address if end == at + 1 else self._address).match(letters, end)
                    behind = end if address is None else address.end()
                    found.append(Person(at, behind, NAME))
        return found

    def _in_longer(self, letters: str, begin: int, end: int) -> bool:
        """Whether what looks like a name is a part of a longer word there."""
        within = self._longer.get(letters[begin:end], ())
        return any(letters.startswith(word, begin - before) for word, before in within if begin >= before)

    def _end(self, text: str, begin: int, kind: str | None, end: int) -> int:
        """Where what looks like a name of this kind ends, which may end so far away; 0 where nothing does."""
        words = self._words
        if begin and text[begin - 1 : begin + 1] in words:
            return 0
        if kind == "full":
            end = self._full(text, begin, end)
        elif kind == "titled":
            return 0 if text[begin] in _WEAK or text[begin : begin + 2] in words else end
        elif kind != "sounds" and any(text[at : at + 2] in words for at in range(begin, end)):
            return 0
        return end

    def _full(self, text: str, begin: int, end: int) -> int:
        words = self._words
        surname = 2 if text[begin : begin + 2] in self._compound and end - begin > 2 else 1
        if surname == 1 and text[begin : begin + 2] in words:
            return 0
        if text[begin + surname : begin + surname + 2] in self._given:
            return begin + surname + 2
        if text[end - 1 : end + 1] in words:  # its last character begins a word
            end -= 1
        given = text[begin + surname : end]
        told = _told(given) and given not in words if surname == 1 and text[begin] in _WEAK else bool(given)
        return end if told else 0


def _told(given: str) -> bool:
    """Whether a given name makes a name of a surname that is a word: no character of others alone, nor twice (金灿灿)."""
    alone = len(set(given)) == 1
    return given[0] in (_STRONG if len(given) == 1 else _DOUBLED) if alone else bool(given)


@cache
def _finder() -> _Finder:
    return _Finder()


def role(token: str) -> int:
    """What a token, as `text.normal` gives it, may be in a name: its code point above 8 bits of roles; 0 where it is none."""
    if len(token) != 1 or not "\u4e00" <= token <= "\u9fff":  # no name is made of rarer ones
        return 0
    return ord(token) << 8 | _finder().roles.get(token, 0)


def found(text: str) -> list[str]:
    """The names in a text of simplified characters, as they stand there."""
    roles = np.array([role(character) & 0xFF for character in text], np.uint8)
    return [text[begin:end] for begin, end, form in _finder().spans(text, roles) if form == NAME]


def persons(roles: NDArray[np.int64], apart: NDArray[np.bool_]) -> list[Person]:
    """The persons among tokens, by the places of these; `roles` (tokens,) of each, `apart` (tokens,) where white space, or
    another text, is before it."""
    place = np.arange(len(roles)) + np.cumsum(apart)
    codes = np.full(len(roles) + int(apart.sum()), _OUTSIDE, np.uint32)
    codes[place] = np.where(roles > 0, roles >> 8, _OUTSIDE)
    own = np.zeros(len(codes), np.uint8)
    own[place] = roles & 0xFF
    found = _finder().spans(codes.tobytes().decode("utf-32-le"), own)
    firsts = np.searchsorted(place, [person.begin for person in found]).tolist()
    return [Person(first, first + end - begin, form) for first, (begin, end, form) in zip(firsts, found, strict=True)]
