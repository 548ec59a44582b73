"""Progress of a run: one updated line on a terminal, plain lines elsewhere."""

import sys
import time
from datetime import timedelta
from typing import Any, TextIO

from elman.training.events import Evaluation, Event, Update


class Progress:
    """Observer that prints steps per second, loss, best evaluation and time left, until its `with` block ends.

    Args:
        stream: output stream; standard error by default.
        every: seconds between plain lines. Each evaluation also prints a line.
    Example:
        >>> with Progress(sys.stdout) as progress:
        ...     progress(Update(1, 1, 0.5, 2.3, 0.1, 2e-3, 320, 0.1, 3200.0))
        ...     progress(Evaluation(1, 1, 2.2, 2.2, 1, 0.2))
        update 1  epoch 1   50%  3,200 steps/s  loss 2.3000  evaluation 2.2000  best 2.2000
    """

    def __init__(self, stream: TextIO | None = None, every: float = 30.0):
        self._stream = sys.stderr if stream is None else stream
        self._every = every
        self._bar: Any = None
        self._first: Update | None = None
        self._last: Update | None = None
        self._evaluation: Evaluation | None = None
        self._loss, self._rate = _Average(), _Average()
        self._shown_at, self._shown = time.monotonic(), True

    def __enter__(self) -> "Progress":
        if self._stream.isatty():
            from rich import progress
            from rich.console import Console

            columns = progress.TextColumn("{task.description}", markup=False), progress.BarColumn(None)
            self._bar = progress.Progress(*columns, console=Console(file=self._stream), auto_refresh=False, expand=True)
            self._task = self._bar.add_task("", total=1.0)
            self._every = 0.2
        return self

    def __exit__(self, *_: object) -> None:
        if not self._shown:
            self._show()
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Update | Evaluation):
            return
        self._shown = False
        if isinstance(event, Evaluation):
            self._evaluation = event
            self._show()
            return
        self._first, self._last = self._first or event, event
        self._loss.add(event.loss)
        self._rate.add(event.steps_per_second)
        if time.monotonic() - self._shown_at >= self._every:
            self._show()

    def _show(self) -> None:
        if self._bar is None:
            print(self._text(), file=self._stream, flush=True)
        else:
            self._bar.start()  # at the first display, below what was printed before
            self._bar.update(self._task, completed=self._last.progress if self._last else 0, description=self._text())
            self._bar.refresh()
        self._shown_at, self._shown = time.monotonic(), True

    def _text(self) -> str:
        words = []
        if self._last is not None:
            words += [f"update {self._last.update}", f"epoch {self._last.epoch}", f"{self._last.progress:4.0%}"]
            words += [f"{self._rate.value:,.0f} steps/s", f"loss {self._loss.value:.4f}"]
        if self._evaluation is not None:
            words += [f"evaluation {self._evaluation.evaluation:.4f}", f"best {self._evaluation.best:.4f}"]
        if self._first is not None and self._last is not None and self._first.progress < self._last.progress < 1:
            pace = (self._last.seconds - self._first.seconds) / (self._last.progress - self._first.progress)
            words += [f"{timedelta(seconds=round(pace * (1 - self._last.progress)))} left"]
        return "  ".join(words)


class _Average:
    """Exponential average over about the last fifty values."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> None:
        self._sum, self._weight = 0.98 * self._sum + value, 0.98 * self._weight + 1

    @property
    def value(self) -> float:
        return self._sum / self._weight
