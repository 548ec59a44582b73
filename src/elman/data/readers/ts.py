"""Reader of `.ts` files of labelled series, as in the UEA archive (Bagnall et al. 2018, arXiv:1811.00075)."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elman.data.raw_files import lines
from elman.data.readers.fields import as_numbers
from elman.data.readers.labelled import Row

Lines = Iterator[tuple[int, str]]


def read_ts(file: Path) -> Iterator[Row]:
    """Yield one case per line: dimensions separated by colons, values by commas, the class last.

    A missing value is `?` or `NaN`.

    Raises:
        ValueError: a line has another format, or the file has time stamps or targets that are not classes.
    """
    numbered = ((number, line.strip()) for number, line in enumerate(lines(file), 1))
    content = ((number, line) for number, line in numbered if line and line[0] not in "#%")
    header = _header(file, content)
    classes = _classes(header.get("classlabel", []))
    size = None
    for number, line in content:
        place = f"{file}:{number}"
        parts = line.split(":")
        label = None if classes is None else parts.pop().strip()
        if classes and label not in classes:
            raise ValueError(f"{place}: expected one of the classes {' '.join(classes)} last, got {_short(label)}.")
        size = size or _dimensions(header) or len(parts)
        if len(parts) != size:
            raise ValueError(f"{place}: expected {size} dimensions between colons, got {len(parts)}.")
        yield Row(_values(place, parts), label, place)


def _header(file: Path, content: Lines) -> dict[str, list[str]]:
    """Return the words after each @key, up to @data."""
    header: dict[str, list[str]] = {}
    for number, line in content:
        key, *words = line.split()
        key = key.lower()
        if key == "@data":
            return header
        if key[0] != "@":
            raise ValueError(f"{file}:{number}: expected @data before the first case, got {_short(line)}.")
        if key in ("@timestamps", "@targetlabel") and words[:1] and words[0].lower() == "true":
            what = "time stamps" if key == "@timestamps" else "targets that are not classes"
            raise ValueError(f"{file}:{number}: {what} are not supported; remove them, or use a table.")
        header[key[1:]] = words
    raise ValueError(f"{file}: expected a line @data and cases after it, found none.")


def _classes(words: list[str]) -> list[str] | None:
    """Return the allowed classes; empty if all are allowed, None if cases have no class."""
    return words[1:] if words and words[0].lower() == "true" else None


def _dimensions(header: dict[str, list[str]]) -> int | None:
    if header.get("univariate", [""])[0].lower() == "true":
        return 1
    (count,) = header.get("dimensions", header.get("dimension", []))[:1] or ("",)
    return int(count) if count.isdecimal() else None


def _values(place: str, parts: list[str]) -> np.ndarray:
    """Parse the dimensions of a case, as an array [T, D]."""
    values: np.ndarray | None = None
    for dimension, part in enumerate(parts, 1):
        fields = part.replace("?", "nan").split(",")
        if values is None:
            values = np.empty((len(fields), len(parts)))
        if len(fields) != len(values):
            raise ValueError(
                f"{place}: expected {len(values)} values in dimension {dimension} as in dimension 1, got {len(fields)}."
            )
        try:
            values[:, dimension - 1] = as_numbers(fields)
        except ValueError:
            wrong = next(field for field in fields if not _is_number(field))
            raise ValueError(f"{place}: expected numbers or ? in dimension {dimension}, got {_short(wrong)}.") from None
    assert values is not None
    if np.isinf(values).any():
        raise ValueError(f"{place}: expected finite numbers, or ? where one is missing, got infinity.")
    return values


def _is_number(field: str) -> bool:
    try:
        return not math.isinf(as_numbers([field])[0])
    except ValueError:
        return False


def _short(text: str | None) -> str:
    return repr(text if text is None or len(text) <= 40 else text[:40] + "...")
