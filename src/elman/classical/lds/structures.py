"""Common systems to add with `+` and to fit (Harvey 1989; Durbin and Koopman 2012, chapter 3)."""

import numpy as np

from elman.classical.lds.model import LDS
from elman.classical.lds.variances import Variance


def local_level(level: float | None = None, noise: float | None = None, name: str = "") -> LDS:
    """Return a random walk observed with noise: x[t] = l[t] + noise, l[t+1] = l[t] + noise of variance `level`.

    Args:
        level, noise: variances; `fit` finds those that are None. Zero is legal.
        name: prefix of the variances' names, `name.level`, to distinguish them in a sum or stack.
    Example:
        >>> local_level().variances_
        {'level': None, 'noise': None}
    """
    one = np.ones((1, 1))
    return LDS(one, one, variances=[_named(name, "level", "Q", one, level), _named(name, "noise", "R", one, noise)])


def local_trend(level: float | None = None, slope: float | None = None, noise: float | None = None, name: str = ""
                ) -> LDS:  # fmt: skip
    """Return a level with a slope, observed with noise: l[t+1] = l[t] + v[t] + noise, v[t+1] = v[t] + noise.

    States: level, slope. `level=0.0` makes the trend smooth; `slope=0.0` too makes it a line.

    Args:
        level, slope, noise: variances; `fit` finds those that are None. Zero is legal.
        name: prefix of the variances' names, to distinguish them in a sum or stack.
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
    """Return a seasonal pattern to add to another system: the effects of one period sum to zero, up to noise.

    States: the effect of this step and of the period - 2 steps before it. The variance is named after the period,
    such as `seasonal_12`. It has no observation noise, which the other system provides.

    Args:
        period: number of steps in a season, at least 2.
        variance: variance of the state noise; `fit` finds it if it is None; zero for a pattern that never changes.
        name: prefix of the variance's name, to distinguish it in a sum or stack.
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
    """Return a point with nearly constant velocity: its position is observed with noise every `dt`.

    States: `dims` positions, then `dims` velocities per unit of time.

    Args:
        dims: number of coordinates of the position, at least 1.
        dt: time between two steps, above 0.
        acceleration: growth of the variance of a velocity per unit of time; `fit` finds it if it is None.
        noise: variance of an observed coordinate; `fit` finds it if it is None.
        name: prefix of the variances' names, to distinguish them in a sum or stack.
    Raises:
        ValueError: dims is below 1, or dt is not above 0.
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


def stack(*models: LDS) -> LDS:
    """Return the model of several independent outputs: x is [m1 + m2 + ...].

    Example:
        >>> stack(local_level(name="north"), local_level(name="south")).H
        array([[1., 0.],
               [0., 1.]])
    """
    if not models:
        raise ValueError("LDS.stack: expected at least one model, got none.")
    whole = models[0]
    for model in models[1:]:
        whole = whole.joined("LDS.stack", model, stacked=True)
    return whole


def _named(prefix: str, name: str, of: str, pattern: np.ndarray, value: float | None) -> Variance:
    return Variance(f"{prefix}.{name}" if prefix else name, of, pattern, value)
