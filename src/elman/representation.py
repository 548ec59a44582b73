"""One-line representations of objects, with the shapes of arrays in place of their elements."""

import dataclasses
import reprlib
from collections.abc import Callable, Mapping
from functools import wraps
from html import escape
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

from elman.arrays import is_tensor

LONGEST = 160  # characters of a representation
Kind = TypeVar("Kind", bound=type)


class _Brief(reprlib.Repr):
    """Representations of bounded length: long collections and texts end in dots."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 40, LONGEST

    def repr_instance(self, x: Any, level: int) -> str:
        if isinstance(x, np.generic):
            return self.repr1(x.item(), level) if not isinstance(x, np.void) else "void"
        if isinstance(x, np.ndarray) or is_tensor(x):
            return array_form(x)
        if isinstance(x, list):  # of a subclass
            return self.repr_list(x, level)
        return " ".join(super().repr_instance(x, level).split())


_brief = _Brief()


def brief(value: Any) -> str:
    """Return a value in one line of at most about 160 characters: arrays as dtype and shape, long collections cut.

    Example:
        >>> brief((np.zeros((2, 3)), "a" * 100, range(9)))
        "(float64 [2, 3], 'aaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaa', range(0, 9))"
    """
    return _brief.repr(value)


def array_form(array: Any) -> str:
    """Return dtype and shape of a NumPy array or a tensor: `float32 [2, 3]`."""
    return f"{str(array.dtype).removeprefix('torch.')} {list(array.shape)}"


def call(name: str, *args: str, longest: int = LONGEST) -> str:
    """Return `name(args)` in one line, with the arguments cut to `longest` characters.

    Example:
        >>> call("Rows", "2 rows", "5 steps")
        'Rows(2 rows, 5 steps)'
    """
    text = " ".join(", ".join(args).split())
    return f"{name}({text if len(text) <= longest else text[: longest - 3] + '...'})"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 state`, `1,200 states`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def figures(values: Mapping[str, Any]) -> list[str]:
    """Return values with their names: `["1,200 rows", "accuracy 0.75"]`; values that are None are left out."""
    return [_figure(name, value) for name, value in values.items() if value is not None]


def _figure(name: str, value: Any) -> str:
    if isinstance(value, Integral):
        return f"{value:,} {name}"
    return f"{name} {f'{value:.4g}' if isinstance(value, Real) else value}"


def complete(method: Callable[[Any], str]) -> Callable[[Any], str]:
    """Decorate `__repr__` or `_repr_html_` so that it works for every object: one that lacks attributes, such as before
    its `fit`, or whose attributes have wrong types. It is called where an error would hide another one.
    """

    @wraps(method)
    def represent(self: Any) -> str:
        try:
            return method(self)
        except Exception:
            text = f"<{type(self).__name__}, incomplete>"
            return text if method.__name__ == "__repr__" else escape(text)

    return represent


def brief_fields(kind: Kind) -> Kind:
    """Decorate a NamedTuple or a dataclass so that it prints its fields as `brief` returns them.

    Example:
        >>> from typing import NamedTuple
        >>> @brief_fields
        ... class Found(NamedTuple):
        ...     mean: np.ndarray
        ...     steps: int
        >>> Found(np.zeros((2, 3)), 5)
        Found(mean=float64 [2, 3], steps=5)
    """

    def represent(self: Any) -> str:
        names = getattr(kind, "_fields", None) or [field.name for field in dataclasses.fields(kind)]
        return call(type(self).__name__, *(f"{name}={brief(getattr(self, name))}" for name in names))

    kind.__repr__ = complete(represent)  # type: ignore[assignment,method-assign]  # of an instance
    return kind
