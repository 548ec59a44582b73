"""Files of Keras 3: a `.keras` archive of config and weights, and a `.weights.h5` file of weights only.

Reading them needs no Keras and runs no code. HDF5 features that read other files, or expand to sizes far above the size
of the file, raise an error.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from elman.convert.layers import optional_module
from elman.files import replacing

WEIGHTS = "model.weights.h5"  # file name in an archive
HDF5 = b"\x89HDF\r\n\x1a\n"  # first bytes of the format
DATE = (1980, 1, 1, 0, 0, 0)  # modification date of all members, so that equal models give equal archives
LARGEST_EXPANSION = 1000  # bytes in memory per byte in the file


@contextmanager
def open_file(path: Path) -> Iterator[tuple[dict[str, Any] | None, "WeightsFile"]]:
    """Yield the config (None for a file of weights only) and the weights.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file has another format, or is truncated or damaged.
        ModuleNotFoundError: h5py is not installed.
    """
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"from_keras: {path}: no such file; name a .keras or .weights.h5 file.") from None
    config, weights = None, blob
    if blob[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(blob)) as archive:
                config = json.loads(archive.read("config.json"))
                weights = archive.read(WEIGHTS)
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, NotImplementedError) as error:
            raise ValueError(f"from_keras: {path}: not a .keras archive, or truncated: {error}.") from None
        if not isinstance(config, dict):
            raise ValueError(
                f"from_keras: {path}: expected the config of a model in config.json, got a {type(config).__name__}."
            )
    if weights[:8] != HDF5:
        raise ValueError(f"from_keras: {path}: neither a .keras archive nor a .weights.h5 file.")
    h5py = optional_module("h5py", "reading weights of Keras")
    with _undamaged(f"{path}: its weights are"):
        file = h5py.File(io.BytesIO(weights), "r")
    with file:
        with _undamaged(f"{path}: its weights are"):
            second = "model_weights" in file
        if second:
            raise ValueError(f"from_keras: {path}: expected a file of Keras 3, got one of Keras 2; save it as .keras.")
        yield config, WeightsFile(str(path), file)


@contextmanager
def _undamaged(what: str) -> Iterator[None]:
    """Re-raise errors of the HDF5 library, which are of many types."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        own = str(error).startswith("from_keras: ")
        raise error if own else ValueError(f"from_keras: {what} truncated or damaged: {error}.") from None


class WeightsFile:
    """Arrays in an HDF5 file, by the paths of their layers."""

    def __init__(self, path: str, file: Any):
        self._path, self._where, self._file = path, f"from_keras: {path}", file
        self._h5py = optional_module("h5py", "reading weights of Keras")

    def take(self, path: str, count: int) -> list[np.ndarray]:
        """Return the `count` arrays of the layer at a path.

        Raises:
            ValueError: the number of arrays differs, or one is not an array of numbers in this file.
        """
        with _undamaged(f"{self._path}: {path} is"):
            group = self._file
            for name in f"{path}/vars".split("/"):
                group = self._inside(group, name, path)
            if len(group) != count:
                raise ValueError(
                    f"{self._where}: expected {count} weights in {path} according to the config, got {len(group)}."
                )
            arrays = [self._inside(group, str(number), path) for number in range(count)]
            return [self._read(array, path) for array in arrays]

    def _inside(self, group: Any, name: str, path: str) -> Any:
        if not isinstance(group, self._h5py.Group) or name not in group:
            raise ValueError(
                f"{self._where}: expected weights in {path}, got none; the file has the weights of another model."
            )
        if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
            raise ValueError(f"{self._where}: {path} is a link, which is not read; use a file that Keras wrote.")
        return group[name]

    def _read(self, array: Any, path: str) -> np.ndarray:
        plain = isinstance(array, self._h5py.Dataset) and not array.external and not array.is_virtual
        if not plain or array.dtype.kind != "f" or array.nbytes > LARGEST_EXPANSION * (array.id.get_storage_size() + 1):
            raise ValueError(f"{self._where}: expected arrays of numbers in {path}, got something else.")
        return np.asarray(array[()])


def write_archive(path: Path, config: Mapping[str, Any], weights: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write a `.keras` archive atomically.

    Args:
        config: config of the model, as in `model.to_json()`.
        weights: arrays of each layer, by its path.
    Raises:
        OSError: the file cannot be written.
        ModuleNotFoundError: h5py is not installed.
    """
    h5py = optional_module("h5py", "writing weights of Keras")
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, arrays in weights.items():
            for number, array in enumerate(arrays):
                file.create_dataset(f"{name}/vars/{number}", data=array)
    texts = {"metadata.json": {"keras_version": "3.0.0"}, "config.json": config}
    members = {name: json.dumps(text).encode() for name, text in texts.items()} | {WEIGHTS: memory.getvalue()}
    with replacing(path) as target, zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data)
