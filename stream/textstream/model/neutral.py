"""Words that must not move a score: a person's name and gender share their rows with all other names and the other gender.

What a network cannot tell apart it cannot treat differently, so this holds for every text, not on the average of a test. The
price is what names do tell: that a politician is disliked is a fact about the training tweets, not about the next message.
Chinese names, whose characters are words of their own, are found by `chinese_names`.
"""

from collections.abc import Container

NAME = "<name>"
"""The row of every capitalised word that has none of its own. Where a lexicon has it, words that are mostly capitalised
(names of people, places, brands) have no rows either."""

TITLE = 2
_PAIRS = """
he she|his her|his him|his hers|himself herself|man woman|men women|boy girl|boys girls|boyfriend girlfriend|husband wife
father mother|fathers mothers|dad mom|dad mum|dads moms|daddy mommy|son daughter|sons daughters|brother sister|brothers sisters
uncle aunt|nephew niece|grandpa grandma|grandfather grandmother|mr mrs|mr ms|sir madam|actor actress|waiter waitress
gentleman lady|gentlemen ladies|male female|hubby wifey|groom bride|lad lass|lads lasses|bro sis|guy gal|guys gals
他 她|男 女|哥 姐|弟 妹
"""
SHARED: dict[str, str] = {b: a for pair in _PAIRS.replace("\n", "|").strip("|").split("|") for a, b in (pair.split(),)}
"""A word → the word whose row it shares. 妈 is not 爸: it is part of curses."""


def neutral(token: str, shape: int, words: Container[str]) -> str:
    """The form under which a token is looked up; `token` is a folded form, `shape` its case, `words` those of the lexicon."""
    if NAME not in words:
        return token  # a lexicon of before: every word stands for itself
    shared = SHARED.get(token, token)
    if shared not in words and shape == TITLE and len(token) > 1 and token.isascii() and token.isalpha():
        return NAME
    return shared
