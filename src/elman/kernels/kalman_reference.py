"""kalman as it is defined: a row at a time, a coordinate of the observations at a time.

Observations are decorrelated by R = U D U' of those that are there, then taken in one by one (Koopman and Durbin 2000):
no matrix is inverted, and a variance of zero is legal. The smoother is the conditional form of Rauch, Tung and Striebel
(1965), in which the state that follows is one more observation, s[t+1] = F s[t] + noise(Q). A diffuse part A A' is the
limit of a variance that grows without end (Koopman 1997); one observation takes one column of A away.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

DIFFUSE = 1e-8  # what an observation sees of the diffuse part is nothing below this share of what it could see
RANK = 1e-13  # a variance is zero below this share of what it was
CERTAIN = 1e-14  # so is that of an observation without noise
LOST = 1e-11  # digits are lost where a variance that is not zero is below this share of the terms it is the sum of
FALL = 1e-5  # so are they where an observation leaves less than this share of a variance, though not zero
INDEFINITE = 1e-12  # a covariance is taken for semidefinite up to this share of its diagonal
NOISY = 1e-3  # the short form of the update is good where noise is at least this share of the variance
IMPOSSIBLE = 1e-8  # an observation without variance lies off its mean by more than this share of the terms of both
NO_R = "R is not positive semidefinite"
NO_Q = "Q is not positive semidefinite"
NO_START = "the covariance of the start is not positive semidefinite"
NO_DIFFUSE = "the diffuse part of the start is not positive semidefinite"
OVERFLOW = "numbers overflow"
UNDETERMINED = "the inputs are too few for the diffuse start"
LOG_2PI = float(np.log(2 * np.pi))


class LostError(Exception):
    """The covariance lost its definiteness, or all its digits: the row is to be done again with square roots."""


class BrokenError(Exception):
    """Square roots do not help either: `what` is wrong, at a step of the row."""

    def __init__(self, what: str, step: int = 0):
        super().__init__(what)
        self.what, self.step = what, step


class Problem(NamedTuple):
    """A row: what happens at each of its steps, and its start."""

    at: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]  # F, H, Q, R of a step
    x: np.ndarray  # [T, m]
    state_offset: np.ndarray  # [T, n]
    output_offset: np.ndarray  # [T, m]
    mean: np.ndarray  # [n]
    cov: np.ndarray  # [n, n]
    diffuse: np.ndarray  # [n, n]


def factor(matrix: np.ndarray, wrong: str) -> tuple[np.ndarray, np.ndarray]:
    """U with a diagonal of ones and d >= 0, matrix = U diag(d) U'; the matrix may be singular."""
    size = len(matrix)
    lower, d = np.eye(size), np.zeros(size)
    for j in range(size):
        pivot = matrix[j, j] - lower[j, :j] ** 2 @ d[:j]
        if not pivot >= -1e-10 * abs(matrix[j, j]):
            raise BrokenError(wrong)
        if pivot > RANK * matrix[j, j]:
            d[j] = pivot
            lower[j + 1 :, j] = (matrix[j + 1 :, j] - (lower[j + 1 :, :j] * d[:j]) @ lower[j, :j]) / pivot
    return lower, d


def pivoted_root(matrix: np.ndarray) -> np.ndarray:
    """A with as many columns as the matrix has rank, matrix = A A': Cholesky, the largest share that is left first."""
    left, scale = matrix.copy(), np.diag(matrix).copy()
    if not (scale >= 0).all():
        raise BrokenError(NO_DIFFUSE)
    columns = []
    for _ in range(len(matrix)):
        share = np.divide(np.diag(left), scale, out=np.zeros_like(scale), where=scale > 0)
        best = int(share.argmax())
        if not share[best] > RANK:
            break
        columns.append(left[:, best] / np.sqrt(left[best, best]))
        left = left - np.outer(columns[-1], columns[-1])
    return np.array(columns).reshape(-1, len(matrix)).T


def triangular(wide: np.ndarray) -> np.ndarray:
    """A square root of wide wide', square."""
    upper: np.ndarray = np.asarray(np.linalg.qr(wide.T, mode="r"))
    return upper.T


class Diffuse:
    """A: the part A A' of the covariance that grows without end."""

    def __init__(self, matrix: np.ndarray):
        self.a = pivoted_root(matrix) if matrix.any() else np.zeros((len(matrix), 0))

    def take(self, h: np.ndarray) -> tuple[np.ndarray, float] | None:
        """The gain and variance of an observation along h if it sees this part: one column then goes."""
        if not self.a.any():
            return None
        seen, norms = self.a.T @ h, np.linalg.norm(self.a, axis=1)
        size = np.linalg.norm(seen)
        if size <= DIFFUSE * (np.abs(h) @ norms):
            return None
        gain = self.a @ seen / size**2
        mirror = seen.copy()  # Householder: what is seen goes to the first column
        mirror[0] += np.copysign(size, seen[0])
        left = (self.a - np.outer(self.a @ mirror, mirror) * (2 / (mirror @ mirror)))[:, 1:]
        self.keep(left, norms)
        return gain, float(size**2)

    def predict(self, f: np.ndarray) -> None:
        if self.a.size:
            self.keep(f @ self.a, np.abs(f) @ np.linalg.norm(self.a, axis=1))

    def keep(self, a: np.ndarray, scale: np.ndarray) -> None:
        a[np.linalg.norm(a, axis=1) <= RANK * scale] = 0.0  # only rounding
        self.a = a if a.any() else a[:, :0]

    @property
    def matrix(self) -> np.ndarray:
        return self.a @ self.a.T


class Plain:
    """A covariance as it is."""

    def __init__(self, cov: np.ndarray):
        self.matrix = cov.copy()

    def take(self, h: np.ndarray, noise: float, gain: np.ndarray | None) -> tuple[np.ndarray, float]:
        """The gain and variance of an observation along h; or, if the gain is given, what that leaves."""
        cov = self.matrix
        m = cov @ h
        variance, diagonal = float(h @ m + noise), np.diag(cov).copy()
        if gain is None:
            most = float(h**2 @ diagonal)
            if noise == 0 and abs(variance) <= CERTAIN * most:
                return np.zeros_like(h), 0.0
            if not variance > LOST * most:
                raise LostError
            gain = m / variance
            short = noise >= NOISY * variance
        else:
            short = False
        x = cov - np.outer(gain, m)
        if not short:  # Joseph's form
            x = x - np.outer(x @ h, gain) + noise * np.outer(gain, gain)
            if noise == 0:
                known = np.diag(x) <= RANK * diagonal
                x[known], x[:, known] = 0.0, 0.0
            left = np.diag(x)
            if not ((left == 0) | (left > FALL * diagonal)).all():
                raise LostError
        self.matrix = (x + x.T) / 2
        return gain, variance

    def check(self) -> None:
        """Raise LostError unless the covariance is semidefinite."""
        matrix = self.matrix
        d, lower = np.zeros(len(matrix)), np.eye(len(matrix))
        for j in range(len(matrix)):
            d[j] = matrix[j, j] * (1 + INDEFINITE) - lower[j, :j] ** 2 @ d[:j]
            if not d[j] >= 0:
                raise LostError
            if d[j] > 0:
                lower[j + 1 :, j] = (matrix[j + 1 :, j] - (lower[j + 1 :, :j] * d[:j]) @ lower[j, :j]) / d[j]

    def predict(self, f: np.ndarray, q: np.ndarray) -> None:
        cov = f @ self.matrix @ f.T + q
        self.matrix = (cov + cov.T) / 2

    def copy(self) -> "Plain":
        return Plain(self.matrix)


class Root:
    """A square root S of a covariance S S' (Potter 1963; the array form of Kaminski, Bryson and Schmidt 1971)."""

    def __init__(self, cov: np.ndarray, root: np.ndarray | None = None):
        lower, d = factor(cov, NO_START) if root is None else (root, np.ones(len(cov)))
        self.root = lower * np.sqrt(d)

    def take(self, h: np.ndarray, noise: float, gain: np.ndarray | None) -> tuple[np.ndarray, float]:
        """As Plain.take."""
        root = self.root
        f = root.T @ h
        variance = float(f @ f + noise)
        if gain is not None:
            self.root = triangular(np.column_stack([root - np.outer(gain, f), gain * np.sqrt(noise)]))
            return gain, variance
        if (noise == 0 and np.sqrt(variance) <= RANK * (np.abs(h) @ np.linalg.norm(root, axis=1))) or variance == 0:
            return np.zeros_like(h), 0.0
        m = root @ f
        self.root = root - np.outer(m, f) / (np.sqrt(variance) * (np.sqrt(variance) + np.sqrt(noise)))
        return m / variance, variance

    def predict(self, f: np.ndarray, q: np.ndarray) -> None:
        lower, d = factor(q, NO_Q)
        self.root = triangular(np.column_stack([f @ self.root, lower * np.sqrt(d)]))

    def check(self) -> None:
        """A square root has no definiteness to lose."""

    @property
    def matrix(self) -> np.ndarray:
        return self.root @ self.root.T

    def copy(self) -> "Root":
        return Root(self.root, self.root)


class Belief:
    """What is known of a state: mean, covariance, and diffuse part."""

    def __init__(self, cov: Plain | Root, diffuse: Diffuse):
        self.cov, self.diffuse = cov, diffuse

    def take(self, h: np.ndarray, noise: float) -> tuple[np.ndarray, float, bool]:
        """The gain of an observation along h, its variance, and whether the diffuse part took it up."""
        seen = self.diffuse.take(h)
        if seen is None:
            return *self.cov.take(h, noise, None), False
        self.cov.take(h, noise, seen[0])
        return *seen, True

    def copy(self) -> "Belief":
        diffuse = Diffuse.__new__(Diffuse)
        diffuse.a = self.diffuse.a
        return Belief(self.cov.copy(), diffuse)


def decorrelate(h: np.ndarray, noise: np.ndarray, wrong: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U^-1 h and D where noise = U D U', and U^-1."""
    lower, d = factor(noise, wrong)
    inverse = np.eye(len(d))
    for j in range(len(d)):
        inverse[j + 1 :] -= np.outer(lower[j + 1 :, j], inverse[j])
    return inverse @ h, d, inverse


def observe(belief: Belief, mean: np.ndarray, x: np.ndarray, h: np.ndarray, noise: np.ndarray
            ) -> tuple[np.ndarray, float]:  # fmt: skip
    """The mean given those coordinates of x that are there, and the log-probability of x."""
    there = ~np.isnan(x)
    rows, variances, inverse = decorrelate(h[there], noise[np.ix_(there, there)], NO_R)
    log_prob = 0.0
    for value, row, variance in zip(inverse @ x[there], rows, variances, strict=True):
        error = value - row @ mean
        gain, size, diffuse = belief.take(row, variance)
        mean = mean + gain * error
        if diffuse:
            log_prob -= 0.5 * float(np.log(size))
        elif size > 0:
            log_prob -= 0.5 * float(LOG_2PI + np.log(size) + error**2 / size)
        elif abs(error) > IMPOSSIBLE * (abs(value) + np.abs(row) @ np.abs(mean)):
            log_prob = -np.inf
    belief.cov.check()
    return mean, log_prob


class Step(NamedTuple):
    """What is known after an input, and of the state that follows."""

    mean: np.ndarray
    belief: Belief
    log_prob: float
    next_mean: np.ndarray
    next_belief: Belief


class Smooth(NamedTuple):
    """What is known of a state from the whole row."""

    mean: np.ndarray
    cov: np.ndarray
    lag: np.ndarray  # Cov(s[t+1], s[t])


def run(row: Problem, square_root: bool) -> Iterator[Step]:
    """The steps of a row, filtered."""
    mean, belief = row.mean, Belief((Root if square_root else Plain)(row.cov), Diffuse(row.diffuse))
    for t, x in enumerate(row.x):
        f, h, q, r = row.at(t)
        belief = belief.copy()
        filtered, log_prob = observe(belief, mean, x - row.output_offset[t], h, r)
        after = belief.copy()
        after.diffuse.predict(f)
        after.cov.predict(f, q)
        mean = f @ filtered + row.state_offset[t]
        if not (np.isfinite(mean).all() and np.isfinite(after.cov.matrix).all()):
            raise BrokenError(OVERFLOW)
        yield Step(filtered, belief, log_prob, mean, after)
        belief = after


def filter_row(row: Problem, square_root: bool) -> list[Step]:
    """The steps of a row, as covariances or as square roots of them.

    Raises:
        LostError: it needs square roots.
        BrokenError: a covariance is not one, or numbers overflow.
    """
    steps: list[Step] = []
    try:
        for step in run(row, square_root):
            steps.append(step)
    except BrokenError as error:
        raise BrokenError(error.what, len(steps)) from None
    return steps


def smooth_row(row: Problem, square_root: bool) -> tuple[list[Smooth], float]:
    """Each state of a row given all of its inputs, and the log-probability of those.

    Raises:
        LostError, BrokenError: as filter_row; or a state is not determined by the inputs.
    """
    steps = filter_row(row, square_root)
    states = list(backward(steps, row)) if steps else []
    return states[::-1], float(sum(step.log_prob for step in steps))


def backward(steps: list[Step], row: Problem) -> Iterator[Smooth]:
    """Each state given all inputs, from the last to the first."""
    belief, mean = steps[-1].belief, steps[-1].mean
    determined(belief, len(steps) - 1)
    cov = belief.cov.matrix
    yield Smooth(mean, cov, np.zeros_like(cov))
    for t in range(len(steps) - 2, -1, -1):
        f, _, q, _ = row.at(t)
        belief, gains = steps[t].belief.copy(), np.zeros_like(q)
        rows, variances, inverse = decorrelate(f, q, NO_Q)
        for h, variance, whole in zip(rows, variances, inverse, strict=True):
            gain, _, _ = belief.take(h, variance)
            gains = gains + np.outer(gain, whole - h @ gains)
        determined(belief, t)
        belief.cov.check()
        mean = steps[t].mean + gains @ (mean - steps[t].next_mean)
        lag = cov @ gains.T
        cov = gains @ lag + belief.cov.matrix
        cov = (cov + cov.T) / 2
        yield Smooth(mean, cov, lag)


def determined(belief: Belief, step: int) -> None:
    if belief.diffuse.a.any():
        raise BrokenError(UNDETERMINED, step)
