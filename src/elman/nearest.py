"""Suggestions for mistyped words."""

from collections.abc import Iterable
from difflib import get_close_matches


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
