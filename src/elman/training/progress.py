"""Progress of a training run, as one line."""

from typing import Self, TextIO

from elman.progress import PAUSE, ProgressLine, time_left
from elman.training.events import Evaluation, Event, Update


class Progress:
    """Observer that prints time left, loss, latest and best evaluation, and steps per second.

    Args:
        verbose: True shows one line, updated in place on a terminal and in a notebook, and plain lines elsewhere: every
            30 seconds and at each evaluation. 2 prints one line per evaluation. None and False: see
            `elman.progress.ProgressLine`.
        stream: output stream; standard error by default.
        every: seconds between plain lines.
    Example:
        >>> import sys
        >>> from elman.training import Score
        >>> with Progress(stream=sys.stdout) as progress:
        ...     progress(Update(1, 1, 0.5, 2.3, 0.1, 2e-3, 320, 0.1, 3200.0))
        ...     progress(Evaluation(1, 1, Score("F1", 0.627, higher_is_better=True), 0.627, 1, 0.2))
        update 1  epoch 1   50%  loss 2.3000  F1 0.6270, best 0.6270  3,200 steps/s
    """

    def __init__(self, verbose: bool | int | None = True, stream: TextIO | None = None, every: float = PAUSE):
        self._line = ProgressLine(verbose, stream, every)
        self._first: Update | None = None
        self._last: Update | None = None
        self._evaluation: Evaluation | None = None
        self._loss, self._rate = _Average(), _Average()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._line.__exit__(*error)

    def reading(self, part: float) -> None:
        """Show the share of the data that has been read before the training, 0 to 1."""
        self._line.share("reading the data", part)
        if part >= 1:
            self._line.clear()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Update):
            self._first, self._last = self._first or event, event
            self._loss.add(event.loss)
            self._rate.add(event.steps_per_second)
            self._line(self._text)
        elif isinstance(event, Evaluation):
            self._evaluation = event
            self._line(self._text, event=True)

    def _text(self) -> str:
        words, last = [], self._last
        if last is not None:
            words += [f"update {last.update}", f"epoch {last.epoch}", f"{last.progress:4.0%}"]
            if self._first is not None and self._first.progress < last.progress < 1:
                pace = (last.seconds - self._first.seconds) / (last.progress - self._first.progress)
                words.append(time_left(pace * (1 - last.progress)))
            words.append(f"loss {self._loss.value:.4f}")
        if self._evaluation is not None:
            score = self._evaluation.score
            words.append(f"{score}, best {score.format(self._evaluation.best)}")
        return "  ".join(words if last is None else [*words, f"{self._rate.value:,.0f} steps/s"])


class _Average:
    """Exponential average over about the last fifty values."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> None:
        self._sum, self._weight = 0.98 * self._sum + value, 0.98 * self._weight + 1

    @property
    def value(self) -> float:
        return self._sum / self._weight
