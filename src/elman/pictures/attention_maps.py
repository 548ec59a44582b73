"""Attention of a decoder over an image, for each word (Xu et al. 2015, arXiv:1502.03044)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, short_name

SIDE = 1.8  # inches of a copy of the image
COLUMNS = 5
END = "(end)"


def attention_maps(image: Any, words: Sequence[str], weights: Any, title: str = "") -> Any:
    """Draw the image, and a copy of it for each word with the attention weights as an overlay.

    The colours of each word are scaled to its largest weight.

    Args:
        image: the image, uint8 [H, W, 3] or [H, W].
        words: T words of the caption; an empty word marks the end.
        weights: [T, h, w] attention weights, at least 0; each map covers the whole image.
    Returns:
        a matplotlib Figure; `figure.savefig("attention.png")` writes it.
    Raises:
        ValueError: there is no word, the shapes do not fit, or a weight is negative or not finite.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = attention_maps(np.zeros((40, 60, 3), np.uint8), ["a", "dog", ""], np.ones((3, 5, 5)) / 25)
        >>> [axis.get_title() for axis in figure.axes[:4]]
        ['', 'a', 'dog', '(end)']
    """
    pixels, maps = np.asarray(image), np.asarray(weights, float)
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise ValueError(f"pictures.attention_maps: expected an image [H, W, 3] or [H, W], got {list(pixels.shape)}.")
    if maps.ndim != 3 or len(maps) != len(words) or not maps.size:
        wanted = f"weights of shape [T={len(words)}, h, w] for at least one word"
        raise ValueError(f"pictures.attention_maps: expected {wanted}, got {list(maps.shape)}.")
    if not (np.isfinite(maps).all() and maps.min() >= 0):
        raise ValueError(
            f"pictures.attention_maps: expected weights of at least 0, got {maps.min():.4g} to {maps.max():.4g}."
        )
    axes, figure = _canvas(len(words) + 1, pixels.shape[0] / pixels.shape[1])
    figure.suptitle(title, parse_math=False)
    height, width = pixels.shape[:2]
    for axis, word, heat in zip(axes, [None, *words], [None, *maps], strict=False):
        axis.imshow(pixels, cmap="gray")
        if heat is not None:
            axis.imshow(_opaque(heat), extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="bicubic")
            axis.set_title(short_name(word) if word else END, fontsize=LETTER, parse_math=False)
    return figure


def _opaque(heat: np.ndarray) -> np.ndarray:
    """Return a map as colours [h, w, 4], transparent where the weight is zero."""
    from matplotlib import colormaps

    parts = heat / (heat.max() or 1.0)
    colors = colormaps["inferno"](parts)
    colors[..., 3] = 0.75 * parts
    return colors


def _canvas(count: int, shape: float) -> tuple[list[Any], Any]:
    """Return `count` axes without frames, for images `shape` times as high as wide, and their figure."""
    from elman.pictures.figure import Figure

    columns = min(COLUMNS, count)
    lines = -(-count // columns)
    height = SIDE * float(np.clip(shape, 0.3, 3)) + 0.35
    figure = Figure(figsize=(SIDE * columns, height * lines + 0.3), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.set_axis_off()
    return axes, figure
