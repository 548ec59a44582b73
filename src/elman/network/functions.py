"""Functions of arrays that several layers share: native kernels where they are available, else NumPy; their memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from elman.cell import unroll
from elman.kernels import native
from elman.rows import Rows
from elman.sequences import Sequences

CHUNK = 1 << 19  # numbers of all windows in memory at once
LARGE = 1 << 16  # numbers of an array from which pooled memory is faster


def new(rows: int, columns: int) -> np.ndarray:
    """Return an uninitialised float32 array [rows, columns]; a large one uses memory that is pooled between calls."""
    if rows * columns < LARGE:
        return np.empty((rows, columns), np.float32)
    pairs = native.module.doubles([(rows * columns + 1) // 2])  # two float32 in the memory of a float64
    found: np.ndarray = pairs.view(np.float32)[: rows * columns].reshape(rows, columns)
    return found


def address(array: np.ndarray | None) -> int:
    """Return the address of the numbers of an array that is contiguous; 0 for None."""
    return 0 if array is None else native.module.address(array)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Compute the logistic function without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


ACTIVATION: dict[str, Any] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "identity": lambda x: x,
}


def softmax(x: np.ndarray) -> np.ndarray:
    """Compute the softmax over the features of x [N, D], in float64."""
    weights = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Compute the logarithm of the softmax over the features of x [N, D], in float64."""
    shifted = x.astype(np.float64) - x.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


class PackedWeights:
    """Weights of a layer in the order in which the native kernels read them, packed once for all calls and threads.

    A copy of a layer, or its pickle, has none and packs them again.
    """

    def __init__(self) -> None:
        self._packed: dict[bool, Any] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return PackedWeights, ()

    def get(self, half: bool, pack: Callable[[], Any]) -> Any:
        """Return the weights in bfloat16 if `half`, else in float32; the first call makes them by `pack()`."""
        if half not in self._packed:
            self._packed.setdefault(half, pack())  # threads that pack at the same time all use the first result
        return self._packed[half]


class AffineMap:
    """Affine map y = x W' + b. The native kernel computes each row bitwise the same in any batch, as in PyTorch.

    The first call packs the weights for the kernel. Later calls, other threads and the native steppers of the layer
    read the same packed copy.

    Args:
        weight: [O, D] float32. It must not change after the first call.
        bias: [O], or None.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None = None):
        self.weight, self.bias = weight, bias
        self._packed = PackedWeights()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Compute y [N, O] from x [N, D] float32."""
        if not native.available():
            y = x @ self.weight.T
            return y if self.bias is None else np.add(y, self.bias, y)
        assert x.shape[1] == self.weight.shape[1]
        y = new(len(x), len(self.weight))
        native.module.packed_linear(self.packed(), np.ascontiguousarray(x), y)
        return y

    def packed(self, half: bool = False) -> Any:
        """Return the weights in the order in which the native kernel reads them, in bfloat16 if `half`."""
        outputs, inputs = self.weight.shape
        arrays = self.weight, self.bias
        return self._packed.get(half, lambda: native.module.pack_linear(inputs, outputs, *map(address, arrays), half))


def normalized(x: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the rows of x [N, D] with mean 0 and variance 1: (x - mean) / sqrt(variance + epsilon)."""
    centred = x - x.mean(1, keepdims=True)
    variance = np.einsum("nd,nd->n", centred, centred)[:, None] / np.float32(x.shape[1])
    return np.divide(centred, np.sqrt(variance + np.float32(epsilon)), centred)


def linear_scan(a: np.ndarray, x: np.ndarray, rows: Rows, h0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute h[t] = a[t] * h[t-1] + x[t] along every row, as `elman.kernels.linear_scan`.

    Args:
        a, x: [N, H] float32, contiguous.
        rows: their layout.
        h0: the state before the first step, [B, H].
    Returns:
        h [N, H], and the last h of each row [B, H].
    """
    if native.available():
        h, last = np.empty_like(x), np.empty_like(h0)
        native.module.linear_scan(a, x, rows.native_offsets, h0, h, last)
        return h, last

    def step(inputs: tuple[np.ndarray, np.ndarray], h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, x = inputs
        h = a * h + x
        return h, h

    y, last = unroll(step, Sequences((a, x), rows), h0)
    return y.values, last


def window_linear(x: np.ndarray, rows: Rows, past: np.ndarray, linear: AffineMap) -> tuple[np.ndarray, np.ndarray]:
    """Compute y[t] = W [x[t-k+1], ..., x[t]] + b along every row; memory grows with N, not with N times k.

    Args:
        x: [N, D] float32.
        rows: its layout.
        past: the k - 1 steps before each row, [B, k - 1, D], latest last.
        linear: W [H, k * D], oldest step first, and b [H].
    Returns:
        y [N, H], and the last k - 1 steps of each row, [B, k - 1, D].
    """
    count, before, size = past.shape
    line = np.empty((count * before + len(x), size), np.float32)  # each row behind its past
    begins = rows.offsets[:-1] + before * np.arange(count)
    starts = rows.times + np.repeat(begins, rows.lengths)  # [N] the first step of each window
    line[begins[:, None] + np.arange(before)] = past
    line[starts + before] = x
    last = line[(begins + rows.lengths)[:, None] + np.arange(before)]
    if not len(x):
        return new(0, len(linear.weight)), last
    width = (before + 1) * size
    overlapping = np.lib.stride_tricks.as_strided(line, (len(line) - before, width), line.strides, writeable=False)
    step = max(1, CHUNK // width)
    parts = [linear(overlapping[starts[at : at + step]]) for at in range(0, len(x), step)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts), last
