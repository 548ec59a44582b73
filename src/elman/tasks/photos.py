"""Pictures as a network reads them: pixels of one size, or cached features of a network with fixed weights."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elman import cache
from elman.data.readers.captions import PictureFile
from elman.data.readers.images import decode_image
from elman.errors import about_row
from elman.layers.efficientnet_lite import EfficientNetLite0
from elman.network.efficientnet_lite import FEATURES
from elman.optional_packages import needed_by


class Photos:
    """Preprocessor of pictures: files (`Path`, name, `PictureFile`) or uint8 arrays [H, W] and [H, W, 3].

    Args:
        size: height and width that every picture is resized to.
        features: compute features of EfficientNet-lite0 instead of pixels.
    """

    def __init__(self, size: int, features: bool):
        self.size, self.features = size, features

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an encoded picture: [h w, C] for features, [3, size, size] for pixels."""
        return ((-(-self.size // 32)) ** 2, FEATURES) if self.features else (3, self.size, self.size)

    def encode(
        self, pictures: Sequence[Any], mirrored: bool = False, report: Callable[[float], object] = lambda part: None
    ) -> np.ndarray:
        """Return pictures as float16 features or uint8 pixels, [B, *shape].

        Args:
            mirrored: flip the pictures horizontally.
            report: called with the finished share, 0 to 1.
        Raises:
            RowError: a row is not a picture.
            OSError: a file cannot be read.
            ModuleNotFoundError: Pillow or the package with the weights is not installed.
        """
        found = np.empty((len(pictures), *self.shape), np.float16 if self.features else np.uint8)
        for number, picture in enumerate(pictures):
            with about_row(number):
                found[number] = self._features(picture, mirrored) if self.features else self._pixels(picture, mirrored)
            report((number + 1) / len(pictures))
        return found

    def _pixels(self, picture: Any, mirrored: bool = False) -> np.ndarray:
        """Return a picture as uint8 [3, size, size]."""
        pixels = read(picture, (self.size, self.size)).transpose(2, 0, 1)
        return pixels[:, :, ::-1] if mirrored else pixels

    def _features(self, picture: Any, mirrored: bool) -> np.ndarray:
        """Return the features of a picture, float16 [h w, C], from the cache if they are there."""
        name = f"efficientnet-lite0-{self.size}/{_digest(picture)}{'-mirrored' * mirrored}.safetensors"
        return cache.load_or_compute(name, lambda: {"features": self._computed(picture, mirrored)})["features"]

    def _computed(self, picture: Any, mirrored: bool) -> np.ndarray:
        pixels = torch.from_numpy(self._pixels(picture, mirrored).copy())
        with torch.no_grad():
            return _efficientnet()(pixels[None])[0].flatten(1).T.half().numpy()


def read(picture: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return a picture as uint8 [H, W, 3].

    Args:
        size: height and width to resize to; None keeps the size.
    Raises:
        OSError, TypeError, ValueError: it cannot be read.
    """
    if isinstance(picture, str | os.PathLike | PictureFile):
        file = picture if isinstance(picture, PictureFile) else PictureFile(Path(picture))
        content = file.read()
        try:
            return decode_image(content, size, color=True)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    with needed_by("a picture"):
        from PIL import Image

    image = Image.fromarray(_array(picture)).convert("RGB")
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(image)


def _array(picture: Any) -> np.ndarray:
    if np.ma.is_masked(picture):
        raise TypeError("expected pixels, got masked ones; fill the masked values.")
    pixels = np.asarray(picture)
    grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or not (grey or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not pixels.size:
        raise TypeError("expected the name of a picture file, or pixels, uint8 [H, W] or [H, W, 3], got "
                        f"{pixels.dtype} {list(pixels.shape)}.")  # fmt: skip
    return pixels


def _digest(picture: Any) -> str:
    """Return a digest of the content of a file, or of pixels."""
    if isinstance(picture, str | os.PathLike):
        picture = PictureFile(Path(picture))
    if isinstance(picture, PictureFile):
        return hashlib.sha256(picture.read()).hexdigest()
    pixels = _array(picture)
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()


@lru_cache(maxsize=1)
def _efficientnet() -> EfficientNetLite0:
    return EfficientNetLite0.pretrained()
