"""Suggestions for mistyped words."""

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return the end of an error message: `; did you mean hidden_size?`, or `.` if no known word is near.

    Example:
        >>> did_you_mean("hiden_size", ["hidden_size", "epochs"])
        '; did you mean hidden_size?'
    """
    near = nearest(word, known)
    return "." if near is None else f"; did you mean {near}?"


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the known word that resembles a word most, or None."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(str(word).lower(), names, n=1)
    return names[near[0]] if near else None


def suggests_arguments(method: Method) -> Method:
    """Return a method whose error about an unknown argument names a similar one, the setting, or all arguments.

    Example:
        >>> class Model:
        ...     def __init__(self, epochs=10): ...
        ...     @suggests_arguments
        ...     def fit(self, X, verbose=None): ...
        >>> Model().fit([], epochs=3)
        Traceback (most recent call last):
            ...
        TypeError: Model.fit: epochs: is a setting; set it in the constructor: Model(epochs=...).
    """
    known = list(inspect.signature(method).parameters)[1:]  # without self

    @wraps(method)
    def checked(*args: Any, **options: Any) -> Any:
        for name in options:
            if name not in known:
                kind = type(args[0])
                where = f"{kind.__name__}.{method.__name__}: {name}:"
                if name in inspect.signature(kind).parameters:
                    raise TypeError(f"{where} is a setting; set it in the constructor: {kind.__name__}({name}=...).")
                similar = did_you_mean(name, known) if nearest(name, known) else f"; expected {', '.join(known)}."
                raise TypeError(f"{where} unknown argument{similar}")
        return method(*args, **options)

    return cast(Method, checked)
