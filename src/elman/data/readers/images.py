"""Reader of pictures in any format of Pillow."""

from io import BytesIO
from pathlib import Path

import numpy as np

from elman.data.raw_files import reading
from elman.optional_packages import needed_by

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


def read_image(file: Path, size: tuple[int, int] | None, color: bool) -> np.ndarray:
    """Read a picture, turned upright by its EXIF orientation: uint8 [H, W], or [H, W, 3] in colour.

    Where it is transparent, it is shown on white.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a picture, or it is damaged.
        ModuleNotFoundError: Pillow is not installed.
    """
    with reading(file):
        content = file.read_bytes()
    try:
        return decode_image(content, size, color)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def decode_image(content: bytes, size: tuple[int, int] | None, color: bool) -> np.ndarray:
    """Decode a picture from the content of a file, as `read_image` does. Errors do not name the file."""
    with needed_by("a picture"):
        from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(Image.open(BytesIO(content)))
    except Exception as error:  # Pillow's decoders raise many kinds: OSError, SyntaxError, struct.error, ...
        reason = "Pillow does not support its format" if type(error).__name__ == "UnidentifiedImageError" else error
        raise ValueError(f"expected a picture, but it cannot be read: {reason}.") from error
    if image.mode.startswith("I;16"):  # `convert` would clip 16-bit grey values to 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("expected a picture with 8 or 16 bits a channel, got 32; convert it.")
    if image.has_transparency_data:  # transparent pixels may have any colour, often black: show them on white
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB" if color else "L")
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(image)
