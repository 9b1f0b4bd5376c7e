"""Which characters of Chinese texts write a person's name, by their shape alone.

A surname and one or two characters of given names, as long as they are no word and part none: 王小明, but not 高兴 or 方便.
So are 小王 and 阿强, the surname before a title (王 in 王老师), and three characters or more that write sounds, as in foreign
names. Whose name it is is not asked: a film star's, a neighbour's, or a brand's or a place's that is made like one.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHARACTER = "\U0003134a"
"""The word that every character of a name stands as, in a lexicon that has it: one of the rarest characters there are."""

_WEAK = (
    "于高白万常安方计付代左游关单包花石田江龙马牛金银车房路钱雷宫毛汤武申盛童乐温文商蓝边顾古井莫查宗党官扬伏习简池景甘谈仇时曲"
)
"""Surnames that are words by themselves: a title behind one tells nothing, one character only where it is strong, and two where
they are no word."""
_STRONG = "娜婷琪辉杰伟涛鹏磊斌琳颖洁莉莹璐瑶怡倩芳娟敏艳霞萍玲芬燕彬鑫晖晗昊轩婧媛婉雯蕾薇琴"
"""Characters of which hardly anything but a name is written: one is enough."""
_DOUBLED = "娜婷丽玲莉倩芳静媛露璐琪雪蕾薇萌菲佳瑶莹莎珊琳欣涵萱蓉妮娟艳燕丹婧茜强军伟磊"
_FIRST, _SECOND = 1, 2
"""Roles: may stand first in what the pattern matches; may stand behind that."""
_OUTSIDE = ord("\n")
"""Stands for whatever is none of the common Chinese characters, and wherever two of them do not stand side by side."""


class _Finder:
    """The lists, and the pattern of what may be a name."""

    def __init__(self) -> None:
        lines = Path(__file__).with_name("chinese_names.txt").read_text(encoding="utf-8").splitlines()
        lists = [line.split(" ") for line in lines if line[:1] != "#"]
        (one,), compound, (given,), (dear,), titles, (sounds,), foreign, words, longer = lists
        self._compound, self._words, self._longer = frozenset(compound), frozenset(words), frozenset(longer)
        self._pattern = re.compile(
            "|".join(
                (
                    rf"(?P<sounds>(?:(?P<sound>[{sounds}])(?!(?P=sound))){{3,8}})",  # laughter repeats itself
                    rf"(?P<titled>[{one}](?=(?:{'|'.join(titles)})))",
                    rf"(?P<full>(?:{'|'.join(compound)}|[{one}])[{given}]{{1,2}})",
                    rf"(?P<foreign>{'|'.join(foreign)})",
                    rf"(?P<dear>[{dear}][{one}{given}])",
                    rf"(?P<twice>(?P<once>[{_DOUBLED}])(?P=once))",
                )
            )
        )
        self.roles: dict[str, int] = {}
        firsts = "".join((one, dear, sounds, _DOUBLED, *(word[0] for word in (*compound, *foreign))))
        seconds = "".join(
            (given, one, sounds, _DOUBLED, *(word[1] for word in (*compound, *foreign)), *(title[0] for title in titles))
        )
        for characters, role in ((firsts, _FIRST), (seconds, _SECOND)):
            for character in characters:
                self.roles[character] = self.roles.get(character, 0) | role

    def spans(self, letters: str, roles: NDArray[np.uint8]) -> list[tuple[int, int]]:
        """Names in `letters`, in order, none over another; `roles` (letters,) as `self.roles` has them."""
        candidates = np.flatnonzero((roles[:-1] & _FIRST != 0) & (roles[1:] & _SECOND != 0))
        found: list[tuple[int, int]] = []
        behind = 0
        for at in candidates.tolist():
            match = self._pattern.match(letters, at) if at >= behind else None
            if match is not None and (end := self._end(letters, at, match.lastgroup, match.end())):
                behind = end
                if letters[at:end] not in self._longer:
                    found.append((at, end))
        return found

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
    return [text[begin:end] for begin, end in _finder().spans(text, roles)]


def in_names(roles: NDArray[np.int64], apart: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(tokens,) whether a token is in a name; `roles` (tokens,) of each, `apart` (tokens,) where white space, or another text,
    is before it."""
    place = np.arange(len(roles)) + np.cumsum(apart)
    codes = np.full(len(roles) + int(apart.sum()), _OUTSIDE, np.uint32)
    codes[place] = np.where(roles > 0, roles >> 8, _OUTSIDE)
    own = np.zeros(len(codes), np.uint8)
    own[place] = roles & 0xFF
    within = np.zeros(len(codes), np.bool_)
    for begin, end in _finder().spans(codes.tobytes().decode("utf-32-le"), own):
        within[begin:end] = True
    return within[place]
