"""Strings as an array of bytes, so that a model file can hold labels and words beside its numbers."""

import json
from typing import Any

import numpy as np


def pack(values: np.ndarray) -> np.ndarray:
    """A one-dimensional array of strings, integers or booleans as the bytes of its JSON, uint8 [n].

    Example:
        >>> unpack(pack(np.array(["NOUN", "é"]))).tolist()
        ['NOUN', 'é']
    """
    return np.frombuffer(json.dumps(values.tolist()).encode(), np.uint8)


def unpack(packed: Any) -> np.ndarray:
    """The array that `pack` was given."""
    return np.array(json.loads(np.asarray(packed, np.uint8).tobytes()))
