"""Comparison of values with declared types: settings, and parts of JSON in a file."""

from collections.abc import Mapping
from inspect import Parameter, signature
from numbers import Integral, Real
from reprlib import Repr
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from elman.nearest import did_you_mean

Record = dict[str, Any]  # part of JSON with named parts

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


def check_arguments(kind: type, given: Mapping[str, Any]) -> None:
    """Raise unless a class has arguments of these names, and the values are of the declared types.

    Raises:
        ValueError: an argument is unknown, or of another type.
    Example:
        >>> from elman import NGram
        >>> check_arguments(NGram, {"ordre": 2})
        Traceback (most recent call last):
            ...
        ValueError: ordre: unknown argument of NGram; did you mean order?
    """
    known, types = signature(kind).parameters, get_type_hints(vars(kind)["__init__"])
    for name, value in given.items():
        if name not in known and not any(one.kind is Parameter.VAR_KEYWORD for one in known.values()):
            raise ValueError(f"{name}: unknown argument of {kind.__name__}{did_you_mean(name, known)}")
        if wanted := expected_type(value, types.get(name, Any)):
            raise ValueError(f"{name}: expected {wanted}, got {shown(value)}.")


def field(data: Any, name: str, declared: Any) -> Any:
    """Return `data[name]`, part of JSON that was read from a file, after a comparison with its declared type.

    Args:
        declared: `str`, `int`, `float`, `bool`, None, `Record`, `list[...]` of one of them, or a union.
    Raises:
        ValueError: `data` is not a dictionary, the part is missing, or it has another type.
    Example:
        >>> field({"words": ["a", "b"]}, "words", list[str])
        ['a', 'b']
        >>> field({"words": ["a", 5]}, "words", list[str])
        Traceback (most recent call last):
            ...
        ValueError: words: expected a list of texts, got ['a', 5].
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{name}: expected it in a dictionary, got {shown(data)}.")
    if name not in data:
        raise ValueError(f"{name}: expected {_in_words(declared)}, which is missing.")
    if not _is_json(data[name], declared):
        raise ValueError(f"{name}: expected {_in_words(declared)}, got {shown(data[name])}.")
    return data[name]


def shown(value: object) -> str:
    """Return the text of a value, shortened and in one line, for an error message."""
    return " ".join(line.strip() for line in _SHORT.repr(value).splitlines())


_SHORT = Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxdict = 60, 60, 2
_JSON: dict[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a finite number", "finite numbers"),
    bool: ("true or false", "true or false"),
    Record: ("a dictionary", "dictionaries"),
    type(None): ("null", "null"),
}


def _in_words(declared: Any, several: bool = False) -> str:
    if declared in _JSON:
        return _JSON[declared][several]
    if get_origin(declared) is list:
        return f"{'lists' if several else 'a list'} of {_in_words(get_args(declared)[0], several=True)}"
    return " or ".join(_in_words(kind, several) for kind in get_args(declared))


def _is_json(value: Any, declared: Any) -> bool:
    if get_origin(declared) is list:
        (kind,) = get_args(declared)
        return isinstance(value, list) and all(_is_json(part, kind) for part in value)
    if declared not in _JSON:
        return any(_is_json(value, kind) for kind in get_args(declared))
    if declared is float:
        return _has_type(value, float) and abs(value) <= _LARGEST  # not NaN, and no whole number above all floats
    return isinstance(value, get_origin(declared) or declared) and (declared is bool or not isinstance(value, bool))


_LARGEST = float(np.finfo(np.float64).max)
