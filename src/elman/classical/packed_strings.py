"""Strings as byte arrays, so that a model file can hold labels and words as tensors."""

import json
from typing import Any

import numpy as np

from elman.declared_types import field


def pack(values: np.ndarray) -> np.ndarray:
    """Return a one-dimensional array of strings, integers or booleans as JSON bytes, uint8 [n].

    Example:
        >>> unpack(pack(np.array(["NOUN", "é"]))).tolist()
        ['NOUN', 'é']
    """
    return np.frombuffer(json.dumps(values.tolist()).encode(), np.uint8)


def unpack(packed: Any) -> np.ndarray:
    """Return the array from the result of `pack`.

    Raises:
        ValueError: the bytes are not a list of strings, integers or booleans, one kind of them.
    """
    stored = json.loads(np.asarray(packed, np.uint8).tobytes())
    return np.array(field({"values": stored}, "values", list[str] | list[int] | list[bool]))
