"""Spellings of span tags: `B-PER`, `PER-B`, `b_per`, `B` alone, or `name=B-PER` in a field of several values."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, Self

from elman.classical.tag_schemes import OUTSIDE, SCHEMES, check_tags
from elman.declared_types import field

LETTERS = frozenset("".join(SCHEMES.values()))
SEPARATORS = "-_:/"
UNNAMED = "span"  # label of the spans of tags without labels


@dataclass(frozen=True)
class Spelling:
    """Spelling of tags, to and from the usual one: `O`, or a letter, a hyphen and a label (`B-PER`).

    Args:
        separator: between letter and label; empty if tags have no labels.
        label_first: whether the label stands before the letter: `PER-B`.
        lower: whether the letters are small: `b-per`.
        outside: the tag of words outside all spans.
        key: name of the value in fields such as `SpaceAfter=No|name=B-PER`; empty if a field is a tag.
    Example:
        >>> Spelling("_", label_first=True).read("PER_B")
        'B-PER'
        >>> Spelling(key="name", outside="O").write("I-PER")
        'name=I-PER'
    """

    separator: str = "-"
    label_first: bool = False
    lower: bool = False
    outside: str = OUTSIDE
    key: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the spelling that `dataclasses.asdict` converted.

        Raises:
            ValueError: a part is missing or of another type.
        """
        return cls(**{one.name: field(data, one.name, type(one.default)) for one in fields(cls)})

    @property
    def note(self) -> str:
        """An example for a report; empty for the usual spelling."""
        return "" if self == Spelling() else f" (written {self.write('B-' + UNNAMED)})"

    def read(self, tag: str) -> str:
        """Return a tag in the usual spelling. A tag of another spelling is returned unchanged."""
        return self.parse(tag) or tag

    def parse(self, tag: str) -> str | None:
        """Return a tag in the usual spelling; None if it has another spelling than this one."""
        value = self.value(tag)
        if value == self.outside:
            return OUTSIDE
        if self.separator not in value:
            return None
        if not self.separator:
            letter, label = value, UNNAMED
        elif self.label_first:
            label, _, letter = value.rpartition(self.separator)
        else:
            letter, _, label = value.partition(self.separator)
        if self.lower:
            letter = letter.upper() if letter.islower() else ""
        return f"{letter}-{label}" if letter in LETTERS else None  # `B-` is left to the check of the scheme

    def write(self, tag: str) -> str:
        """Return a tag of the usual spelling in this one."""
        if tag == OUTSIDE:
            value = self.outside
        else:
            letter, _, label = tag.partition("-")
            letter = letter.lower() if self.lower else letter
            parts = [letter, label][:: -1 if self.label_first else 1]
            value = self.separator.join(parts) if self.separator else letter
        return f"{self.key}={value}" if self.key else value

    def value(self, tag: str) -> str:
        """Return the part of a field that is the tag."""
        if not self.key:
            return tag
        pairs = (part.partition("=") for part in tag.split("|"))
        return next((value for key, _, value in pairs if key == self.key), self.outside)


def detect_spelling(rows: Iterable[Sequence[str]]) -> Spelling | None:
    """Return the spelling of the tags of spans; None if most tags (apart from `O`) are not tags of spans.

    Example:
        >>> detect_spelling([["b-per", "i-per", "o"]])
        Spelling(separator='-', label_first=False, lower=True, outside='o', key='')
        >>> detect_spelling([["DET", "NOUN", "VERB"]])
    """
    counts = Counter(tag for row in rows for tag in row)
    found = {spelling: _spans(spelling, counts) for spelling in _spellings(counts)}
    best = max(found, key=found.__getitem__)  # the first of several that read as many tags
    others = sum(count for tag, count in counts.items() if best.value(tag) != best.outside)
    return best if 2 * found[best] > others else None


def detect_scheme(rows: Iterable[Sequence[str]]) -> str:
    """Return the scheme in which the fewest rows of tags (in the usual spelling) are invalid."""
    different = Counter(map(tuple, rows))
    letters = {tag[0] for tag in span_tags(different)}

    def invalid(scheme: str) -> tuple[int, int]:
        rows = sum(count for row, count in different.items() if _breaks(row, scheme))
        return rows, len(letters - set(SCHEMES[scheme]))

    return min(("BIO", "IOB1") if letters <= set("BI") else SCHEMES, key=invalid)


def span_tags(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the different tags of spans in the usual spelling, sorted."""
    return sorted({tag for row in rows for tag in row if tag[1:2] == "-" and tag[0] in LETTERS and tag[2:]})


def _spellings(counts: Counter[str]) -> Iterator[Spelling]:
    """Yield the spellings to compare: those of a value in a field first, then the usual one."""
    values: dict[str, Counter[str]] = {}
    for tag, count in counts.items():
        for key, equals, value in (part.partition("=") for part in tag.split("|")):
            if equals:
                values.setdefault(key, Counter())[value] += count
    fields = {key: tags for key, tags in values.items() if any("B" in (tag[:1] + tag[-1:]).upper() for tag in tags)}
    for key, tags in {**fields, "": counts}.items():
        outside = "o" if tags["o"] > tags["O"] else "O"
        for separator, label_first, lower in product([*SEPARATORS, ""], [False, True], [False, True]):
            yield Spelling(separator, label_first, lower, outside, key)


def _spans(spelling: Spelling, counts: Counter[str]) -> int:
    """Return how many tags are tags of spans in this spelling."""
    tags = {tag: usual for tag in counts if (usual := spelling.parse(tag))}
    letters = {usual[0] for usual in tags.values()}  # including O
    # Other words look like tags of spans more easily in an unusual spelling: some span must begin, and something else
    # must follow.
    if spelling != Spelling(outside=spelling.outside) and not ("B" in letters and len(letters) > 1):
        return 0
    return sum(counts[tag] for tag, usual in tags.items() if usual != OUTSIDE)


def _breaks(row: Sequence[str], scheme: str) -> bool:
    try:
        check_tags(row, scheme)
    except ValueError:
        return True
    return False
