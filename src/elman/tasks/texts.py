"""The texts that a task is given: themselves, or the files that hold them."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from elman.data.documents import read_documents
from elman.data.units import Text

Texts = Text | Path | Sequence[Text | Path]


def read(documents: Texts, encoding: Literal["utf-8", "bytes"]) -> list[Any]:
    """The texts, files read: bytes from them with that encoding, else str."""
    if isinstance(documents, str) and os.path.isfile(documents):
        raise ValueError(f"text: {documents!r} is the name of a file; to read the file, give Path({documents!r}).")
    texts: list[Any] = []
    for item in _listed(documents):
        texts += read_documents(item, encoding) if isinstance(item, Path) else [item]
    return texts


def file_names(documents: Texts) -> list[str]:
    """The full names of the files among the texts."""
    return [str(item.resolve()) for item in _listed(documents) if isinstance(item, Path)]


def num_characters(texts: Iterable[Any]) -> int:
    """Of all texts together; of bytes, those of their text."""
    return sum(len(text if isinstance(text, str) else text.decode(errors="replace")) for text in texts)


def describe(texts: Sequence[Any]) -> str:
    """`2 documents of 1,024 characters`"""
    return f"{len(texts):,} document{'' if len(texts) == 1 else 's'} of {num_characters(texts):,} characters"


def digest(encoded: Iterable[np.ndarray]) -> str:
    """A digest of ids: the same for the same documents in the same order."""
    total = hashlib.sha256()
    for ids in encoded:
        total.update(len(ids).to_bytes(8, "little") + ids.tobytes())
    return total.hexdigest()


def _listed(documents: Texts) -> list[Any]:
    return [documents] if isinstance(documents, str | bytes | Path) else list(documents)
