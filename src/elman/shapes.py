"""Axis letters, and the check of shapes.

`B` rows of a batch, `N` steps of all rows together, `T` steps of one row, `S` source steps, `D` input, `H` hidden,
`O` output, `K` states or tags, `V` vocabulary, `L` layers; `F H Q R` in Kalman equations.
"""

from elman.arrays import Array


def check(where: str, name: str, array: Array, spec: str) -> None:
    """Raise unless `array` has the shape that `spec` gives.

    Args:
        where: the call that the error names, for instance `LSTM.scan`.
        name: the name of the array in that call.
        spec: axes separated by blanks: `N` any size, `D=16` that size, `...` any number of further axes at the end.
    Raises:
        ValueError: `LSTM.scan: expected values of shape [N, D=16], got [160, 12].`
    Example:
        >>> import numpy as np
        >>> check("LSTM.scan", "values", np.zeros((160, 16)), "N D=16")
        >>> check("LSTM.scan", "values", np.zeros((160, 12)), "N D=16")
        Traceback (most recent call last):
            ...
        ValueError: LSTM.scan: expected values of shape [N, D=16], got [160, 12].
    """
    axes = spec.split()
    open_ended = axes[-1:] == ["..."]
    fixed = axes[:-1] if open_ended else axes
    shape = tuple(array.shape)
    right = len(shape) >= len(fixed) if open_ended else len(shape) == len(fixed)
    for axis, size in zip(fixed, shape, strict=False):
        _, has_size, wanted = axis.partition("=")
        right = right and (not has_size or size == int(wanted))
    if not right:
        raise ValueError(f"{where}: expected {name} of shape [{', '.join(axes)}], got {list(shape)}.")
