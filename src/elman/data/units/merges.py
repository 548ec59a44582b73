"""Byte-pair encoding of text: GPT-2's words, and the merges of their bytes."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from math import inf

# Tokens are written with one letter per byte, as in GPT-2: the byte itself if it is a visible character.
_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
LETTERS = {byte: chr(byte) for byte in _VISIBLE} | {
    byte: chr(256 + i) for i, byte in enumerate(sorted(set(range(256)) - set(_VISIBLE)))
}

KEPT_WORDS = 1 << 16  # words whose ids are remembered

# GPT-2's words, with marks counted as letters, and none longer than 32 characters: the time of merging grows with the
# longest word, and a file that is one line without blanks would be one word. `re` has no classes of Unicode, so it
# reads the kinds of the characters: the letters of English endings, A for other letters, 0 for numbers, blanks, and a
# dot for the rest. The classes are those of Python's version of Unicode.
_WORD = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[sdmtlvreA]{1,32}| ?0{1,32}| ?[.']{1,32}|\s{1,32}(?!\S)|\s{1,32}", re.ASCII)
_BLANKS = "\t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


class _Kinds(dict[int, str]):
    """Kind of each character, for `str.translate`; a character is added when it first occurs."""

    def __missing__(self, code: int) -> str:
        self[code] = kind = {"L": "A", "M": "A", "N": "0"}.get(unicodedata.category(chr(code))[0], ".")
        return kind


_KINDS = _Kinds({ord(letter): letter for letter in "sdmtlvre' "} | dict.fromkeys(map(ord, _BLANKS), "\t"))


def split_words(text: str) -> Iterator[str]:
    """Yield the words of a text, each with the blank before it. Joined, they are the text.

    Example:
        >>> list(split_words("Ann's 12 cats,  all 3 asleep!"))
        ['Ann', "'s", ' 12', ' cats', ',', ' ', ' all', ' 3', ' asleep', '!']
    """
    return (text[word.start() : word.end()] for word in _WORD.finditer(text.translate(_KINDS)))


class Merges(dict[str, list[int]]):
    """Ids of the units of words. Up to `KEPT_WORDS` words are remembered, because words repeat.

    In each word, the pair of units that was learned first is merged first, from the left, until none is known.

    Args:
        merges: pairs of units, in the order in which they were learned.
        ids: id of each unit.
    """

    def __init__(self, merges: Iterable[tuple[str, str]], ids: Mapping[str, int]):
        super().__init__()
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.ids = ids

    def __missing__(self, word: str) -> list[int]:
        if len(self) >= KEPT_WORDS:
            self.clear()
        self[word] = ids = [self.ids[unit] for unit in self.merged([LETTERS[byte] for byte in word.encode()])]
        return ids

    def merged(self, units: list[str]) -> list[str]:
        """Return the units of a word from those of its bytes; overwrites `units`."""
        ranks = [self.ranks.get(pair, inf) for pair in pairwise(units)]  # of each unit and the one after it
        while ranks and (first := min(ranks)) < inf:
            place = ranks.index(first)
            units[place : place + 2] = ["".join(units[place : place + 2])]
            del ranks[place]
            for pair in (place - 1, place):
                if 0 <= pair < len(ranks):
                    ranks[pair] = self.ranks.get((units[pair], units[pair + 1]), inf)
        return units
