"""Reading files whole or line by line, with `.gz` unpacked. Every error names the file."""

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

LINE_END = r"\r{0,2}\n|\r(?!\r?\n)"  # LF, CR LF (CR CR LF after a faulty conversion), or CR alone
_LINE = re.compile(rf"[^\r\n]*(?:{LINE_END})|[^\r\n]+".encode())

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def as_paths(paths: Paths) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise errors of the block with the name of the file."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: expected a whole gzip file: {error}; fetch it again, or unpack it.") from None
    except OSError as error:
        raise type(error)(f"{path}: cannot be read: {error.strerror}.") from None


def read_bytes(file: Path) -> bytes:
    """Return the content of a file; `.gz` is unpacked.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file is not a complete gzip file.
    """
    with reading(file):
        data = file.read_bytes()
        return gzip.decompress(data) if file.suffix == ".gz" else data


def lines(file: Path) -> Iterator[str]:
    """Yield the lines of a file with their line ends; `.gz` is unpacked, a byte order mark is dropped.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file is not a complete gzip file, or a line is not UTF-8.
    """
    with reading(file), gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        yield from decoded(file, stream)


def split_lines(data: bytes) -> list[bytes]:
    """Return the lines of some bytes, with their ends: the one definition of a line.

    Example:
        >>> split_lines(b"LF\\nCR LF\\r\\nCR\\r\\rno end")
        [b'LF\\n', b'CR LF\\r\\n', b'CR\\r', b'\\r', b'no end']
    """
    return _LINE.findall(data)


def decoded(where: object, content: Iterable[bytes]) -> Iterator[str]:
    """Decode lines of bytes, one by one; a byte order mark is dropped.

    Args:
        where: name in errors, for example a file.
        content: pieces of bytes, cut at line feeds or at any line ends.
    Raises:
        ValueError: a line is not UTF-8.
    """
    for number, line in enumerate(chain.from_iterable(map(split_lines, content)), 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{where}:{number}: byte {error.start + 1} of the line is not UTF-8 (0x{line[error.start]:02x}); "
                "convert the file, e.g. iconv -f latin1 -t utf-8."
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text
