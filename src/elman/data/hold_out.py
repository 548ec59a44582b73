"""Choice of the rows that are held out for validation."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np


def hold_out(
    keys: Sequence[Hashable | Collection[Hashable]],
    part: float,
    seed: int = 0,
    *,
    groups: Sequence[Hashable] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into a training part and a held-out part, and keep every key in the training part.

    Rows with one key each (a class) are split key by key, so that both parts have the same mix of classes. Rows with
    several keys (the tags of a sentence) are split as a whole. A row that is the last one in the training part with
    some key is never held out; the held-out part is smaller where that leaves too few rows.

    Args:
        keys: per row: one key, such as its class, or a list, tuple or set of keys, such as its tags. Pass the same key
            for all rows if they have no classes.
        part: share of the rows to hold out, between 0 and 1; at least one row is held out. With `groups`, the share of
            the groups.
        seed: seed of the random choice.
        groups: per row, the group that it belongs to; all rows of a group go to the same part. By default every row
            is a group of its own.
    Returns:
        numbers of the rows to train on, and of the rows held out, both int64 and ascending.
    Raises:
        ValueError: part is out of range, or every row carries a key that no other row has.
    Example:
        >>> hold_out(["a", "b", "a", "a", "b"], 0.4)
        (array([0, 2, 4]), array([1, 3]))
        >>> hold_out([{"noun", "verb"}, {"noun"}, {"noun", "other"}], 0.5)  # the only verb stays, the only other too
        (array([0, 2]), array([1]))
    """
    if not 0 < part < 1:
        raise ValueError(f"hold_out: expected a part between 0 and 1, got {part}.")
    numbers = np.arange(len(keys)) if groups is None else _numbered(groups)
    group_keys: list[set[Hashable]] = [set() for _ in range(int(numbers.max(initial=-1)) + 1)]
    for number, key in zip(numbers.tolist(), keys, strict=True):
        group_keys[number].update(key if _is_collection(key) else [key])
    held = np.zeros(len(group_keys), bool)
    left = Counter(key for own in group_keys for key in own)  # groups of the training part that have each key
    staying = len(group_keys)
    generator = np.random.Generator(np.random.Philox(seed))
    for stratum in _strata(keys, group_keys):
        wanted = max(1, round(part * len(stratum)))
        for group in generator.permutation(stratum).tolist():
            if wanted and staying > 1 and all(left[key] > 1 for key in group_keys[group]):
                held[group] = True
                left.subtract(group_keys[group])
                staying, wanted = staying - 1, wanted - 1
    if not held.any():
        noun = "row" if groups is None else "group"
        raise ValueError(f"hold_out: each of the {len(held)} {noun}s has a class or a tag that no other {noun} has, so "
                         "none can be held out; swap X and y if these are not labels, give more rows, or set "
                         "validation=0.")  # fmt: skip
    out = held[numbers]
    return np.flatnonzero(~out), np.flatnonzero(out)


def _strata(keys: Sequence[Any], group_keys: Sequence[set[Hashable]]) -> list[np.ndarray]:
    """Return the groups to split separately: those of each class, or all together if rows have several keys."""
    if any(map(_is_collection, keys)) or any(len(own) > 1 for own in group_keys):
        return [np.arange(len(group_keys))]
    classes = _numbered(key for own in group_keys for key in own)
    return [np.flatnonzero(classes == number) for number in range(int(classes.max(initial=-1)) + 1)]


def _numbered(values: Iterable[Any]) -> np.ndarray:
    """Return the number of each value among the distinct values: sorted, or by first occurrence if they do not sort."""
    values = list(values)
    distinct = list(dict.fromkeys(values))
    with suppress(TypeError):
        distinct = sorted(distinct)
    places = {value: number for number, value in enumerate(distinct)}
    return np.array([places[value] for value in values], np.int64)


def _is_collection(key: Any) -> bool:
    return isinstance(key, Collection) and not isinstance(key, str | bytes)
