"""Line that shows how far a long computation is: on a terminal, in a notebook, or in a log."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from math import inf
from typing import Any, ClassVar, Protocol, Self, TextIO

DELAY = 2.0  # seconds before the first automatic line: short computations print nothing
REDRAW = 0.2  # seconds between updates of a line in place
PAUSE = 30.0  # seconds between plain lines
SEARCHES = "joblib.", "sklearn.model_selection."  # modules that fit many models


class ProgressLine:
    """Line about a long computation, updated in place on a terminal and in a notebook, until its `with` block ends.

    Progress never stops a computation: if a line cannot be written, because the stream is closed or its pipe is
    broken, no more lines are written.

    Args:
        verbose: None shows the line on a terminal and in a notebook if the computation takes longer than 2 seconds. It
            is silent elsewhere: in files and pipes, in other processes and threads, and inside joblib and the searches
            of scikit-learn, which fit many models. False or 0 is silent. True or 1 shows the line everywhere; outside
            of terminals and notebooks, it prints a new line every 30 seconds and at each event. 2 prints one line per
            event, and never overwrites it.
        stream: output stream; standard error by default.
        every: seconds between plain lines.
        delay: seconds before the first line; by default 2 if verbose is None, and 0 otherwise.
    Raises:
        ValueError: verbose is another value.
    Example:
        >>> with ProgressLine(True, sys.stdout) as line:
        ...     line(lambda: "iteration 1", event=True)
        ...     line(lambda: "iteration 2")
        iteration 1
        iteration 2
    """

    def __init__(
        self,
        verbose: bool | int | None = None,
        stream: TextIO | None = None,
        every: float = PAUSE,
        delay: float | None = None,
    ):
        if verbose not in (None, 0, 1, 2):
            raise ValueError(f"verbose: expected None, False, True or 2 (one line per event), got {verbose!r}.")
        self.verbose = verbose
        self._output = _output(verbose, stream)
        self._every = REDRAW if isinstance(self._output, _Terminal | _Notebook) else inf if verbose == 2 else every
        self._start = time.monotonic()
        self._begin = self._start + ((DELAY if verbose is None else 0.0) if delay is None else delay)
        self._due = self._begin + (0.0 if self._every == REDRAW else self._every)
        self._waiting: Callable[[], str] | None = None  # the latest text, until it is shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        if self._waiting is not None and self.verbose != 2 and now >= self._begin:
            self._show(self._waiting, now)
        self._try(lambda output: output.close())

    def __call__(self, text: Callable[[], str], event: bool = False) -> None:
        """Show a text, if the line is due or the text reports an event; otherwise keep it for the end.

        Args:
            text: returns the text; called only if it is shown.
        """
        if self._output is None:
            return
        now, self._waiting = time.monotonic(), text
        if now >= self._due or (event and now >= self._begin):
            self._show(text, now)

    def iteration(self, where: str, number: int, limit: int, log_prob: float) -> None:
        """Show an iteration of a fit that may converge before the limit; with verbose=2, each one is an event."""

        def text() -> str:
            left = f"  at most {self.time_left(number / limit)}" if 0 < number < limit else ""
            return f"{where}: iteration {number} of at most {limit}  log-probability {log_prob:.6f}{left}"

        self(text, event=self.verbose == 2)

    def share(self, label: str, part: float) -> None:
        """Show the finished share of a computation, above 0 and up to 1."""
        self(lambda: f"{label}  {part:4.0%}  {self.time_left(part)}")

    def clear(self) -> None:
        """Forget a text that has not been shown yet, so that it is not shown at the end."""
        self._waiting = None

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    def time_left(self, part: float) -> str:
        """Return the time left as `0:01:05 left`, if this part of the computation, above 0, has been done."""
        return time_left(self.seconds * (1 - part) / part)

    def _show(self, text: Callable[[], str], now: float) -> None:
        words = text()
        self._try(lambda output: output.write(words))
        self._waiting, self._due = None, now + self._every

    def _try(self, write: "Callable[[_Output], None]") -> None:
        """Write to the output; if that fails, write nothing more."""
        if self._output is not None:
            try:
                write(self._output)
            except Exception:  # a program may put any object in the place of standard error
                self._output = None


def time_left(seconds: float) -> str:
    """Return a duration as `0:01:05 left`; a longer one than Python can write is shortened."""
    return f"{timedelta(seconds=round(min(seconds, timedelta.max.total_seconds() - 1)))} left"


def erase() -> None:
    """Erase the line that a terminal shows, so that other text can be printed there; the next update shows it again."""
    if _Terminal.latest is not None:
        with suppress(Exception):
            _Terminal.latest.erase()
        _Terminal.latest = None


class _Output(Protocol):
    """Place where lines are shown."""

    def write(self, text: str) -> None: ...

    def close(self) -> None: ...


class _Plain:
    """Stream that receives one line after another."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the stream open for its owner."""


class _Terminal:
    """Terminal whose last line is overwritten."""

    latest: "ClassVar[_Terminal | None]" = None  # the one that was written last

    def __init__(self, stream: TextIO):
        self._stream, self._width = stream, 0

    def write(self, text: str) -> None:
        text = text[: _columns(self._stream) - 1]
        print("\r" + text.ljust(self._width), end="", file=self._stream, flush=True)
        _Terminal.latest, self._width = self, len(text)

    def erase(self) -> None:
        print("\r" + " " * self._width, end="\r", file=self._stream, flush=True)
        self._width = 0

    def close(self) -> None:
        """End the line. Texts that follow begin a new one."""
        _Terminal.latest = None
        if self._width:
            self._width = 0
            print(file=self._stream, flush=True)


class _Notebook:
    """Output of a notebook cell, which is replaced, so that a saved notebook has one line."""

    def __init__(self) -> None:
        self._handle: Any = None

    def write(self, text: str) -> None:
        if self._handle is None:
            self._handle = sys.modules["IPython"].display.display({"text/plain": text}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": text}, raw=True)

    def close(self) -> None:
        """Leave the last line in the notebook."""


def _output(verbose: bool | int | None, stream: TextIO | None) -> _Output | None:
    """Return the place of the lines, or None for silence."""
    if verbose == 0 and verbose is not None:
        return None
    notebook = stream is None and _in_notebook()
    stream = stream or (sys.stdout if notebook else sys.stderr)  # notebooks show standard error as an error
    terminal = stream is not None and _is_terminal(stream)
    if verbose is None and (not (notebook or terminal) or _is_worker()):
        return None
    if verbose != 2 and notebook:
        return _Notebook()
    if verbose != 2 and terminal:
        return _Terminal(stream)
    return None if stream is None else _Plain(stream)


def _is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal; a closed one, or an object that only has `write`, is not."""
    try:
        return not getattr(stream, "closed", False) and bool(getattr(stream, "isatty", bool)())
    except Exception:  # a detached buffer, or any other object in the place of standard error
        return False


def _in_notebook() -> bool:
    """Return whether the code runs in a kernel of IPython, which is not imported for this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _is_worker() -> bool:
    """Return whether the computation is one of several: in another process or thread, or started by a search."""
    multiprocessing = sys.modules.get("multiprocessing.process")  # imported in every process that it started
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return True
    if threading.current_thread() is not threading.main_thread():
        return True
    frame: Any = sys._getframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(SEARCHES):
            return True
        frame = frame.f_back
    return False


def _columns(stream: TextIO) -> int:
    """Return the width of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal of the system
        return shutil.get_terminal_size().columns
