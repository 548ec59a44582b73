"""Reader of folders of pictures or videos, with one subfolder per class."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elman.data.raw_files import reading
from elman.data.readers import images, videos
from elman.data.readers.labelled import Row

LONGEST_SIDE = 16384  # pixels; a larger size is a mistake, and its pictures would not fit in memory
SUFFIXES = (*images.SUFFIXES, *videos.SUFFIXES)
IGNORED = ("thumbs.db", "desktop.ini")  # files that Windows puts into folders; hidden files are ignored as well


class Pixels:
    """Reader of pictures and videos of one size.

    Args:
        size: height and width to resize them to; None if they all have the same size.
        color: True reads red, green and blue, as a last axis of 3; False reads grey values.
    """

    def __init__(self, size: tuple[int, int] | None = None, color: bool = False):
        if size is not None and (len(size) != 2 or not all(map(_is_side, size))):
            raise ValueError(f"size: expected (height, width), each from 1 to {LONGEST_SIDE}, got {size}.")
        self.size = None if size is None else (size[0], size[1])
        self.color = color
        self._first: tuple[Path, np.ndarray] | None = None  # the others must have its size

    def rows(self, path: Path) -> Iterator[Row]:
        """Yield the pictures and videos of a folder, sorted by name, or a single one.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is not a picture or a video, sizes differ, or a folder has no pictures or videos.
            ModuleNotFoundError: Pillow, or PyAV for videos, is not installed.
        """
        if not path.is_dir():
            yield self._row(path, None)
            return
        entries = _entries(path)
        folders = [entry for entry in entries if entry.is_dir()]
        if folders and len(folders) < len(entries):
            other = next(entry for entry in entries if entry not in folders)
            raise ValueError(f"{other}: a file next to folders; expected one folder per class, or only files.")
        for folder in folders:
            for file in _entries(folder):
                if file.is_dir():
                    raise ValueError(f"{file}: a folder in the folder of a class; expected pictures or videos.")
                yield self._row(file, folder.name)
        for file in () if folders else entries:
            yield self._row(file, None)

    def _row(self, file: Path, label: str | None) -> Row:
        suffix = file.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"{file}: expected a picture or a video ({' '.join(SUFFIXES)}); move it elsewhere.")
        read = images.read_image if suffix in images.SUFFIXES else videos.read_video
        pixels = read(file, self.size, self.color)
        if self._first is None:
            self._first = file, pixels
        example, first = self._first
        if pixels.ndim != first.ndim:
            raise ValueError(f"{file}: a picture and a video ({example}) together; read them separately.")
        (height, width), (expected_height, expected_width) = map(self._extent, (pixels, first))
        if (height, width) != (expected_height, expected_width):
            raise ValueError(
                f"{file}: expected {expected_height} x {expected_width} pixels (height x width) as in {example}, "
                f"got {height} x {width}; give size=(height, width) to resize all of them."
            )
        return Row(pixels, label, str(file))

    def _extent(self, pixels: np.ndarray) -> tuple[int, ...]:
        return pixels.shape[-3:-1] if self.color else pixels.shape[-2:]


def _is_side(value: object) -> bool:
    return isinstance(value, int | np.integer) and bool(1 <= value <= LONGEST_SIDE)


def _entries(folder: Path) -> list[Path]:
    with reading(folder):
        entries = sorted(folder.iterdir())
    entries = [entry for entry in entries if entry.name[0] != "." and entry.name.lower() not in IGNORED]
    if not entries:
        raise ValueError(f"{folder}: expected pictures or videos, found none.")
    return entries
