"""Least squares over all windows of a batch, from products of the series with itself at each lag.

The normal equations of an autoregression contain sums over windows of x[t - i] x[t - j]'. Sums with equal i - j differ
only at the two ends of a row, so one product per lag is enough. The condition number of these equations is the square
of that of the windows. They are solved if the windows are well-conditioned, and the residuals computed from the windows
correct the solution to the accuracy of QR (Björck 1987, "Stability analysis of the method of seminormal equations").
Otherwise the windows are factored by QR, a chunk at a time.
"""

from typing import NamedTuple

import numpy as np

from elman.classical.delay_taps.windows import chunks
from elman.optional_packages import needed_by
from elman.sequences import Sequences

WELL_CONDITIONED = 1e4  # largest condition number of the windows for which the corrected solution is accurate
QR_CHUNK = 1 << 12  # windows factored at once


class Triangle(NamedTuple):
    """R of the windows [lag 1, ..., lag p, target], minus their means if there is an intercept."""

    r: np.ndarray  # [at most (p + 1) D, (p + 1) D], upper triangular
    mean: np.ndarray  # [(p + 1) D] mean of the windows
    windows: int  # number of windows
    well_conditioned: bool


class Design:
    """Windows of `order` steps and their targets; scaled, and centred if there is an intercept.

    Args:
        rows: values [N, D] without NaN; rows shorter than a window and a target are ignored.
        order: p.
        intercept: whether there is an intercept.
    """

    def __init__(self, rows: Sequences, order: int, intercept: bool):
        kept = rows.lengths > order
        if not kept.all():
            rows = rows.select(np.flatnonzero(kept))
        self.order, self.intercept, self.lengths = order, intercept, rows.lengths
        self.starts = rows.offsets[:-1]
        self.size = rows.values.shape[1]
        self.count = int((self.lengths - order).sum())
        self.center = rows.values.mean(0) if intercept and self.count else np.zeros(self.size)
        self.series = np.subtract(rows.values.T, self.center[:, None], order="C")  # [D, N]
        largest = np.maximum(self.series.max(1, initial=0.0), -self.series.min(1, initial=0.0))
        # Powers of two: scaling does not round, and squares stay finite.
        self.scale = np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1.0))))
        self.series /= self.scale[:, None]

    def triangle(self) -> Triangle:
        """Return the triangle, from the normal equations if that is accurate, else by QR."""
        triangle = self._from_products()
        return self._by_qr() if triangle is None else triangle

    def _from_products(self) -> Triangle | None:
        order, size, series = self.order, self.size, self.series
        gram = np.empty((order + 1, order + 1, size, size))  # sums of x[t - i] x[t - j]'
        total = np.empty((order + 1, size))
        targets = series.copy()
        targets[:, (self.starts[:, None] + np.arange(order)).ravel()] = 0  # steps without a whole window before them
        total[0] = targets.sum(1)
        gram[0] = lagged(targets, series, self.starts, self.lengths, order)
        gram[:, 0] = gram[0].transpose(0, 2, 1)
        if order:
            ends = self.starts + self.lengths
            taps = np.arange(1, order + 1)
            head = series[:, (self.starts[:, None] + order - taps)].transpose(1, 2, 0)  # [rows, p, D]
            tail = series[:, (ends[:, None] - taps)].transpose(1, 2, 0)
            step = _blocks(head, size) - _blocks(tail, size)
            total[1:] = total[0] + np.cumsum(head.sum(0) - tail.sum(0), axis=0)
            for i in range(order):
                gram[i + 1, 1:] = gram[i, :-1] + step[i]
        lag_first = np.r_[size : (order + 1) * size, :size]  # the lags, then the target
        flat = gram.transpose(0, 2, 1, 3).reshape((order + 1) * size, -1)[np.ix_(lag_first, lag_first)]
        mean = total.reshape(-1)[lag_first] / self.count if self.intercept else np.zeros((order + 1) * size)
        flat -= self.count * np.outer(mean, mean)
        try:
            r = np.linalg.cholesky(flat).T
        except np.linalg.LinAlgError:
            return None
        windows = r[: order * size, : order * size]
        well = not order or np.linalg.cond(windows / np.linalg.norm(windows, axis=0), 1) <= WELL_CONDITIONED
        return Triangle(r, mean, self.count, True) if well else None

    def _by_qr(self) -> Triangle:
        one = int(self.intercept)
        columns = one + (self.order + 1) * self.size
        r = np.zeros((0, columns))
        window = (self.order + 1) * self.size
        valid = self._valid()
        for start, stop, windows in chunks(self.series, self.order + 1, max(QR_CHUNK, 2 * columns)):
            inside = windows if valid is None else windows[:, valid[start:stop]]
            block = np.empty((len(r) + inside.shape[1], columns), order="F")
            block[: len(r)] = r
            block[len(r) :, :one] = 1
            block[len(r) :, one : one + window - self.size] = inside[self.size :].T  # the lags
            block[len(r) :, columns - self.size :] = inside[: self.size].T  # the target
            r = np.asarray(np.linalg.qr(block, mode="r"))
        mean = r[0, one:] / r[0, 0] if one else np.zeros(columns)
        return Triangle(r[one:, one:], mean, self.count, False)

    def _valid(self) -> np.ndarray | None:
        """Return whether each step has a whole window before it, [N]; None if only the first p have none."""
        if len(self.lengths) <= 1:
            return None
        valid = np.ones(self.series.shape[1], bool)
        valid[(self.starts[:, None] + np.arange(self.order)).ravel()] = False
        return valid

    def penalties(self, penalty: float) -> np.ndarray:
        """Return the penalty of each squared coefficient in the units of this design, [p * D]."""
        return np.tile(penalty / self.scale / self.scale, self.order)

    def solve(self, triangle: Triangle, order: int, penalty: float = 0.0) -> np.ndarray:
        """Return the coefficients [order * D, D] of the first `order` lags that minimise the (penalised) squares."""
        lags = order * self.size
        windows, targets = triangle.r[:, :lags], triangle.r[:, -self.size :]
        if not lags:
            return np.zeros((0, self.size))
        if penalty:
            windows = np.concatenate([windows, np.diag(np.sqrt(self.penalties(penalty)[:lags]))])
            targets = np.concatenate([targets, np.zeros((lags, self.size))])
        elif triangle.well_conditioned:
            with needed_by("DelayTaps.fit"):
                from scipy.linalg import solve_triangular

            return solve_triangular(windows[:lags], targets[:lags])
        cutoff = np.finfo(float).eps * max(triangle.windows, lags)  # as for least squares on the windows
        return np.linalg.lstsq(windows, targets, rcond=cutoff)[0]

    def residuals(self, triangle: Triangle, coefficients: np.ndarray) -> np.ndarray:
        """Return the residual sums of squares [D, D] for coefficients of the first lags."""
        left = triangle.r[:, -self.size :] - triangle.r[:, : len(coefficients)] @ coefficients
        return left.T @ left

    def corrected(self, triangle: Triangle, coefficients: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients and their sums of squares, corrected by the residuals of the windows.

        Args:
            triangle: well-conditioned, for this order.
        """
        size, lags = self.size, self.order * self.size
        mean_lags, mean_targets = triangle.mean[:lags], triangle.mean[lags:]
        constant = mean_targets - mean_lags @ coefficients
        valid = self._valid()
        moments, squares = np.zeros((lags, size)), np.zeros((size, size))
        for start, stop, windows in chunks(self.series, self.order + 1):
            left = windows[:size] - coefficients.T @ windows[size:] - constant[:, None]
            if valid is not None:
                left *= valid[start:stop]
            moments += windows[size:] @ left.T - np.outer(mean_lags, left.sum(1))
            squares += left @ left.T
        r = triangle.r[:lags, :lags]
        normal = r.T @ r
        penalties = self.penalties(penalty)
        change = np.linalg.solve(normal + np.diag(penalties), moments - penalties[:, None] * coefficients)
        squares += change.T @ normal @ change - change.T @ moments - moments.T @ change
        return coefficients + change, squares

    def unscaled(
        self, mean: np.ndarray, coefficients: np.ndarray, squares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return taps [p, D, D], intercept [D] and squares [D, D] in the units of the series."""
        size, scale = self.size, self.scale
        order = len(coefficients) // size
        constant = mean[-size:] - mean[: order * size] @ coefficients
        taps = coefficients.reshape(order, size, size).transpose(0, 2, 1) * scale[:, None] / scale
        squares = squares * scale[:, None] * scale
        if not self.intercept:
            return taps, np.zeros(size), squares
        return taps, self.center + scale * constant - taps.sum(0) @ self.center, squares


def lagged(targets: np.ndarray, series: np.ndarray, starts: np.ndarray, lengths: np.ndarray, order: int) -> np.ndarray:
    """Return the sums over t, within rows, of targets[t] series[t - k]' for k = 0 ... order: [order + 1, D, D].

    Args:
        targets, series: [D, N], one row after another; targets are overwritten.
        starts, lengths: [B], first step and length of each row.
    """
    size, steps = series.shape
    products = np.zeros((order + 1, size, size))
    for lag in range(min(order, steps - 1) + 1):
        if lag:
            targets[:, starts[lengths >= lag] + lag - 1] = 0  # step t - lag belongs to the previous row
        products[lag] = targets[:, lag:] @ series[:, : steps - lag].T
    return products


def _blocks(windows: np.ndarray, size: int) -> np.ndarray:
    """Return the sums over rows of outer products of the steps of windows [rows, p, D]: [p, p, D, D]."""
    order = windows.shape[1]
    flat = windows.reshape(len(windows), order * size)
    return (flat.T @ flat).reshape(order, size, order, size).transpose(0, 2, 1, 3)
