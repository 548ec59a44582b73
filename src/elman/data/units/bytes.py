"""Bytes as units: id 0 is the boundary, id b + 1 is byte b. They need no fitting and support any file."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from elman.data.units.base import Text, Units, check_documents, check_text
from elman.data.units.decoders import ByteDecoder


class Bytes(Units):
    """Bytes of a text in UTF-8, or of a file.

    Example:
        >>> Bytes().encode("é").tolist(), Bytes().decode([196, 170])
        ([196, 170], 'é')
    """

    name = "bytes"
    size = 257

    def fit(self, documents: Iterable[Text]) -> Self:
        for _ in check_documents("units=bytes", documents, (str, bytes)):
            pass
        return self

    def encode(self, text: Text) -> np.ndarray:
        check_text("units=bytes", text, (str, bytes))
        return np.frombuffer(_bytes(text), np.uint8).astype(np.int64) + 1

    def locate(self, text: Text, ids: np.ndarray) -> tuple[bytes, np.ndarray]:
        return _bytes(text), np.arange(1, len(ids) + 1)

    def decoder(self) -> ByteDecoder:
        return ByteDecoder([b"", *(bytes([byte]) for byte in range(256))])

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls()


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
