"""Comparison of a value with the type that a setting declares."""

from numbers import Integral, Real
from typing import Any, get_args

import numpy as np

_TYPES: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (Integral,)),
    float: ("a number", (Real,)),
    bool: ("True or False", (bool, np.bool_)),
    type(None): ("None", (type(None),)),
}


def expected_type(value: object, declared: Any) -> str | None:
    """Return the declared type in words if the value is not of that type, else None.

    Numbers of NumPy count as numbers, and whole numbers as numbers; True and False do not. Only numbers, truth values
    and None are compared: settings of text have lists of known words.

    Example:
        >>> expected_type("0.1", float | None), expected_type(1, float | None)
        ('a number or None', None)
    """
    kinds = get_args(declared) or (declared,)
    if any(kind not in _TYPES or _has_type(value, kind) for kind in kinds):
        return None
    return " or ".join(_TYPES[kind][0] for kind in kinds)


def _has_type(value: object, kind: type) -> bool:
    return isinstance(value, _TYPES[kind][1]) and (kind is bool or not isinstance(value, bool))
