"""What every classical model shares: a fitted model is its settings and its arrays, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

import elman
from elman.cell import Cell
from elman.files import SCHEMA, read_tensors, write_tensors


class ClassicalModel(Cell):
    """A cell in NumPy and float64, fitted in closed form or by EM, and saved without PyTorch."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given, as JSON can hold it."""
        raise NotImplementedError(f"{type(self).__name__} has no settings")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What was fitted, to be kept beside `settings`."""
        raise NotImplementedError(f"{type(self).__name__} has no to_arrays")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """The fitted model whose `to_arrays` and `settings` these are."""
        raise NotImplementedError(f"{cls.__name__} has no from_arrays")

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; it replaces what is at `path` whole or not at all."""
        metadata = {"schema": SCHEMA, "version": elman.__version__, "model": type(self).__name__}
        write_tensors(Path(path), self.to_arrays(), metadata | {"settings": self.settings})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or holds another kind of model.
        """
        arrays, metadata = read_tensors(Path(path))
        kind = metadata.get("model", metadata.get("task", "something else"))
        if kind != cls.__name__:
            raise ValueError(f"{path}: expected a {cls.__name__}, got a model of the kind {kind}; load it as such.")
        return cls.from_arrays(arrays, **metadata["settings"])
