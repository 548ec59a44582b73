"""Reader of arrays in a `.npz` file of NumPy; pickles are never loaded."""

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from elman.data.raw_files import reading
from elman.data.readers.labelled import Row

ARRAYS = ("values", "lengths", "labels", "label_names")
_MOST_COMPRESSED = 1032  # bytes that one byte of deflate can stand for
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError)


def read_npz(file: Path) -> Iterator[Row]:
    """Yield the rows of `values`, as views.

    Shapes:
        values: [N, ...] numbers with `lengths` [B]: the steps of row 0, then of row 1, ...; or [B, T, ...], rows of the
            same length; or [B, H, W] uint8, images.
        labels: [B], optional; strings, or whole numbers, whose names may be given in `label_names` [C].
    Raises:
        ValueError: it is not an .npz file, there are no `values`, an array holds objects, or shapes do not agree.
    """
    arrays = _arrays(file)
    values = arrays["values"]
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{file}: expected values of numbers, got {values.dtype}.")
    rows = _rows(file, values, arrays.get("lengths"))
    labels = _labels(file, arrays, len(rows))
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        yield Row(row, label, f"{file}:case {number}")


def _arrays(file: Path) -> dict[str, np.ndarray]:
    with reading(file):
        stream = file.open("rb")
    with stream:
        try:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is not a zip archive")
            with zipfile.ZipFile(stream) as archive:
                known = [name.removesuffix(".npy") for name in archive.namelist()]
                arrays = {
                    name: _array(archive, f"{name}.npy") for name in ARRAYS if f"{name}.npy" in archive.namelist()
                }
        except _DAMAGED as error:
            raise ValueError(f"{file}: expected an .npz file of np.savez, without objects: {error}.") from None
    if "values" not in arrays:
        raise ValueError(f"{file}: expected an array 'values', got {', '.join(known) or 'none'}.")
    return arrays


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an array. Memory is allocated only if the file is as long as its header says.

    Raises:
        ValueError: the header is damaged, or there are more or fewer bytes than it describes.
    """
    entry = archive.getinfo(name)
    with archive.open(entry) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            start = stream.tell()
        except zipfile.BadZipFile:
            raise
        except Exception as error:  # NumPy evaluates the header as Python: SyntaxError, TokenError, RecursionError, ...
            raise ValueError(f"{name} has no header of NumPy ({' '.join(str(error).split())})") from None
    expected, got = math.prod(shape) * dtype.itemsize, entry.file_size - start
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if got != expected or entry.file_size > _MOST_COMPRESSED * (entry.compress_size + 1):
        raise ValueError(f"{name} has a header of {dtype} {list(shape)}, which is {expected:,} bytes, got {got:,}, "
                         f"{entry.compress_size:,} compressed")  # fmt: skip
    with archive.open(entry) as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _rows(file: Path, values: np.ndarray, lengths: np.ndarray | None) -> list[np.ndarray]:
    if lengths is None:
        if values.ndim < 3:
            raise ValueError(f"{file}: expected lengths [B] with values {list(values.shape)}, or values [B, T, D].")
        return list(values)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (len(lengths) and lengths.min() < 0):
        raise ValueError(f"{file}: expected lengths [B] of whole numbers, got {lengths.dtype} {list(lengths.shape)}.")
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if values.ndim < 1 or total != len(values):
        raise ValueError(f"{file}: expected values of {total} steps, the sum of lengths, got {list(values.shape)}.")
    return np.split(values, ends[:-1]) if len(ends) else []


def _labels(file: Path, arrays: dict[str, np.ndarray], count: int) -> list[str | None]:
    if "labels" not in arrays:
        return [None] * count
    labels, names = arrays["labels"], arrays.get("label_names")
    if labels.shape != (count,) or labels.dtype.kind not in "iubU":
        raise ValueError(
            f"{file}: expected labels [{count}] of strings or whole numbers, one a row, "
            f"got {labels.dtype} {list(labels.shape)}."
        )
    if names is None:
        return [str(label) for label in labels.tolist()]
    if labels.dtype.kind == "U" or names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(
            f"{file}: expected label_names [C] of strings for labels of whole numbers, "
            f"got {names.dtype} {list(names.shape)} for {labels.dtype}."
        )
    if count and not (labels.min() >= 0 and labels.max() < len(names)):
        raise ValueError(f"{file}: expected labels from 0 to {len(names) - 1}, got {labels.min()} to {labels.max()}.")
    return [str(names[int(label)]) for label in labels]
