"""Standard streams that are closed or full, or whose pipe is broken."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

# Modes of the null device that replaces a closed stream: reading from it and printing results to it are errors.
_STAND_INS = {"stdin": os.O_WRONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}


def fill_closed() -> None:
    """Replace the standard streams that are closed when the process starts by the null device.

    Otherwise the next file that is opened, such as a model, would get the stream's file descriptor, and the output of
    some library would be written into it. `sys.stdin` stays None; results that are printed raise an `OSError`.
    """
    for name, flags in _STAND_INS.items():
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            if name != "stdin":
                setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace"))


@contextmanager
def dropping() -> Iterator[None]:
    """Ignore failed writes, so that lost progress and log lines do not stop a command."""
    with suppress(OSError, ValueError):  # ValueError: the stream is closed
        yield


@contextmanager
def naming() -> Iterator[None]:
    """Add the name of standard output to its errors."""
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise
    except UnicodeEncodeError as error:
        missing = error.object[error.start : error.end]
        raise ValueError(f"standard output: its encoding {error.encoding} lacks {missing!a}; set the environment "
                         "variable PYTHONIOENCODING=utf-8.") from None  # fmt: skip


class GuardedStream:
    """Text stream whose writes are guarded by a context manager: `dropping` or `naming`."""

    def __init__(self, stream: Any, guard: Callable[[], AbstractContextManager[None]]):
        self._stream, self._guard = stream, guard

    def write(self, text: str) -> int:
        with self._guard():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:  # bytes of a file name that is not UTF-8
                self._stream.write(text.encode(errors="backslashreplace").decode())
        return len(text)

    def flush(self) -> None:
        with self._guard():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded(name: str, guard: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Guard the writes to `stdout` or `stderr`, until the end of the block."""
    stream = getattr(sys, name)
    setattr(sys, name, GuardedStream(stream, guard))
    try:
        yield
    finally:
        setattr(sys, name, stream)
        flush(stream)


def flush(stream: Any) -> OSError | None:
    """Write what a stream still holds, or return the error that prevents it.

    The stream then writes to the null device, so that Python does not try again when the process ends.
    """
    try:
        stream.flush()
    except OSError as error:
        with suppress(OSError):  # a stream of a test has no descriptor
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        return error
    except ValueError:  # it is closed
        pass
    return None
