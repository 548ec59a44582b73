"""Ready-made systems (Harvey 1989; Durbin and Koopman 2012, chapter 3): add them with `+`, fit their variances."""

import numpy as np

from elman.classical.lds.model import LDS
from elman.classical.lds.variances import Variance


def local_level(level: float | None = None, noise: float | None = None, name: str = "") -> LDS:
    """A random walk seen through noise: x[t] = l[t] + noise, l[t+1] = l[t] + noise of variance `level`.

    Args:
        level, noise: variances; None for those that `fit` has to find. Zero is legal.
        name: put before the names of the variances, `name.level`, in a sum or stack where others are called so.
    Example:
        >>> local_level().variances_
        {'level': None, 'noise': None}
    """
    one = np.ones((1, 1))
    return LDS(one, one, variances=[_named(name, "level", "Q", one, level), _named(name, "noise", "R", one, noise)])


def local_trend(level: float | None = None, slope: float | None = None, noise: float | None = None, name: str = ""
                ) -> LDS:  # fmt: skip
    """A level with a slope, both random walks: l[t+1] = l[t] + v[t] + noise, v[t+1] = v[t] + noise; seen through noise.

    States: level, slope. `level=0.0` makes the trend smooth; `slope=0.0` too makes it a line.

    Args:
        level, slope, noise: variances; None for those that `fit` has to find. Zero is legal.
        name: put before the names of the variances, in a sum or stack where others are called so.
    Example:
        >>> local_trend(level=0.0).F
        array([[1., 1.],
               [0., 1.]])
    """
    variances = [_named(name, "level", "Q", np.diag([1.0, 0.0]), level),
                 _named(name, "slope", "Q", np.diag([0.0, 1.0]), slope),
                 _named(name, "noise", "R", np.ones((1, 1)), noise)]  # fmt: skip
    return LDS(np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]]), variances=variances)


def seasonal(period: int, variance: float | None = None, name: str = "") -> LDS:
    """A pattern that repeats: the effects of `period` steps in a row add up to zero, but for noise. To be added.

    States: the effect of this step and of the period - 2 steps before it. The variance is called `seasonal_12` where
    the period is 12. It has no noise of observation: that is the part of what it is added to.

    Args:
        period: steps after which it repeats, at least 2.
        variance: of the noise; None if `fit` has to find it, zero for a pattern that never changes.
        name: put before the name of the variance, in a sum or stack where another is called so.
    Raises:
        ValueError: the period is below 2.
    Example:
        >>> (local_trend() + seasonal(12)).variances_
        {'level': None, 'slope': None, 'noise': None, 'seasonal_12': None}
    """
    if isinstance(period, bool) or not isinstance(period, int) or period < 2:
        raise ValueError(f"seasonal: expected a period of at least 2 steps, got {period!r}.")
    n = period - 1
    F, H, pattern = np.eye(n, k=-1), np.zeros((1, n)), np.zeros((n, n))
    F[0], H[0, 0], pattern[0, 0] = -1.0, 1.0, 1.0
    return LDS(F, H, variances=[_named(name, f"seasonal_{period}", "Q", pattern, variance)])


def constant_velocity(dims: int, dt: float = 1.0, acceleration: float | None = None, noise: float | None = None,
                      name: str = "") -> LDS:  # fmt: skip
    """A point that moves on, pushed by white noise: its position is seen through noise, `dt` after the last time.

    States: `dims` positions, then `dims` velocities per unit of time.

    Args:
        dims: coordinates of the position, at least 1.
        dt: time between two steps, above 0.
        acceleration: by how much the variance of a velocity grows in a unit of time; None if `fit` has to find it.
        noise: variance of an observed coordinate; None if `fit` has to find it.
        name: put before the names of the variances, in a sum or stack where others are called so.
    Raises:
        ValueError: no coordinate, or no time.
    Example:
        >>> boxes = constant_velocity(2, dt=0.5, acceleration=1.0, noise=4.0)
        >>> boxes.H.shape, boxes.F[0].tolist()
        ((2, 4), [1.0, 0.0, 0.5, 0.0])
    """
    if isinstance(dims, bool) or not isinstance(dims, int) or dims < 1:
        raise ValueError(f"constant_velocity: expected dims of at least 1, got {dims!r}.")
    if not 0 < dt < np.inf:
        raise ValueError(f"constant_velocity: expected a dt above 0, got {dt!r}.")
    one = np.eye(dims)
    pattern = np.kron(np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]), one)
    variances = [_named(name, "acceleration", "Q", pattern, acceleration), _named(name, "noise", "R", one, noise)]
    return LDS(np.kron(np.array([[1.0, dt], [0.0, 1.0]]), one), np.kron(np.array([[1.0, 0.0]]), one),
               variances=variances)  # fmt: skip


def _named(prefix: str, name: str, of: str, pattern: np.ndarray, value: float | None) -> Variance:
    return Variance(f"{prefix}.{name}" if prefix else name, of, pattern, value)
