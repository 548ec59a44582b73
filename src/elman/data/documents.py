"""Reading text files as documents, and splitting documents into a training part and a held-out part."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, overload

import numpy as np

from elman.data.raw_files import (
    STDIN,
    AnyText,
    Paths,
    as_paths,
    decode,
    read_bytes,
    reading,
    split_lines,
    with_line_feeds,
)
from elman.data.readers.files import TABLES, suffix_of

Cut = Literal["file", "line", "blank"]
CUTS: tuple[str, ...] = get_args(Cut)


class Document(NamedTuple):
    """Text, and its place: `book.txt`, or `book.txt:12` for a part of a file, with its first line."""

    text: Any  # str or bytes
    place: str


@overload
def read_documents(paths: Paths, encoding: Literal["utf-8"] = ..., documents: Cut = ...) -> list[str]: ...
@overload
def read_documents(paths: Paths, encoding: Literal["bytes"], documents: Cut = ...) -> list[bytes]: ...
def read_documents(paths: Paths, encoding: str = "utf-8", documents: Cut = "file") -> list[str] | list[bytes]:
    """Read documents from files, in order.

    Args:
        paths: files, or folders, whose `*.txt` and `*.txt.gz` files are read in sorted order; `.gz` is unpacked.
        encoding: `utf-8` (every line end becomes a line feed, and a byte order mark is dropped), or `bytes` to read the
            files unchanged.
        documents: unit of a document: `file`, a whole file; `line`, each line that is not blank; `blank`, each
            paragraph between blank lines. The line end after a line or a paragraph is not part of it.
    Raises:
        OSError: a path is missing or cannot be read.
        ValueError: a file is empty, not UTF-8, or a table (`.csv`, `.jsonl`, ...), or a folder has no text files.
    """
    return [document.text for document in located_documents(paths, encoding, documents)]


def located_documents(paths: Paths, encoding: str = "utf-8", documents: str = "file") -> list[Document]:
    """Read documents as `read_documents` does, and return each with its place."""
    if documents not in CUTS:
        raise ValueError(f"documents: expected file, line or blank, got {documents!r}.")
    found: list[Document] = []
    for file in (file for path in as_paths(paths) for file in _files(path)):
        _check_is_text(file)
        text: Any = read_bytes(file) if encoding == "bytes" else _decode(file, read_bytes(file))
        if not text:
            raise ValueError(f"{file}: empty; expected a file with text.")
        parts = [Document(part, f"{file}:{line}") for line, part in _cut(text, documents)]
        if documents == "file":
            parts = [Document(text, str(file))]
        elif not parts:
            raise ValueError(f"{file}: expected a line of text, found only white space.")
        found += parts
    return found


def _check_is_text(file: Path) -> None:
    if file != STDIN and (suffix := suffix_of(file)) in TABLES:
        raise ValueError(f"{file}: expected a text file, got a table ({suffix}); write its texts to a text file. For "
                         "minimal pairs, name their columns: elman evaluate --good COLUMN --bad COLUMN.")  # fmt: skip


def _cut(text: AnyText, documents: str) -> Iterator[tuple[int, AnyText]]:
    """Yield the number of the first line, from 1, and the text of each line or paragraph that is not blank."""
    numbered = enumerate(split_lines(text), 1)
    if documents == "line":
        for number, line in numbered:
            if line.strip():
                yield number, _without_end(line)
    elif documents == "blank":
        for is_text, part in groupby(numbered, key=lambda pair: bool(pair[1].strip())):
            if is_text:
                (first, _), *_ = lines = list(part)
                yield first, _without_end(text[:0].join(line for _, line in lines))


def _without_end(line: AnyText) -> AnyText:
    return line.rstrip("\r\n") if isinstance(line, str) else line.rstrip(b"\r\n")


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
    if path == STDIN:
        return [path]
    with reading(path):
        if not path.is_dir():
            return [path]
        files = sorted(file for file in path.iterdir() if file.name.endswith((".txt", ".txt.gz")))
    if not files:
        raise ValueError(f"{path}: expected a folder with *.txt files, found none; name single files.")
    return files


def _decode(file: Path, data: bytes) -> str:
    text = decode(data, str(file), " of the file", ", or use --set units=bytes")
    return with_line_feeds(text.removeprefix("\ufeff"))
