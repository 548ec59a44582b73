"""Model files, read without PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import elman
from elman.declared_types import Record, field
from elman.files import about_file, check_finite, read_tensors
from elman.html_tables import html_table
from elman.network.layer_types import make_layer
from elman.representation import array_form, call, complete, figures

MODEL = "model.safetensors"  # in a run folder


@dataclass(frozen=True, repr=False)
class ModelFile:
    """Tensors of a trained model by module path, and its metadata {schema, version, task, settings, spec, ...}."""

    path: Path
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]

    @complete
    def __repr__(self) -> str:
        return call("ModelFile", str(self.path), *figures(self._facts()))

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the model and its tensors, for notebooks."""
        tensors = {name: array_form(tensor) for name, tensor in self.tensors.items()}
        return html_table(f"ModelFile({self.path})", self._facts() | tensors)

    def _facts(self) -> dict[str, Any]:
        known = {name: str(self.metadata[name]) for name in ("task", "model", "version") if name in self.metadata}
        numbers = sum(tensor.size for tensor in self.tensors.values())
        return known | {
            "tensors": len(self.tensors),
            "parameters": numbers,
            "runs without PyTorch": "yes" if self.runs or "model" in self.metadata else "no",
        }

    def value(self, name: str, declared: Any) -> Any:
        """Return a part of the metadata, after a comparison with its declared type, as in `declared_types.field`.

        Raises:
            ValueError: the part is missing or of another type.
        """
        if name not in self.metadata:
            version = self.metadata.get("version")
            raise ValueError(f"{self.path}: expected {name!r} in its metadata, which is missing; version {version} of "
                             f"elman wrote it, and this is {elman.__version__}: train again.")  # fmt: skip
        with about_file(self.path):
            return field(self.metadata, name, declared)

    @property
    def runs(self) -> bool:
        """Whether `network` works: the file has a spec and float32 weights."""
        single = all(tensor.dtype == np.float32 for tensor in self.tensors.values() if tensor.dtype.kind == "f")
        return self.metadata.get("spec") is not None and single

    def network(self) -> Any:
        """Return the network of the model, which runs without PyTorch: a `Layer`.

        Raises:
            ValueError: a layer of the model has no layer type in `elman.network`; the message names the layer.
        """
        if self.metadata.get("spec") is None:
            reason = self.value("no_spec", str) if "no_spec" in self.metadata else "the file describes no network"
            way_out = "elman.load(path)" if "task" in self.metadata else "construct it, and call its load(path)"
            raise ValueError(f"{self.path}: {reason}; run the model in PyTorch: {way_out}.")
        with about_file(self.path):
            return make_layer(self.value("spec", Record), self.tensors)


def read_model(path: str | Path) -> ModelFile:
    """Read a model file, or the model file of a run folder.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged or of an unknown schema, as in `elman.files.read_tensors`, or the model has
            weights that are not finite.
    """
    path = Path(path)
    if path.is_dir():
        path = path / MODEL
        if path.parent.joinpath("config.toml").exists() and not path.exists():
            raise FileNotFoundError(f"{path.parent}: the run has no model yet; resume its training.")
    file = ModelFile(path, *read_tensors(path))
    if "task" in file.metadata:
        file.value("task", str)
    if file.metadata.keys() & {"task", "spec"} and "place" not in file.metadata:  # an optimiser's moments may overflow
        with about_file(path):
            check_finite(file.tensors)
    return file
