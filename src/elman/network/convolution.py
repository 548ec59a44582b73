"""Convolutions and pooling in NumPy, with the channels last: maps are [B, H, W, C].

A convolution is one matrix product of all windows with the weights. Products run in the native kernel where it is
installed.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np

from elman.network.functions import AffineMap

PIXELS = 1 << 16  # of the pictures that go through a network together: their maps stay in the processor's cache
Sides = tuple[int, int]


def convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, stride: int = 1) -> np.ndarray:
    """Convolve maps with kernels, without padding.

    Args:
        x: [B, H, W, C].
        weight: [O, k, l, C], see `channels_last`.
        bias: [O], or None.
        stride: step of the windows in both directions.
    Returns:
        [B, h, w, O].
    """
    seen = windows(x, weight.shape[1:3], stride)
    flat = weight.reshape(len(weight), -1)
    y = AffineMap(flat)(seen.reshape(-1, flat.shape[1]))
    if bias is not None:
        y += bias  # last: a sum that begins with a large bias rounds every term to its precision
    return y.reshape(*seen.shape[:3], len(weight))


def depthwise(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1) -> np.ndarray:
    """Convolve each channel with a kernel of its own, without padding.

    Args:
        x: [B, H, W, C].
        weight: [k, l, C].
        bias: [C].
        stride: step of the windows in both directions.
    Returns:
        [B, h, w, C].
    """
    y = np.einsum("bhwijc,ijc->bhwc", windows(x, weight.shape[:2], stride), weight)
    y += bias
    return y


def windows(x: np.ndarray, sides: tuple[int, ...], stride: int) -> np.ndarray:
    """Return all windows of maps [B, H, W, C] as a view [B, h, w, k, l, C]."""
    found = np.lib.stride_tricks.sliding_window_view(x, sides, (1, 2))
    view: np.ndarray = found[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return view


def channels_last(weight: np.ndarray) -> np.ndarray:
    """Return the weight of a convolution of PyTorch, [O, C, k, l], as `convolution` reads it, [O, k, l, C]."""
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))


def padded(x: np.ndarray, rows: Sides, columns: Sides) -> np.ndarray:
    """Return maps with zeros around them.

    Args:
        x: [B, H, W, C].
        rows: rows of zeros above and below.
        columns: columns of zeros on the left and on the right.
    """
    if not any((*rows, *columns)):
        return x
    count, height, width, channels = x.shape
    y = np.zeros((count, sum(rows) + height, sum(columns) + width, channels), np.float32)
    y[:, rows[0] : rows[0] + height, columns[0] : columns[0] + width] = x
    return y


def max_pool(x: np.ndarray, sides: Sides) -> np.ndarray:
    """Return the largest value of each channel in windows that do not overlap; an incomplete window is left out."""
    down, across = sides
    height, width = x.shape[1] // down * down, x.shape[2] // across * across
    return reduce(np.maximum, (x[:, row:height:down, column:width:across]
                               for row in range(down) for column in range(across)))  # fmt: skip


def group_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, groups: int, epsilon: float) -> np.ndarray:
    """Normalise groups of channels of each map in place: mean 0, variance 1 (Wu and He 2018, arXiv:1803.08494).

    Args:
        x: [B, H, W, C], which is overwritten.
        weight, bias: scale and shift of each channel, [C].
        groups: number of groups; C is a multiple of it.
        epsilon: added to the variances.
    """
    count, height, width, channels = x.shape
    places = x.reshape(count, height * width, channels)

    def by_group(of_channels: np.ndarray) -> np.ndarray:
        """Replace each [B, C] by the mean over its group, [B, 1, C]."""
        means = of_channels.reshape(count, groups, channels // groups).mean(2)
        return np.repeat(means, channels // groups, 1)[:, None]

    places -= by_group(places.mean(1))
    variance = by_group(np.einsum("bpc,bpc->bc", places, places) / np.float32(places.shape[1]))
    places *= weight / np.sqrt(variance + np.float32(epsilon))
    places += bias
    return x


def in_parts(network: Callable[[np.ndarray], np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """Return the output of a network for pictures [B, C, H, W], computed for a few of them at a time."""
    count = max(1, PIXELS // (pictures.shape[2] * pictures.shape[3]))
    parts = [network(pictures[start : start + count]) for start in range(0, max(1, len(pictures)), count)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
