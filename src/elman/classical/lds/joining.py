"""Models of models: outputs added, or side by side."""

from collections.abc import Sequence

import numpy as np

from elman.classical.lds.matrices import block_diagonal
from elman.classical.lds.model import LDS
from elman.classical.lds.variances import Variance, padded
from elman.kernels.kalman import Prediction


def stack(*models: LDS) -> LDS:
    """The model of several outputs side by side, independent of each other: x is [m1 + m2 + ...].

    Example:
        >>> from elman.classical.lds import local_level
        >>> stack(local_level(name="north"), local_level(name="south")).H
        array([[1., 0.],
               [0., 1.]])
    """
    if not models:
        raise ValueError("LDS.stack: expected at least one model, got none.")
    whole = models[0]
    for model in models[1:]:
        whole = joined(whole, model, stacked=True)
    return whole


def joined(one: LDS, other: LDS, stacked: bool) -> LDS:
    """Two systems side by side, whose outputs are added, or stacked."""
    where = "LDS.stack" if stacked else "LDS.__add__"
    (m, n), (m2, n2) = one.H.shape, other.H.shape
    if not stacked and m != m2:
        raise ValueError(f"{where}: expected models of as many outputs, got {m} and {m2}; stack puts them side by "
                         "side.")  # fmt: skip
    widths = {model.B.shape[1] for model in (one, other)} - {0}
    if len(widths) > 1:
        raise ValueError(f"{where}: expected models of one driving input, got {' and '.join(map(str, widths))} wide.")
    wide = max(widths, default=0)
    (B, D), (B2, D2) = (
        [leaf if leaf.shape[1] else np.zeros((len(leaf), wide)) for leaf in (model.B, model.D)]
        for model in (one, other)
    )
    variances = [*padded(one.variances, "Q", 0, n2), *padded(other.variances, "Q", n, 0)]
    if stacked:
        variances = [*padded(padded(one.variances, "Q", 0, n2), "R", 0, m2),
                     *padded(padded(other.variances, "Q", n, 0), "R", m, 0)]  # fmt: skip
    start = one.start
    if one.start != other.start if isinstance(one.start, str) and isinstance(other.start, str) else True:
        first, second = one.start_, other.start_
        start = Prediction(np.concatenate([first.mean, second.mean]), block_diagonal(first.cov, second.cov),
                           block_diagonal(first.diffuse, second.diffuse))  # fmt: skip
    return LDS(
        block_diagonal(one.F, other.F),
        block_diagonal(one.H, other.H) if stacked else np.hstack([one.H, other.H]),
        block_diagonal(one.Q, other.Q),
        block_diagonal(one.R, other.R) if stacked else one.R + other.R,
        B=np.vstack([B, B2]),
        D=np.vstack([D, D2]) if stacked else D + D2,
        start=start,
        variances=variances if stacked else one_noise(variances),
        square_root=one.square_root or other.square_root,
    )


def one_noise(variances: Sequence[Variance]) -> list[Variance]:
    """Noises of observation of one pattern are one, by the name of the first: of two that are known, the sum."""
    merged: list[Variance] = []
    for one in variances:
        at = [
            number
            for number, other in enumerate(merged)
            if one.of == other.of == "R" and np.array_equal(one.pattern, other.pattern)
        ]
        if at:
            values = (merged[at[0]].value, one.value)
            known = None if None in values else sum(value for value in values if value is not None)
            merged[at[0]] = merged[at[0]]._replace(value=known)
        else:
            merged.append(one)
    return merged
