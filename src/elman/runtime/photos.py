"""Pictures as a network reads them: pixels of one size, or features of a network with fixed weights."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from elman import cache
from elman.arrays import is_masked_array
from elman.data.readers.captions import PictureFile
from elman.data.readers.images import decode_image
from elman.errors import about_row
from elman.network.efficientnet_lite import EfficientNetLite0
from elman.optional_packages import needed_by


class FixedTrunk:
    """EfficientNet-lite0 with weights that are not trained: a part of the preprocessing of pictures.

    Args:
        tensors: its weights, by name.
    Raises:
        ValueError: a tensor is missing or does not fit.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self.tensors, self.network = dict(tensors), EfficientNetLite0.of(tensors)

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the features of a picture, uint8 [3, H, W], at each place of its map: float32 [h w, C]."""
        (maps,) = self.network.features(pixels[None])
        return maps.reshape(-1, maps.shape[2])

    def shape(self, size: int) -> tuple[int, int]:
        """Return the shape of the features of a picture with this height and width."""
        return (-(-size // 32)) ** 2, self.network.output_size

    @cached_property
    def digest(self) -> str:
        """Digest of the weights."""
        total = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            total.update(name.encode() + tensor.tobytes())
        return total.hexdigest()


class Photos:
    """Preprocessor of pictures: files (`Path`, name, `PictureFile`) or uint8 arrays [H, W] and [H, W, 3].

    Args:
        size: height and width that every picture is resized to.
        trunk: network that computes the features of a picture; None for its pixels.
        cached: keep the features in the user's cache folder, so that they are computed once; as float16, which halves
            the memory of a training.
    """

    def __init__(self, size: int, trunk: FixedTrunk | None = None, cached: bool = False):
        self.size, self.trunk, self.cached = size, trunk, cached

    def encode(
        self, pictures: Sequence[Any], mirrored: bool = False, report: Callable[[float], object] = lambda part: None
    ) -> np.ndarray:
        """Return pictures as uint8 pixels [B, 3, size, size], or as float32 (cached: float16) features [B, h w, C].

        Args:
            mirrored: flip the pictures horizontally.
            report: called with the finished share, 0 to 1.
        Raises:
            RowError: a row is not a picture, or its file cannot be read (also an OSError).
            ModuleNotFoundError: Pillow is not installed.
        """
        if self.trunk is None:
            found = np.empty((len(pictures), 3, self.size, self.size), np.uint8)
        else:
            kind = np.float16 if self.cached else np.float32
            found = np.empty((len(pictures), *self.trunk.shape(self.size)), kind)
        for number, picture in enumerate(pictures):
            with about_row(number):
                found[number] = self._encoded(picture, mirrored)
            report((number + 1) / len(pictures))
        return found

    def _encoded(self, picture: Any, mirrored: bool) -> np.ndarray:
        """Return a picture as pixels or as features, from the cache if they are there."""
        if self.trunk is None or not self.cached:
            return self._computed(picture, mirrored)
        folder = f"efficientnet-lite0-{self.trunk.digest[:16]}-{self.size}"
        name = f"{folder}/{_digest(picture)}{'-mirrored' * mirrored}.safetensors"

        def features() -> dict[str, np.ndarray]:
            return {"features": self._computed(picture, mirrored).astype(np.float16)}

        return cache.load_or_compute(name, features)["features"]

    def _computed(self, picture: Any, mirrored: bool) -> np.ndarray:
        pixels = read(picture, (self.size, self.size)).transpose(2, 0, 1)
        pixels = pixels[:, :, ::-1] if mirrored else pixels
        return pixels if self.trunk is None else self.trunk.features(pixels)


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
    if is_masked_array(picture) and np.ma.is_masked(picture):
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
