"""Words and punctuation marks of plain text, split as in tagged corpora (CoNLL, Universal Dependencies).

A model that was trained on a tagged corpus has seen `London` and `.`, but not `London.`. The rules, in this order:

- An address stays whole: `https://example.org/a?b=1`, `www.example.org`, `ada@example.org`, `@ada`, `#maths`.
- An emoticon after a blank stays whole: `:-)`.
- A number stays whole with its separators: `1,000.50`, `10:30`, `2024-05-01`, `3/4`, `.5`. A sign, a currency and `%`
  are separate: `$ 5`, `US$ 5`. `1.` at the beginning of the text is the number of an item.
- Initials and abbreviations keep their period: `U.S.`, `e.g.`, `J.`, `Mr.`, `Inc.`; `No.` does before a number.
- A word stays whole with the hyphens, apostrophes, `&` and periods inside it: `well-known`, `O'Brien`, `AT&T`,
  `Node.js`. English clitics are words of their own, as in the Penn Treebank: `do n't`, `can not`, `it 's`, `we 'll`.
- Repeated marks are one word, such as `...`, `--`, `!?`; any other mark is a word of its own.

Typographic apostrophes and hyphens count as the plain ones. Combining marks belong to the letter or the emoji before
them. Scripts without blanks between words, such as Chinese and Japanese, are split at punctuation only. Text that has
been split before stays as it is.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

ABBREVIATIONS = {
    "adm", "approx", "apr", "ariz", "assoc", "aug", "ave", "blvd", "bros", "calif", "capt", "cf", "cmdr", "co",
    "col", "colo", "conn", "corp", "dec", "dept", "dr", "esq", "etc", "feb", "fla", "ft", "gen", "gov", "hon",
    "inc", "jan", "jr", "lt", "ltd", "maj", "messrs", "mich", "minn", "mr", "mrs", "ms", "mt", "nov", "oct", "prof",
    "rep", "reps", "rev", "sen", "sens", "sept", "sgt", "sr", "st", "tenn", "vs", "wis",
}  # fmt: skip
MARK, JOINER = "ʰ", "ʲ"  # word characters that stand for a combining mark and a zero-width joiner
SHAPES = {"M": MARK, "Cf": JOINER}  # by Unicode category


class Token(NamedTuple):
    """A word or a punctuation mark: `text[start:stop]` of the whole text."""

    text: str
    start: int
    stop: int


TOKEN = re.compile(
    rf"""
    (?P<whole> (?:https?|ftp)://[^\s<>"]*[\w/] | www\.[^\s<>"]*[\w/]
             | \w[\w.+-]{{0,63}}@\w[\w-]*(?:\.\w[\w-]*)+ | (?<!\w)[@\#]\w[\w-]* | [\U0001F1E6-\U0001F1FF]{{2}}
             | (?<!\S)[:;=]-?[()DPp|/](?!\S)
             | (?<!\S)(?i:'(?:s|m|d|re|ve|ll)|n't)(?!\S) )                      # text that has been split before
    | (?P<number> (?: \d+ (?:[.,:/-]\d+)+ | (?<!\S)\.\d+ ) (?:-[^\W\d_][\w-]*\b)? | \A\d+\.(?=\s+\S) | [A-Z]{{1,3}}\$ )
    | (?P<initials> (?:[^\W\d_]\.){{2,}} (?: [^\W\d_](?!\w) | -[^\W\d_][\w-]*\b )?
                  | [A-Z]\.(?=\s+[A-Z][a-z]) | \bPh\.D\. | [Nn]o\.(?=\s*\d) )
    | (?P<word> \w+ (?: (?:[-'&]|\.(?=[a-z\d]))\w+ )* )
    | (?P<repeated> [!?]{{2,}} | ([.*=~`'-])\6+ )
    | (?P<mark> [^\w\s] {MARK}* (?: {JOINER}[^\w\s]{MARK}* )* )
    """,
    re.VERBOSE,
)
CLITIC = re.compile(r"n't$|'(?:s|m|d|re|ve|ll)$|(?<=\bcan)not$", re.IGNORECASE)


class _Shapes(dict[int, str]):
    """Table for `str.translate`: simpler characters in place of the variants that Unicode has."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        self[code] = shape = SHAPES.get(category) or SHAPES.get(category[0], character)
        return shape


_SHAPES = _Shapes({
    **dict.fromkeys(map(ord, "\u2019\u02bc\uff07"), "'"),
    **dict.fromkeys(map(ord, "\u2010\u2011"), "-"),
    **dict.fromkeys(map(ord, "\u200b\ufeff"), " "),  # zero-width spaces
    **dict.fromkeys(range(0x1F3FB, 0x1F400), MARK),  # skin tones
})  # fmt: skip


def tokenize(text: str) -> list[Token]:
    """Return the words and punctuation marks of a text, with their places.

    Every character is in one token, except for white space and zero-width spaces.

    Example:
        >>> [token.text for token in tokenize("Mr. Smith doesn't live in London.")]
        ['Mr.', 'Smith', 'does', "n't", 'live', 'in', 'London', '.']
        >>> tokenize("It's 5%.")[1]
        Token(text="'s", start=2, stop=4)
    """
    shape = text if text.isascii() else text.translate(_SHAPES)
    return [Token(text[start:stop], start, stop) for start, stop in _places(shape)]


def _places(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while match := TOKEN.search(text, start):
        begin, stop = match.span()
        if match.lastgroup == "word":
            if text[stop : stop + 1] == "." and match.group().lower() in ABBREVIATIONS:
                stop += 1
            for cut in _clitics(text, begin, stop):
                yield begin, cut
                begin = cut
        yield begin, stop
        start = stop


def _clitics(text: str, begin: int, stop: int) -> list[int]:
    """Return where the clitics of a word begin, at most two: `would n't 've`."""
    cuts: list[int] = []
    for _ in range(2):
        end = cuts[0] if cuts else stop
        found = CLITIC.search(text, max(begin, end - 6), end)
        if found is None or found.start() == begin:
            break
        cuts.insert(0, found.start())
    return cuts
