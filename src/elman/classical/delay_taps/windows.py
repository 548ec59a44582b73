"""Windows over the steps of a ragged batch: layout, imputation of missing inputs, and products."""

from collections.abc import Iterator

import numpy as np

from elman.sequences import Sequences

CHUNK = 1 << 15  # numbers in a chunk of windows, which stay in the cache between copy and product


def chunks(series: np.ndarray, taps: int, least: int = 1) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield the windows of a series a chunk at a time, to bound memory.

    Args:
        series: [D, N].
        taps: steps in a window, at least 1.
        least: minimum number of windows in a chunk, if there are enough.
    Yields:
        start, stop, and the windows [taps * D, stop - start] that end at steps start to stop - 1, the latest step of
        each first. The first start is taps - 1. The next chunk overwrites the array.
    """
    size, steps = series.shape
    width = max(least, CHUNK // (taps * size))
    buffer = np.empty((taps, size, min(width, max(steps, 1))))
    for start in range(taps - 1, steps, width):
        stop = min(start + width, steps)
        windows = buffer[:, :, : stop - start]
        for tap in range(taps):
            windows[tap] = series[:, start - tap : stop - tap]
        yield start, stop, np.ascontiguousarray(windows).reshape(taps * size, stop - start)


def predict(steps: np.ndarray, taps: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Return the forecast after each window of consecutive steps: intercept + sum over i of taps[i] @ x[-1 - i].

    Args:
        steps: [M, D], at least as many as there are taps.
        taps: [p, D, D].
        intercept: [D].
    Returns:
        [M - p + 1, D], the first entry after the first p steps.
    """
    order, size, _ = taps.shape
    after = np.empty((max(len(steps) - order + 1, 0), size))  # empty for a batch without rows
    if not order:
        after[:] = intercept
        return after
    matrix = taps.transpose(1, 0, 2).reshape(size, order * size)
    with np.errstate(invalid="ignore"):  # NaN where a step is missing
        for start, stop, windows in chunks(steps.T, order):
            after[start - order + 1 : stop - order + 1] = (matrix @ windows).T
    after += intercept
    return after


class Layout:
    """States and steps of a batch in one array: for each row the p steps of its state, then its own steps.

    Args:
        sequences: values [N, D].
        state: [B, p, D].
    """

    def __init__(self, sequences: Sequences, state: np.ndarray):
        rows, self.order, size = state.shape
        starts = sequences.offsets[:-1] + self.order * np.arange(rows)
        self._starts, self._lengths = starts, sequences.lengths
        self.places = sequences.times + np.repeat(starts, sequences.lengths)  # [N] start of the window before each step
        if rows == 1:
            self.steps = np.concatenate([state[0], sequences.values])
        else:
            self.steps = np.empty((len(sequences.values) + rows * self.order, size))
            self.steps[starts[:, None] + np.arange(self.order)] = state
            self.steps[self.places + self.order] = sequences.values

    def fill(self, taps: np.ndarray, intercept: np.ndarray) -> None:
        """Replace missing inputs by their forecasts; NaN stays where there is no forecast yet.

        Only the next p steps depend on a missing input. So the missing inputs of a row form independent runs; the
        first ones of all runs are filled together, then the second ones, and so on.
        """
        missing = np.flatnonzero(np.isnan(self.steps).any(1))
        before = self._starts[np.searchsorted(self._starts, missing, side="right") - 1]
        missing = missing[missing >= before + self.order]  # missing inputs of the states are filled already
        if not len(missing):
            return
        first = np.flatnonzero(np.diff(missing, prepend=-self.order - 2) > self.order)
        rank = np.arange(len(missing)) - np.repeat(first, np.diff(first, append=len(missing)))
        by_rank = missing[np.argsort(rank, kind="stable")]
        matrix = window_matrix(taps)
        window = np.arange(-self.order, 0)
        for places in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
            forecast = forecast_next(self.steps[places[:, None] + window], matrix, intercept)
            steps = self.steps[places]
            self.steps[places] = np.where(np.isnan(steps), forecast, steps)

    def last(self) -> np.ndarray:
        """Return the last p steps of each row, [B, p, D]."""
        ends = self._starts + self._lengths
        return self.steps[ends[:, None] + np.arange(self.order)]


def window_matrix(taps: np.ndarray) -> np.ndarray:
    """Return taps [p, D, D] as a matrix [p * D, D] for windows whose latest step is the last."""
    order, size, _ = taps.shape
    return np.ascontiguousarray(taps[::-1].transpose(0, 2, 1)).reshape(order * size, size)


def forecast_next(windows: np.ndarray, matrix: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Return the forecast after each window: [B, p, D] -> [B, D]."""
    with np.errstate(invalid="ignore"):  # NaN where a step is missing
        return windows.reshape(len(windows), len(matrix)) @ matrix + intercept


def complete_runs(sequences: Sequences) -> Sequences:
    """Return each run of steps without missing values as a row."""
    present = ~np.isnan(sequences.values).any(1)
    if present.all():
        return sequences
    begins = present.copy()
    begins[1:] &= ~present[:-1]
    starts = sequences.offsets[:-1][sequences.lengths > 0]
    begins[starts] = present[starts]
    numbers = np.cumsum(begins)[present]
    return Sequences(sequences.values[present], np.bincount(numbers - 1) if len(numbers) else np.zeros(0, np.int64))
