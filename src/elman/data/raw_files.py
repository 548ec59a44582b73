"""Reading files whole or line by line, with `.gz` unpacked. Every error names the file."""

import codecs
import gzip
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

from elman.data.frames import READ_FRAME, table_name, type_name

STDIN = Path("standard input")  # stands for standard input wherever a file is read; errors and places show it
LINE_END = r"\r{0,2}\n|\r(?!\r?\n)"  # LF, CR LF (CR CR LF after a faulty conversion), or CR alone
_LINE = rf"[^\r\n]*(?:{LINE_END})|[^\r\n]+"
_END = re.compile(LINE_END)
_LINES: dict[type, re.Pattern[Any]] = {str: re.compile(_LINE), bytes: re.compile(_LINE.encode())}
# Byte order marks of other encodings than UTF-8. The mark of UTF-32-LE begins with that of UTF-16-LE.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
FORMATS = {  # first bytes of files that hold no text
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"\x1f\x8b": "gzip data; unpack them: zcat",
}  # fmt: skip

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
AnyText = TypeVar("AnyText", str, bytes)


def as_paths(paths: Paths) -> list[Path]:
    """Return one path or several as a list.

    Raises:
        TypeError: a table in memory, or another object than a path, is given.
    """
    if table := table_name(paths):
        raise TypeError(f"expected the path of a file, got {table}; read it with {READ_FRAME}.")
    one = isinstance(paths, str | os.PathLike) or not isinstance(paths, Iterable)
    found: list[Any] = [paths] if one else list(cast(Iterable[Any], paths))
    for path in found:
        if not isinstance(path, str | os.PathLike):
            got = table_name(path) or type_name(path)
            raise TypeError(f"expected the path of a file, got {got}; read a table in memory with {READ_FRAME}.")
    return [Path(path) for path in found]


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
        if file == STDIN:
            return _content(stdin())
        data = file.read_bytes()
        return gzip.decompress(data) if file.suffix == ".gz" else data


def stdin() -> Any:
    """Return standard input as a stream of bytes.

    Raises:
        ValueError: standard input is closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise ValueError(f"{STDIN}: is closed; name a file, or pipe the data in.")
    return sys.stdin.buffer


@lru_cache(maxsize=1)
def _content(stream: Any) -> bytes:
    """Return the content of a stream. It is cached, because a stream can be read only once."""
    content: bytes = stream.read()
    return content


def check_exists(path: Path) -> None:
    """Raise an error unless there is a file or folder of this name.

    Raises:
        OSError: the file or folder is missing or cannot be read.
    """
    if path != STDIN:
        with reading(path):
            path.stat()


def lines(file: Path) -> Iterator[str]:
    """Yield the lines of a file with their line ends; `.gz` is unpacked, a byte order mark is dropped.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file is not a complete gzip file, or a line is not UTF-8.
    """
    with reading(file), _opened(file) as stream:
        yield from decoded(file, stream)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a file, unpacked.

    An error in the code that reads `lines` leaves the generator suspended until it is collected, in any order with the
    stream. So the stream does not own the descriptor: Python warns about a stream that it finds open.
    """
    if file == STDIN:
        yield BytesIO(read_bytes(file))
        return
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        with open(descriptor, "rb", closefd=False) as stream:
            yield gzip.GzipFile(fileobj=stream) if file.suffix == ".gz" else stream
    finally:
        os.close(descriptor)


def split_lines(data: AnyText) -> list[AnyText]:
    """Return the lines of a text, with their ends: the one definition of a line.

    Example:
        >>> split_lines(b"LF\\nCR LF\\r\\nCR\\r\\rno end")
        [b'LF\\n', b'CR LF\\r\\n', b'CR\\r', b'\\r', b'no end']
    """
    return _LINES[type(data)].findall(data)


def with_line_feeds(text: str) -> str:
    """Return a text in which every line ends with a line feed alone.

    Example:
        >>> with_line_feeds("LF\\nCR LF\\r\\nCR\\rno end")
        'LF\\nCR LF\\nCR\\nno end'
    """
    return _END.sub("\n", text) if "\r" in text else text


def decode(data: bytes, where: str, unit: str, way_out: str = "", expected: str = "text") -> str:
    """Decode UTF-8.

    Args:
        where: beginning of the error.
        unit: text after the position, which is counted from 1: ` of the line`.
        way_out: end of the error: a remedy in addition to the conversion.
        expected: content, for the error about data of another format.
    Raises:
        ValueError: the data are not UTF-8; the first bytes show which encoding or format they have.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if other := next((name for begin, name in FORMATS.items() if data.startswith(begin)), ""):
            raise ValueError(f"{where}: expected {expected}, got {other}{way_out}.") from None
        found = next((name for mark, name in MARKS.items() if data.startswith(mark)), "")
        got = f"the byte order mark of {found}" if found else f"0x{data[error.start]:02x}"
        raise ValueError(f"{where}: byte {error.start + 1}{unit} is not UTF-8 ({got}); convert the file, e.g. "
                         f"iconv -f {found or 'latin1'} -t utf-8{way_out}.") from None  # fmt: skip


def decoded(where: object, content: Iterable[bytes], expected: str = "text") -> Iterator[str]:
    """Decode lines of bytes, one by one; a byte order mark is dropped.

    Args:
        where: name in errors, for example a file.
        content: pieces of bytes, cut at line feeds or at any line ends.
        expected: content of the lines, for the error about data of another format.
    Raises:
        ValueError: a line is not UTF-8.
    """
    for number, line in enumerate(chain.from_iterable(map(split_lines, content)), 1):
        text = decode(line, f"{where}:{number}", " of the line", expected=expected)
        yield text.removeprefix("\ufeff") if number == 1 else text
