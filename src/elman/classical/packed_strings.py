"""Strings as byte arrays, so that a model file can hold labels and words as tensors."""

import json
from typing import Any

import numpy as np


def pack(values: np.ndarray) -> np.ndarray:
    """Return a one-dimensional array of strings, integers or booleans as JSON bytes, uint8 [n].

    Example:
        >>> unpack(pack(np.array(["NOUN", "é"]))).tolist()
        ['NOUN', 'é']
    """
    return np.frombuffer(json.dumps(values.tolist()).encode(), np.uint8)


def unpack(packed: Any) -> np.ndarray:
    """Return the array from the result of `pack`."""
    return np.array(json.loads(np.asarray(packed, np.uint8).tobytes()))
