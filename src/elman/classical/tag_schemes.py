"""Spans encoded as tags: BIO (IOB2), IOB1 and IOBES (BILOU, BMES), after Ramshaw and Marcus (1995, cmp-lg/9505040).

A tag is `O`, or a letter, a hyphen and a label: `B-PER`. Meaning of the letters in a span:

====== ====================================================================================================
BIO    B the first word, I the others (also called IOB2)
IOB1   I every word; B the first word if the word before it belongs to another span of the same label
IOBES  B the first word, I inner ones, E the last; S a span of one word (also called BIOES)
BILOU  the same with L for E and U for S
BMES   the same with M for I
====== ====================================================================================================
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from elman.errors import StepError
from elman.nearest import did_you_mean

SCHEMES = {"BIO": "BI", "IOB1": "BI", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES"}
ALIASES = {"IOB2": "BIO", "BIOES": "IOBES"}
OUTSIDE = "O"


class Span(NamedTuple):
    """Words `start` to `stop` - 1 of a row."""

    label: str
    start: int
    stop: int


class Allowed(NamedTuple):
    """Allowed transitions, first tags and last tags of a CRF."""

    transitions: np.ndarray  # [K, K] bool: from, to
    start: np.ndarray  # [K] bool: first tag of a row
    end: np.ndarray  # [K] bool: last tag of a row


class _Tag(NamedTuple):
    kind: str  # B, I, E, S or O, in every scheme
    label: str


def all_tags(labels: Iterable[str], scheme: str) -> list[str]:
    """Return O and the tags of each label.

    Example:
        >>> all_tags(["LOC", "PER"], "BIO")
        ['O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER']
    """
    letters = SCHEMES[_scheme("all_tags", scheme)]
    return [OUTSIDE, *(f"{letter}-{label}" for label in labels for letter in letters)]


def allowed(tags: Sequence[str], scheme: str) -> Allowed:
    """Return the transitions, first tags and last tags that a scheme allows, for a vocabulary of tags.

    Args:
        tags: K different tags, in the order of their ids.
    Raises:
        TypeError, ValueError: a tag does not belong to the scheme, or occurs twice; the scheme is unknown.
    Example:
        >>> allowed(["O", "B-PER", "I-PER"], "BIO").transitions.astype(int)
        array([[1, 1, 0],
               [1, 1, 1],
               [1, 1, 1]])
        >>> allowed(["O", "B-PER", "I-PER"], "BIO").start
        array([ True,  True, False])
    """
    scheme = _scheme("allowed", scheme)
    parsed = _parsed("allowed", tags, scheme)
    if len(set(parsed)) < len(parsed):
        twice = next(tag for number, tag in enumerate(tags) if tag in tags[:number])
        raise ValueError(f"allowed: expected every tag once, got {twice!r} twice.")
    transitions = [[_follows(previous, tag, scheme) for tag in parsed] for previous in parsed]
    return Allowed(
        np.array(transitions, bool).reshape(len(parsed), len(parsed)),
        np.array([_follows(None, tag, scheme) for tag in parsed], bool),
        np.array([_follows(tag, None, scheme) for tag in parsed], bool),
    )


def check_tags(tags: Sequence[str], scheme: str, where: str = "check_tags") -> None:
    """Raise an error unless the tags of a row are valid in the scheme.

    Args:
        where: beginning of the error message, for instance file and line of the sentence.
    Raises:
        StepError: a tag is invalid; the message names the tag, its step and the expected tags.
        TypeError: a tag is not a string.
    Example:
        >>> check_tags(["O", "I-PER"], "BIO")
        Traceback (most recent call last):
            ...
        elman.errors.StepError: check_tags: step 1: expected O or B-... after O in BIO, got I-PER.
    """
    scheme = _scheme(where, scheme)
    parsed = _parsed(where, tags, scheme)
    for step, (previous, tag) in enumerate(zip([None, *parsed], [*parsed, None], strict=True)):
        if not _follows(previous, tag, scheme):
            after = "at the start of a row" if previous is None else f"after {tags[step - 1]}"
            got = "the end of the row" if tag is None else tags[step]
            raise StepError(where, step, f"expected {_expected(previous, scheme)} {after} in {scheme}, got {got}.")


def spans(tags: Sequence[str], scheme: str, strict: bool = True) -> list[Span]:
    """Return the spans encoded by the tags of a row.

    Args:
        strict: whether an invalid order of tags is an error. If not, spans are read as in the CoNLL evaluation: a span
            begins at B and S, after O, E and S, and wherever the label changes.
    Raises:
        TypeError, ValueError: a tag does not belong to the scheme; with `strict`, the order is invalid.
    Example:
        >>> spans(["B-PER", "I-PER", "O", "B-LOC"], "BIO")
        [Span(label='PER', start=0, stop=2), Span(label='LOC', start=3, stop=4)]
        >>> spans(["O", "I-PER"], "BIO", strict=False)
        [Span(label='PER', start=1, stop=2)]
    """
    scheme = _scheme("spans", scheme)
    if strict:
        check_tags(tags, scheme, "spans")
    found: list[Span] = []
    previous = _Tag(OUTSIDE, "")
    for step, tag in enumerate(_parsed("spans", tags, scheme)):
        if tag.kind != OUTSIDE:
            begins = tag.kind in "BS" or previous.kind in "OES" or previous.label != tag.label
            start = step if begins else found.pop().start
            found.append(Span(tag.label, start, step + 1))
        previous = tag
    return found


def write_tags(spans: Iterable[Span | tuple[str, int, int]], length: int, scheme: str) -> list[str]:
    """Return the tags that encode the spans of a row of `length` words: the inverse of `spans`.

    Raises:
        ValueError: a span is empty, lies outside the row or overlaps another; the scheme is unknown.
    Example:
        >>> write_tags([Span("PER", 0, 2), Span("LOC", 3, 4)], 5, "IOBES")
        ['B-PER', 'E-PER', 'O', 'S-LOC', 'O']
    """
    scheme = _scheme("write_tags", scheme)
    tags = [OUTSIDE] * length
    last = Span("", 0, 0)
    for span in sorted((Span(*span) for span in spans), key=lambda span: span.start):
        if not 0 <= span.start < span.stop <= length:
            raise ValueError(f"write_tags: expected spans of at least one word within {length}, got {tuple(span)}.")
        if span.start < last.stop:
            raise ValueError(f"write_tags: expected spans that do not overlap, got {tuple(last)} and {tuple(span)}.")
        touches = (last.label, last.stop) == (span.label, span.start)
        for step, letter in enumerate(_letters(span.stop - span.start, scheme, touches), span.start):
            tags[step] = f"{letter}-{span.label}"
        last = span
    return tags


def convert(tags: Sequence[str], source: str, target: str, strict: bool = True) -> list[str]:
    """Return the tags of a row in another scheme.

    Args:
        strict: as in `spans`; if not, invalid orders of tags are repaired.
    Raises:
        TypeError, ValueError: the row is invalid in the scheme `source`; a scheme is unknown.
    Example:
        >>> convert(["I-PER", "I-PER", "B-PER", "O"], "IOB1", "BILOU")
        ['B-PER', 'L-PER', 'U-PER', 'O']
    """
    return write_tags(spans(tags, source, strict), len(tags), target)


def _letters(length: int, scheme: str, touches: bool) -> str:
    """Return the letters of a span; `touches`: it follows another span of its label directly."""
    if scheme in ("BIO", "IOB1"):
        return ("B" if scheme == "BIO" or touches else "I") + "I" * (length - 1)
    begin, inside, end, single = tuple(SCHEMES[scheme])
    return single if length == 1 else begin + inside * (length - 2) + end


def _follows(previous: _Tag | None, tag: _Tag | None, scheme: str) -> bool:
    """Return whether a scheme allows that order; None is before the first and after the last tag of a row."""
    same = previous is not None and tag is not None and previous.kind != OUTSIDE and previous.label == tag.label
    if scheme == "BIO":
        return tag is None or tag.kind != "I" or same
    if scheme == "IOB1":
        return tag is None or tag.kind != "B" or same
    within = previous is not None and previous.kind in "BI"
    goes_on = tag is not None and tag.kind in "IE"
    return (goes_on and same) if within else not goes_on


def _expected(previous: _Tag | None, scheme: str) -> str:
    """Describe the tags that may follow."""
    label = "" if previous is None else previous.label
    if scheme in ("BIO", "IOB1"):
        always, sometimes = "BI" if scheme == "BIO" else "IB"
        return f"{OUTSIDE}, {always}-... or {sometimes}-{label}" if label else f"{OUTSIDE} or {always}-..."
    begin, inside, end, single = tuple(SCHEMES[scheme])
    if previous is not None and previous.kind in "BI":
        return f"{inside}-{label} or {end}-{label}"
    return f"{OUTSIDE}, {begin}-... or {single}-..."


def _scheme(where: str, scheme: Any) -> str:
    """Return the name of a scheme, with aliases resolved."""
    name = ALIASES.get(scheme, scheme) if isinstance(scheme, str) else scheme
    if name not in SCHEMES:
        known = [*SCHEMES, *ALIASES]
        raise ValueError(
            f"{where}: expected a scheme of {', '.join(known)}, got {scheme!r}{did_you_mean(scheme, known)}"
        )
    return name


def _parsed(where: str, tags: Sequence[str], scheme: str) -> list[_Tag]:
    if isinstance(tags, str):
        raise TypeError(f"{where}: expected a list of tags, got the string {tags!r}; split it first.")
    try:
        return [_parse(tag, scheme) for tag in tags]
    except (AttributeError, TypeError, ValueError):
        for step, tag in enumerate(tags):
            _check_tag(where, step, tag, scheme)
        raise


@lru_cache(maxsize=4096)
def _parse(tag: str, scheme: str) -> _Tag:
    if tag == OUTSIDE:
        return _Tag(OUTSIDE, "")
    letter, _, label = tag.partition("-")
    if len(letter) != 1 or letter not in SCHEMES[scheme] or not label:
        raise ValueError(tag)
    return _Tag({"L": "E", "U": "S", "M": "I"}.get(letter, letter), label)


def _check_tag(where: str, step: int, tag: Any, scheme: str) -> None:
    """Raise an error if the tag is invalid."""
    if not isinstance(tag, str):
        raise TypeError(f"{where}: step {step}: expected a tag as a string, got {type(tag).__name__} {tag!r}.")
    try:
        _parse(tag, scheme)
    except ValueError:
        letters = " or ".join(f"{letter}-label" for letter in SCHEMES[scheme])
        others = [other for other in SCHEMES if tag[1:2] == "-" and tag[0] in SCHEMES[other] and tag[2:]]
        belongs = f", which belongs to {' or '.join(others)}" if others else ""
        raise StepError(
            where, step, f"expected a tag of {scheme} ({OUTSIDE}, {letters}), got {tag!r}{belongs}."
        ) from None
