"""Where a decoder looked on a picture while it wrote each word (Xu et al. 2015, arXiv:1502.03044)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, short_name

SIDE = 1.8  # inches of a copy of the picture
COLUMNS = 5
END = "(end)"


def attention_maps(photo: Any, words: Sequence[str], weights: Any, title: str = "") -> Any:
    """Draw the picture once as it is, and once for each word: the hotter, the more of the attention a place had.

    Each word has shades of its own, up to the most that a place had.

    Args:
        photo: uint8 [H, W, 3] or [H, W].
        words: T words that were written; an empty one is the end.
        weights: [T, h, w] of at least 0, a map of the whole picture for each.
    Returns:
        a matplotlib Figure; `figure.savefig("attention.png")` writes it.
    Raises:
        ValueError: no word, shapes that do not fit, or a weight that is negative or not finite.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = attention_maps(np.zeros((40, 60, 3), np.uint8), ["a", "dog", ""], np.ones((3, 5, 5)) / 25)
        >>> [axis.get_title() for axis in figure.axes[:4]]
        ['', 'a', 'dog', '(end)']
    """
    pixels, maps = np.asarray(photo), np.asarray(weights, float)
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise ValueError(f"pictures.attention_maps: expected a picture [H, W, 3] or [H, W], got {list(pixels.shape)}.")
    if maps.ndim != 3 or len(maps) != len(words) or not maps.size:
        wanted = f"weights of shape [T={len(words)}, h, w] for as many words, one at least"
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
    """A map as colours [h, w, 4], clear where it is coldest."""
    from matplotlib import colormaps

    parts = heat / (heat.max() or 1.0)
    colors = colormaps["inferno"](parts)
    colors[..., 3] = 0.75 * parts
    return colors


def _canvas(count: int, shape: float) -> tuple[list[Any], Any]:
    """As many axes without a frame, of pictures `shape` times as high as wide, and the figure they are in."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, count)
    lines = -(-count // columns)
    height = SIDE * float(np.clip(shape, 0.3, 3)) + 0.35
    figure = Figure(figsize=(SIDE * columns, height * lines + 0.3), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.set_axis_off()
    return axes, figure
