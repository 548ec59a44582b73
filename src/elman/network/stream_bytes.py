"""Bytes of a stream's state: the fingerprint of the model and a checksum come first.

A record is 16 bytes of fingerprint, 8 bytes of checksum, and each leaf of the state: its number of rows in 8 bytes, and
its numbers. Types and sizes are those of the model.
"""

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from elman import state as states
from elman.declared_types import Record
from elman.state import State

FINGERPRINT, CHECKSUM, ROWS = 16, 8, 8  # bytes


def fingerprint(settings: Record, tensors: Mapping[str, np.ndarray], cells: Sequence[bytes]) -> bytes:
    """Return a digest of a layer, 16 bytes.

    Args:
        settings: its layer type and settings.
        tensors: its own tensors, by their names in the layer.
        cells: the fingerprints of the layers inside it.
    """
    digest = blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=FINGERPRINT)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape} ".encode())
        digest.update(np.ascontiguousarray(tensor).data)
    for cell in cells:
        digest.update(cell)
    return digest.digest()


def to_bytes(state: State, model: bytes) -> bytes:
    """Return the record of a state of the model with this fingerprint."""
    alone = states.map_parts(lambda part: part.alone() if isinstance(part, states.Shared) else part, state)
    parts = [part for leaf in states.leaves(alone) for part in (len(leaf).to_bytes(ROWS, "little"), leaf.tobytes())]
    data = b"".join(parts)
    return b"".join([model, _checksum(model, data), data])


def from_bytes(where: str, record: Any, example: State, model: bytes) -> State:
    """Return the state in a record, in the structure of `example`; the numbers of rows are not compared.

    Args:
        where: the call that an error names.
        model: fingerprint of the model.
    Raises:
        ValueError: the record is damaged, or of another model.
        TypeError: the record is not bytes.
    """
    if not isinstance(record, bytes | bytearray | memoryview):
        raise TypeError(f"{where}: expected the bytes of a stream, got {type(record).__name__}.")
    record = bytes(record)
    whose, data = record[:FINGERPRINT], record[FINGERPRINT + CHECKSUM :]
    if record[FINGERPRINT : FINGERPRINT + CHECKSUM] != _checksum(whose, data):
        raise ValueError(f"{where}: expected the bytes of a stream, as to_bytes returns them, got {len(record)} bytes "
                         "that are damaged, truncated or something else; use an intact copy.")  # fmt: skip
    if whose != model:
        raise ValueError(f"{where}: expected the bytes of a stream of this model, whose fingerprint begins with "
                         f"{model.hex()[:8]}, got those of the model {whose.hex()[:8]}; load that model.")  # fmt: skip
    try:
        return _state(data, example)
    except ValueError:
        raise ValueError(f"{where}: expected the bytes of this kind of stream, got those of another kind; streams of a "
                         "pool and streams of a trained model have different states.") from None  # fmt: skip


def _state(data: bytes, example: State) -> State:
    """Return the state in the data of a record.

    Raises:
        ValueError: the leaves are not those of the example.
    """
    place = 0

    def read(leaf: np.ndarray) -> np.ndarray:
        nonlocal place
        rows = int.from_bytes(data[place : place + ROWS], "little")
        count = rows * math.prod(leaf.shape[1:])
        array = np.frombuffer(data, leaf.dtype, count, place + ROWS).reshape(rows, *leaf.shape[1:]).copy()
        place += ROWS + array.nbytes
        return array

    state = states.map(read, example)
    if place != len(data):
        raise ValueError("more data than leaves")
    return state


def _checksum(model: bytes, data: bytes) -> bytes:
    return blake2b(data, digest_size=CHECKSUM, key=model).digest()
