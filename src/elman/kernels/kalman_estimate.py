"""State estimates for `kalman`: a covariance, stored directly or as a square root, with a diffuse part.

An observation is a row h of weights and the variance of its noise, which may be zero; no matrix is inverted. A diffuse
part A A' has an infinite variance (Koopman 1997): each observation that depends on it removes one column of A.
"""

import numpy as np

DIFFUSE = 1e-8  # below this fraction of |h| |A|, an observation h does not depend on the diffuse part
RANK = 1e-13  # a variance below this fraction of its former value is zero
CERTAIN = 1e-14  # the same for an observation without noise
LOST = 1e-11  # digits are lost if a variance above zero is below this fraction of the terms it sums
FALL = 1e-5  # the same if an observation leaves less than this fraction of a variance, but not zero
INDEFINITE = 1e-12  # a covariance counts as semidefinite up to this fraction of its diagonal
NEGATIVE = 1e-7  # a matrix is not semidefinite if its factorisation leaves more than this fraction
NOISY = 1e-3  # the short form of the update is accurate if noise is at least this fraction of the variance
NO_R = "R is not positive semidefinite"
NO_Q = "Q is not positive semidefinite"
NO_START = "the covariance of the start is not positive semidefinite"
NO_DIFFUSE = "the diffuse part of the start is not positive semidefinite"
OVERFLOW = "numbers overflow"
UNDETERMINED = "the inputs are too few for the diffuse start"


class PrecisionError(Exception):
    """Error: the covariance lost its definiteness or all its digits; the row must be repeated with square roots."""


class FilterError(Exception):
    """Error that square roots do not avoid: `reason`, at a step of the row."""

    def __init__(self, reason: str, step: int = 0):
        super().__init__(reason)
        self.reason, self.step = reason, step


def factor(matrix: np.ndarray, error: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U and d >= 0 with matrix = U diag(d) U', and the row order that makes U unit lower triangular.

    The matrix may be singular: the pivot is the variance with the largest remaining share, and rounding counts as zero.
    """
    left, scale = matrix.copy(), np.diag(matrix).copy()
    order: list[int] = []
    u, d = np.zeros_like(matrix), np.zeros_like(scale)
    if not (scale >= 0).all():
        raise FilterError(error)
    for k in range(len(matrix)):
        share = np.divide(np.diag(left), scale, out=np.zeros_like(scale), where=scale > 0)
        share[order] = -np.inf
        best = int(share.argmax())
        if not share[best] > RANK:
            break
        d[k] = left[best, best]
        u[:, k] = left[:, best] / d[k]
        u[order, k], u[best, k] = 0.0, 1.0
        left = left - d[k] * np.outer(u[:, k], u[:, k])
        order.append(best)
    rest = [i for i in range(len(matrix)) if i not in order]
    if (np.abs(left) > NEGATIVE * np.sqrt(np.outer(scale, scale)))[np.ix_(rest, rest)].any():
        raise FilterError(error)
    u[rest, range(len(order), len(matrix))] = 1.0
    return u, d, np.array([*order, *rest], np.int64)


def triangular(wide: np.ndarray) -> np.ndarray:
    """Return a square root of wide wide', square."""
    upper: np.ndarray = np.asarray(np.linalg.qr(wide.T, mode="r"))
    return upper.T


class Diffuse:
    """Diffuse part A A' of the covariance, whose variance is infinite."""

    def __init__(self, matrix: np.ndarray):
        u, d, _ = factor(matrix, NO_DIFFUSE)
        self.a = (u * np.sqrt(d))[:, d > 0]

    def update(self, h: np.ndarray) -> tuple[np.ndarray, float] | None:
        """Update with an observation h that depends on A, which loses a column; return gain and variance, or None."""
        if not self.a.any():
            return None
        seen, norms = self.a.T @ h, np.linalg.norm(self.a, axis=1)
        size = np.linalg.norm(seen)
        if size <= DIFFUSE * (np.abs(h) @ norms):
            return None
        gain = self.a @ seen / size**2
        mirror = seen.copy()  # Householder: the observed direction becomes the first column
        mirror[0] += np.copysign(size, seen[0])
        left = (self.a - np.outer(self.a @ mirror, mirror) * (2 / (mirror @ mirror)))[:, 1:]
        self.keep(left, norms)
        return gain, float(size**2)

    def predict(self, f: np.ndarray) -> None:
        """Apply the transition f."""
        if self.a.size:
            self.keep(f @ self.a, np.abs(f) @ np.linalg.norm(self.a, axis=1))

    def keep(self, a: np.ndarray, scale: np.ndarray) -> None:
        """Set A; rows below the rounding of `scale` are zero."""
        a[np.linalg.norm(a, axis=1) <= RANK * scale] = 0.0  # only rounding
        self.a = a if a.any() else a[:, :0]

    @property
    def matrix(self) -> np.ndarray:
        return self.a @ self.a.T


class Plain:
    """Covariance stored directly."""

    def __init__(self, cov: np.ndarray):
        self.matrix = cov.copy()

    def update(self, h: np.ndarray, noise: float, gain: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Update with an observation along h, by its own gain or a given one; return gain and variance."""
        cov = self.matrix
        m = cov @ h
        variance, diagonal = float(h @ m + noise), np.diag(cov).copy()
        if gain is None:
            most = float(h**2 @ diagonal)
            if noise == 0 and abs(variance) <= CERTAIN * most:
                return np.zeros_like(h), 0.0
            if not variance > LOST * most:
                raise PrecisionError
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
                raise PrecisionError
        self.matrix = (x + x.T) / 2
        return gain, variance

    def check(self) -> None:
        """Raise PrecisionError unless the covariance is semidefinite."""
        matrix = self.matrix
        d, lower = np.zeros(len(matrix)), np.eye(len(matrix))
        for j in range(len(matrix)):
            d[j] = matrix[j, j] * (1 + INDEFINITE) - lower[j, :j] ** 2 @ d[:j]
            if not d[j] >= 0:
                raise PrecisionError
            if d[j] > 0:
                lower[j + 1 :, j] = (matrix[j + 1 :, j] - (lower[j + 1 :, :j] * d[:j]) @ lower[j, :j]) / d[j]

    def predict(self, f: np.ndarray, q: np.ndarray) -> None:
        cov = f @ self.matrix @ f.T + q
        self.matrix = (cov + cov.T) / 2

    def copy(self) -> "Plain":
        return Plain(self.matrix)


class Root:
    """Covariance S S' stored as a square root S (Potter 1963; the array form of Kaminski, Bryson and Schmidt 1971)."""

    def __init__(self, cov: np.ndarray, root: np.ndarray | None = None):
        u, d, _ = factor(cov, NO_START) if root is None else (root, np.ones(len(cov)), None)
        self.root = u * np.sqrt(d)

    def update(self, h: np.ndarray, noise: float, gain: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Update like `Plain.update`."""
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
        u, d, _ = factor(q, NO_Q)
        self.root = triangular(np.column_stack([f @ self.root, u * np.sqrt(d)]))

    def check(self) -> None:
        """Do nothing: S S' is always semidefinite."""

    @property
    def matrix(self) -> np.ndarray:
        return self.root @ self.root.T

    def copy(self) -> "Root":
        return Root(self.root, self.root)


class Estimate:
    """Uncertainty of a state estimate: a covariance and a diffuse part; the mean is kept by the caller."""

    def __init__(self, cov: Plain | Root, diffuse: Diffuse):
        self.cov, self.diffuse = cov, diffuse

    def update(self, h: np.ndarray, noise: float) -> tuple[np.ndarray, float, bool]:
        """Update with an observation along h; return gain, variance, and whether the diffuse part absorbed it."""
        seen = self.diffuse.update(h)
        if seen is None:
            return *self.cov.update(h, noise, None), False
        self.cov.update(h, noise, seen[0])
        return *seen, True

    def copy(self) -> "Estimate":
        diffuse = Diffuse.__new__(Diffuse)
        diffuse.a = self.diffuse.a
        return Estimate(self.cov.copy(), diffuse)
