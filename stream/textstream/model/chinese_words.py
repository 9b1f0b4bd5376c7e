"""Which word each Chinese character stands in: a character alone says little, and no space tells where a word ends.

A character stands in the longest of the lexicon's Chinese words that covers it, in the first of those that are as long. Words
are not cut apart from each other, so no choice spoils the next one. Characters are compared by their rows, so two words that
differ in gender alone are one word.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from textstream.model.neutral import SHARED

LONGEST = 4
"""Characters of the longest word that is found."""
_STATE = 32
"""Bits of a key that hold the row of a character; those above hold where in the words it is read."""

Numbers = NDArray[np.int64]


class ChineseWords:
    """The words as steps from one character to the next, each in order of where it begins and of the character's row."""

    def __init__(self, words: Sequence[str], first: int, rows: Mapping[str, int]) -> None:
        """`first` is the row of the first word, `rows` has those of the characters; a word that lacks one is not found."""
        steps: dict[int, int] = {}
        found = dict[int, int]()
        for row, word in enumerate(words, start=first):
            state = 0
            for char in word:
                state = steps.setdefault(state << _STATE | rows.get(SHARED.get(char, char), 0), len(steps) + 1)
            found.setdefault(state, row)
        order = sorted(steps)
        self.steps = np.array(order, np.int64)
        """(steps,) ascending: where in the words, and the row of the next character"""
        self.leads = np.array([steps[key] for key in order], np.int32)
        """(steps,): where in the words each step leads; it begins at 0"""
        self.bounds = np.searchsorted(self.steps, np.arange(len(steps) + 2) << _STATE).astype(np.int32)
        """(steps + 2,): which steps go on from where: those from `bounds[state]` to `bounds[state + 1]`"""
        self.words = np.array([found.get(state, 0) for state in range(len(steps) + 1)], np.int32)
        """(steps + 1,): the row of the word that ends there, or 0"""
        self.first = np.zeros(max(rows.values(), default=0) + 1, np.int32)
        """(rows,): where the first step leads, by the row of its character; 0 where no word begins with that"""
        begins = self.steps[: self.bounds[1]] & (1 << _STATE) - 1
        self.first[begins] = self.leads[: self.bounds[1]]

    def standing_in(self, rows: Numbers, counts: Numbers) -> Numbers:
        """(tokens,) the row of the word each token stands in, 0 for none; `rows` (tokens,) are their own, `counts` (texts,) how
        many each text has."""
        inside = np.zeros(len(rows), np.int64)
        state = self.first.take(rows, mode="clip").astype(np.int64) * (rows < len(self.first))
        begin = np.flatnonzero(state)
        state, stops = state[begin], np.repeat(np.cumsum(counts), counts)
        for size in range(2, LONGEST + 1):
            fits = begin + size <= stops[begin]
            begin, state = begin[fits], state[fits]
            keys = state << _STATE | rows[begin + size - 1]
            at = np.searchsorted(self.steps, keys)
            known = self.steps.take(at, mode="clip") == keys if len(keys) else np.zeros(0, np.bool_)
            begin, state = begin[known], self.leads[at[known]].astype(np.int64)
            whole = self.words[state]
            for place in range(size):  # of a word that begins further ahead last: it counts
                inside[begin[whole > 0] + place] = whole[whole > 0]
        return inside
