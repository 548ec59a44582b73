"""Reading text files as documents, and splitting documents into a training part and a held-out part."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar, overload

import numpy as np

from elman.data.raw_files import LINE_END, Paths, as_paths, read_bytes, reading

AnyText = TypeVar("AnyText", str, bytes)
Cut = Literal["file", "line", "paragraph"]

# Separators between the documents of a file.
_BETWEEN = {"line": LINE_END, "paragraph": rf"(?:{LINE_END})(?:[ \t]*(?:{LINE_END}))+"}


@overload
def read_documents(paths: Paths, encoding: Literal["utf-8"] = ..., documents: Cut = ...) -> list[str]: ...
@overload
def read_documents(paths: Paths, encoding: Literal["bytes"], documents: Cut = ...) -> list[bytes]: ...
def read_documents(paths: Paths, encoding: str = "utf-8", documents: Cut = "file") -> list[str] | list[bytes]:
    """Read documents from files, in order, with their line ends unchanged.

    Args:
        paths: files, or folders, whose `*.txt` and `*.txt.gz` files are read in sorted order; `.gz` is unpacked.
        encoding: `utf-8` (a byte order mark is dropped), or `bytes` to read the files undecoded.
        documents: unit of a document: `file`, a whole file; `line`, each line that is not empty; `paragraph`, each
            paragraph between blank lines.
    Raises:
        OSError: a path is missing or cannot be read.
        ValueError: a file is empty or not UTF-8, or a folder has no text files.
    """
    if documents != "file" and documents not in _BETWEEN:
        raise ValueError(f"documents: expected file, line or paragraph, got {documents!r}.")
    files = [file for path in as_paths(paths) for file in _files(path)]
    if encoding == "bytes":
        return [text for file in files for text in _cut(file, read_bytes(file), documents)]
    return [text for file in files for text in _cut(file, _decode(file, read_bytes(file)), documents)]


def split(documents: Sequence[AnyText], fraction: float, seed: int = 0) -> tuple[list[AnyText], list[AnyText]]:
    """Split documents into a training part and a held-out part.

    The seed chooses whole documents, up to about `fraction` of the text. If no document is short enough for that (for
    example, if there is only one), the end of the longest document is held out.

    Args:
        documents: texts.
        fraction: part of the text to hold out, between 0 and 1.
        seed: seed of the random choice.
    Returns:
        documents to train on and documents held out, both in their original order.
    Raises:
        ValueError: one part would have no text.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"split: expected a fraction between 0 and 1 to hold out, got {fraction}.")
    wanted = fraction * sum(map(len, documents))
    chosen: set[int] = set()
    if len(documents) > 1:
        for i in np.random.Generator(np.random.Philox(seed)).permutation(len(documents)).tolist():
            if 0 < len(documents[i]) < 2 * wanted:  # brings the held-out part closer to its size
                chosen.add(i)
                wanted -= len(documents[i])
    train = [text for i, text in enumerate(documents) if i not in chosen]
    held_out = [text for i, text in enumerate(documents) if i in chosen]
    if not chosen and documents:
        longest = max(range(len(documents)), key=lambda i: len(documents[i]))
        text = documents[longest]
        cut = int(len(text) - wanted)
        train[longest : longest + 1] = [text[:cut]] if cut else []
        held_out = [text[cut:]]
    if not any(train) or not any(held_out):
        total = sum(map(len, documents))
        raise ValueError(f"split: holding out {fraction} of {len(documents)} documents ({total} characters) leaves one "
                         "part without text; give more text, or a separate file for validation.")  # fmt: skip
    return train, held_out


def _files(path: Path) -> list[Path]:
    with reading(path):
        if not path.is_dir():
            return [path]
        files = sorted(file for file in path.iterdir() if file.name.endswith((".txt", ".txt.gz")))
    if not files:
        raise ValueError(f"{path}: expected a folder with *.txt files, found none; name single files.")
    return files


def _decode(file: Path, data: bytes) -> str:
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: byte offset {error.start} is not UTF-8 (0x{data[error.start]:02x}); convert the "
                         "file, e.g. iconv -f latin1 -t utf-8, or use --set units=bytes.") from None  # fmt: skip


def _cut(file: Path, text: AnyText, documents: Cut) -> list[AnyText]:
    if not text:
        raise ValueError(f"{file}: empty; expected a file with text.")
    if documents == "file":
        return [text]
    if isinstance(text, str):
        parts = [part.strip("\r\n") for part in re.split(_BETWEEN[documents], text)]
    else:
        parts = [part.strip(b"\r\n") for part in re.split(_BETWEEN[documents].encode(), text)]
    parts = [part for part in parts if part.strip()]
    if not parts:
        raise ValueError(f"{file}: expected a {documents} of text, found only white space.")
    return parts
