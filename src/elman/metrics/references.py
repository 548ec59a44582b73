"""Checks of hypotheses and their references: one or several references per row."""

from collections.abc import Sequence

from elman.errors import RowError, RowTypeError


def as_references(where: str, hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """Return the references of each hypothesis as a list.

    Raises:
        ValueError: there are no rows, the numbers of references and hypotheses differ, or a row has no reference.
        TypeError: a value is not text, or a text is given instead of a list.
    """
    for name, texts in (("hypotheses", hypotheses), ("references", references)):
        if isinstance(texts, str):
            raise TypeError(f"{where}: expected a list of {name}, got one text; put it in a list: [text].")
        if not hasattr(texts, "__len__") or getattr(texts, "ndim", 1) == 0:
            raise TypeError(f"{where}: expected a list of {name}, got {type(texts).__name__}.")
    if not len(hypotheses) or len(hypotheses) != len(references):
        got = f"{len(hypotheses)} hypotheses and {len(references)} rows of references"
        raise ValueError(f"{where}: expected at least one row, as many of references as of hypotheses, got {got}.")
    rows = []
    for number, (hypothesis, given) in enumerate(zip(hypotheses, references, strict=True)):
        row = [given] if isinstance(given, str) else list(given)
        if not row:
            raise RowError(number, f"{where}: expected at least one reference, got none.")
        for text in (hypothesis, *row):
            if not isinstance(text, str):
                raise RowTypeError(number, f"{where}: expected text, got {type(text).__name__} {text!r}.")
        rows.append(row)
    return rows
