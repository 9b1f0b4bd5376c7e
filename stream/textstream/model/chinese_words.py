"""Which word each Chinese character stands in: a character alone says little, and no space tells where a word ends.

A character stands in the longest of the lexicon's Chinese words that covers it, in the first of those that are as long. Words
are not cut apart from each other, so no choice spoils the next one. Characters are compared by their rows, so two words that
differ in gender alone are one word.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from textstream.model.neutral import neutral
from textstream.model.text import shape

LONGEST = 4
"""Characters of the longest word that is found."""
ROW_BITS = 32
"""Bits of a key that hold the row of a character; those above hold where in the words it is read."""

Numbers = NDArray[np.int64]


class ChineseWords:
    """The words as steps from one character to the next. Step number n leads to state n + 1, all words begin in state 0."""

    def __init__(self, words: Sequence[str], first: int, rows: Mapping[str, int]) -> None:
        """`first` is the row of the first word, `rows` has those of the characters; a word that lacks one is not found, nor is
        one of more characters than LONGEST."""
        side_by_side = "".join([word[:LONGEST].ljust(LONGEST, "\0") for word in words])
        codes, of_each = np.unique(
            np.frombuffer(side_by_side.encode("utf-32-le", "surrogatepass"), np.uint32), return_inverse=True
        )
        own = [rows.get(neutral(char, shape(char), rows), 0) for char in map(chr, codes.tolist())]
        read = np.array(own, np.int64)[of_each].reshape(-1, LONGEST)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        state, states, levels = np.zeros(len(words), np.int64), 1, [np.zeros(0, np.int64)]
        for place in range(LONGEST):
            long = lengths > place
            steps, of_each = np.unique(state[long] << ROW_BITS | read[long, place], return_inverse=True)
            state[long] = states + of_each
            states += len(steps)
            levels.append(steps)
        self.steps = np.concatenate(levels)
        """(steps,) ascending: the state, and the row of the next character"""
        self.bounds = np.searchsorted(self.steps, np.arange(states + 1) << ROW_BITS).astype(np.int32)
        """(states + 1,): the steps that go on from a state are those from `bounds[state]` to `bounds[state + 1]`"""
        self.ending = np.zeros(states, np.int32)
        """(states,): the row of the word that ends there, or 0"""
        found = np.flatnonzero(lengths <= LONGEST)[::-1]
        self.ending[state[found]] = first + found  # of two that are read alike the first, which is written last
        self.begun = np.zeros(max(rows.values(), default=0) + 1, np.int32)
        """(rows,): the state behind the first character, by its row; 0 where no word begins with that"""
        self.begun[levels[1]] = np.arange(1, len(levels[1]) + 1)

    def standing_in(self, rows: Numbers, counts: Numbers) -> Numbers:
        """(tokens,) the row of the word each token stands in, 0 for none; `rows` (tokens,) are their own, `counts` (texts,) how
        many each text has."""
        inside = np.zeros(len(rows), np.int64)
        state = self.begun.take(rows, mode="clip").astype(np.int64) * (rows < len(self.begun))
        begin = np.flatnonzero(state)
        state, stops = state[begin], np.repeat(np.cumsum(counts), counts)
        for size in range(2, LONGEST + 1):
            fits = begin + size <= stops[begin]
            begin, state = begin[fits], state[fits]
            keys = state << ROW_BITS | rows[begin + size - 1]
            at = np.searchsorted(self.steps, keys)
            known = self.steps.take(at, mode="clip") == keys
            begin, state = begin[known], at[known] + 1
            whole = self.ending[state]
            for place in range(size):  # of a word that begins further ahead last: it counts
                inside[begin[whole > 0] + place] = whole[whole > 0]
        return inside
