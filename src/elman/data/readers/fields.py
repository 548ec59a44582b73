"""Fields of a table: numbers, words and missing values, from text files and from typed columns."""

import math
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from elman import arrays
from elman.data.label_text import label_text
from elman.representation import brief

SEPARATED = re.compile(r"[+-]?\d[\d.,' \u00a0\u202f\u2019]*\d")  # 1,234.5  1.234,5  1 234  1'234
MISSING = ("", "NA", "?")  # marks of a missing number, in addition to NaN

_text = lru_cache(maxsize=4096)(label_text)  # of text: a label or a name occurs in many lines


def is_missing(value: Any) -> bool:
    """Return whether a field is empty, or a missing value of a typed column."""
    return value.strip() in MISSING if isinstance(value, str) else arrays.is_missing(value)


def as_word(place: str, column: str, value: Any) -> str:
    """Return a label, or the name of a series, as text: the same text from text files and from typed columns.

    Raises:
        ValueError: the field is missing, or has several values.
    """
    if isinstance(value, Collection) and not isinstance(value, str):
        raise ValueError(f"{place}: expected one value in {column!r}, text or a number, got {brief(value)}.")
    word = _text(value) if isinstance(value, str) else "" if is_missing(value) else label_text(value)
    if not word:
        raise ValueError(f"{place}: expected a value in {column!r}, found none.")
    return word


def as_numbers(fields: Sequence[Any]) -> list[float]:
    """Return fields as numbers.

    Raises:
        TypeError, ValueError, OverflowError: a field is not a number. Python reads `1_0` as 10, but in data it is an
            identifier or a range.
    """
    numbers = list(map(float, fields))
    for value in fields:
        if isinstance(value, str) and "_" in value:
            raise ValueError(f"expected a number, got {value!r}.")
    return numbers


def as_number(place: str, column: str, value: Any) -> float:
    """Return a field as a finite number, or NaN if it is missing.

    Raises:
        ValueError: the field is neither a finite number nor missing.
    """
    try:
        number = math.nan if is_missing(value) else as_numbers([value])[0]
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        way_out = ""
        if isinstance(value, str) and SEPARATED.fullmatch(value.strip()):
            way_out = " (write numbers without thousands separators, and with a decimal point: 1234.5)"
        raise ValueError(
            f"{place}: expected a finite number in {column!r}, or nothing if it is missing, got "
            f"{brief(value)}{way_out}."
        )
    return number
