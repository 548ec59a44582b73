"""Precision, recall and F1 from counts."""

from typing import Any, NamedTuple

import numpy as np

from elman.representation import brief_fields


@brief_fields
class Scores(NamedTuple):
    """Scores of a class or a label: numbers, or arrays with one number per class."""

    precision: Any  # correct part of the predicted ones
    recall: Any  # correct part of the true ones
    f1: Any  # their harmonic mean
    support: Any  # number of true ones


def scores(right: Any, found: Any, true: Any) -> Scores:
    """Return scores [...] from counts [...] of correct, predicted and true ones; ratios with denominator 0 are 0."""
    return Scores(ratio(right, found), ratio(right, true), ratio(2 * right, found + true), true)


def ratio(part: Any, whole: Any) -> Any:
    """Return part / whole, and 0 where the whole is 0."""
    shares = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)
    return shares if shares.ndim else float(shares)
