"""Images read pixel by pixel, row after row (Le, Jaitly and Hinton 2015, arXiv:1504.00941)."""

from typing import Any, ClassVar

import numpy as np

from elman.arrays import as_array
from elman.inputs.series import Series


class Pixels(Series):
    """Rows that are images [H, W] or [H, W, C]: sequences of H W steps of C features."""

    name: ClassVar[str] = "pixels"

    def row(self, row: Any) -> np.ndarray:
        image = as_array(row)
        if image.dtype.kind not in "fiub" or image.ndim not in (2, 3):
            raise ValueError(f"expected an image of shape [H, W] or [H, W, C], got {image.dtype} {list(image.shape)}.")
        channels = image.shape[2] if image.ndim == 3 else 1
        return super().row(image.reshape(image.shape[0] * image.shape[1], channels))
