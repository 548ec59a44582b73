"""What every unit does at each step, as shades: a picture of a pixel a unit and step."""

from io import BytesIO
from typing import Any

import numpy as np


def shades(parts: Any, colors: str = "magma") -> bytes:
    """A PNG with a row for each unit and a column for each step.

    Args:
        parts: [H, T] from 0, dark, to 1, light.
        colors: a map of matplotlib.
    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib import colormaps
    from PIL import Image

    levels = np.round(255 * np.clip(np.asarray(parts, np.float64), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette((255 * colormaps[colors](np.arange(256))[:, :3]).round().astype(np.uint8).tobytes())
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
