"""A verdict: what is wrong or well, in words, and the remedy."""

from typing import NamedTuple

ILL, WARNING, WELL = "ill", "warning", "well"
LEVELS = (ILL, WARNING, WELL)


class Verdict(NamedTuple):
    """
    Attributes:
        rule: which one says so.
        level: `ill`: this keeps a model from learning; `warning`: this may; `well`.
        says: in a sentence, with its numbers.
        remedy: what to change, in words that can be pasted; None where nothing is to be changed.
    """

    rule: str
    level: str
    says: str
    remedy: str | None = None
