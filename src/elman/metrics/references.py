"""Texts that a model wrote, and those that people wrote: one a row, or several."""

from collections.abc import Sequence


def as_references(where: str, hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """The references of each hypothesis as a list.

    Raises:
        ValueError: no row, not as many references as hypotheses, or a row without a reference.
        TypeError: what is no text, or one text in place of a list.
    """
    for name, texts in (("hypotheses", hypotheses), ("references", references)):
        if isinstance(texts, str):
            raise TypeError(f"{where}: expected a list of {name}, got one text; put it in a list: [text].")
    if not len(hypotheses) or len(hypotheses) != len(references):
        got = f"{len(hypotheses)} hypotheses and {len(references)} rows of references"
        raise ValueError(f"{where}: expected a row or more, as many of references as of hypotheses, got {got}.")
    rows = []
    for number, (hypothesis, given) in enumerate(zip(hypotheses, references, strict=True)):
        row = [given] if isinstance(given, str) else list(given)
        if not row:
            raise ValueError(f"{where}: row {number}: expected a reference or more, got none.")
        for text in (hypothesis, *row):
            if not isinstance(text, str):
                raise TypeError(f"{where}: row {number}: expected text, got {type(text).__name__} {text!r}.")
        rows.append(row)
    return rows
