"""Base of the classical models: a fitted model consists of settings and arrays, saved in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

import elman
from elman.cell import Cell
from elman.declared_types import Record, check_arguments, field
from elman.files import SCHEMA, about_file, read_tensors, write_tensors
from elman.html_tables import parameter_tables
from elman.network import ModelFile
from elman.representation import call, complete


class ClassicalModel(Cell):
    """Cell in NumPy and float64, fitted in closed form, by EM or by L-BFGS, and saved without PyTorch."""

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        raise NotImplementedError(f"{type(self).__name__} has no settings")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted parameters as arrays; `settings` holds the rest of the model."""
        raise NotImplementedError(f"{type(self).__name__} has no to_arrays")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """Return the model from its `to_arrays` and `settings`.

        Raises:
            TypeError, ValueError: an array or a setting is missing, or is not one of a fitted model.
        """
        raise NotImplementedError(f"{cls.__name__} has no from_arrays")

    def _facts(self) -> list[str]:
        """Return sizes and figures for the representation: `["4 states", "not fitted"]`."""
        raise NotImplementedError(f"{type(self).__name__} has no _facts")

    def _parameters(self) -> dict[str, np.ndarray]:
        """Return the parameters that notebooks show, [R] or [R, C], by name; none before `fit`."""
        return {}

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, *self._facts())

    @complete
    def _repr_html_(self) -> str:
        """Return the facts, and the parameters as shaded tables, for notebooks."""
        return parameter_tables(repr(self), self._parameters())

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; a file at `path` is replaced atomically."""
        metadata = {"schema": SCHEMA, "version": elman.__version__, "model": type(self).__name__}
        write_tensors(Path(path), self.to_arrays(), metadata | {"settings": self.settings})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the model from a file of `save`.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: the file is damaged, holds another kind of model, or has arrays that do not fit its settings.
        """
        return cls.from_file(ModelFile(Path(path), *read_tensors(Path(path))))

    @classmethod
    def from_file(cls, file: ModelFile) -> Self:
        """Return the model in a file that was read.

        Raises:
            ValueError: the file holds another kind of model, or has arrays that do not fit its settings.
        """
        kind = file.metadata.get("model", file.metadata.get("task", "something else"))
        if kind != cls.__name__:
            raise ValueError(
                f"{file.path}: expected a {cls.__name__}, got a model of the kind {kind}; use elman.runtime.load."
            )
        with about_file(file.path):
            settings = field(file.metadata, "settings", Record)
            check_arguments(cls, settings)
            return cls.from_arrays(file.tensors, **settings)
