"""Files as they are: opened, unpacked, and read as a whole or line by line. Each failure names the file."""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def as_paths(paths: Paths) -> list[Path]:
    """One path or several, as a list."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Says which file it was that could not be read."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: expected a whole gzip file: {error}; fetch it again, or unpack it.") from None
    except OSError as error:
        raise type(error)(f"{path}: cannot be read: {error.strerror}.") from None


def read_bytes(file: Path) -> bytes:
    """All of a file; `.gz` is unpacked.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is no whole gzip file.
    """
    with reading(file):
        data = file.read_bytes()
        return gzip.decompress(data) if file.suffix == ".gz" else data


def lines(file: Path) -> Iterator[str]:
    """The lines of a file with their ends, one after the other; `.gz` is unpacked, a byte order mark is dropped.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is no whole gzip file, or a line is not UTF-8.
    """
    with reading(file), gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        yield from decoded(file, stream)


def decoded(where: object, content: Iterable[bytes]) -> Iterator[str]:
    """Lines of bytes as text, one after the other; a byte order mark is dropped.

    Args:
        where: what an error names: a file, say.
    Raises:
        ValueError: a line is not UTF-8.
    """
    for number, line in enumerate(content, 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{where}:{number}: byte {error.start + 1} of the line is not UTF-8 (0x{line[error.start]:02x}); "
                "convert the file, e.g. iconv -f latin1 -t utf-8."
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text
