"""Text of labels in files: equal labels have one spelling, whatever format they were stored in."""

import re
from numbers import Integral
from typing import Any

import numpy as np

WHOLE = re.compile(r"([+-]?\d+)\.0+")
BOOLEANS = "true", "false"


def label_text(value: Any) -> str:
    """Return the text of a label: `1` for 1, 1.0 and "1.0"; `true` for True, "True" and "TRUE".

    Example:
        >>> [label_text(value) for value in [1, "1.0", True, "False", 0.5, "v1.0"]]
        ['1', '1', 'true', 'false', '0.5', 'v1.0']
    """
    word = str(value).strip()
    if word.lower() in BOOLEANS:
        return word.lower()
    if isinstance(value, float | np.floating) and value.is_integer():
        return str(int(value))  # floats above 1e16 have an exponent
    whole = WHOLE.fullmatch(word)
    return whole[1] if whole else word


def label_value(value: Any) -> str | bool | int | float:
    """Return a label as a Python value of its own type; whole numbers of any type are integers."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return int(value) if value.is_integer() else float(value)
    return int(value) if isinstance(value, Integral) else str(value)


def labels_as_text(labels: np.ndarray) -> np.ndarray:
    """Return the text of each label, [B]."""
    return np.array([label_text(label) for label in labels.tolist()], str)
