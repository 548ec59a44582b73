"""What a model file holds, read without PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elman.files import read_tensors
from elman.kernels import native
from elman.runtime.stepper import Stepper

MODEL = "model.safetensors"  # its name in a run folder


@dataclass(frozen=True)
class ModelFile:
    """The tensors of a trained model by module path, and the metadata {schema, version, task, settings, spec, ...}."""

    path: Path
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]

    @property
    def steps(self) -> bool:
        """Whether it can be stepped here: it says how, and there are native kernels."""
        return "spec" in self.metadata and native.available()

    def stepper(self, batch_size: int = 1, output: str = "logits", weights: str = "float32") -> Stepper:
        """The model, one step at a time: see `Stepper`.

        Raises:
            ValueError: the file does not say how its model steps, or says it in words of a later version.
            RuntimeError: there are no native kernels here.
        """
        if "spec" not in self.metadata:
            raise ValueError(f"{self.path}: does not say how its model steps (no spec): an earlier version wrote it, "
                             "or the model holds a cell without one; save it anew, or step it in PyTorch.")  # fmt: skip
        return Stepper(self.metadata["spec"], self.tensors, batch_size, output, weights)


def load(path: str | Path) -> ModelFile:
    """Read a model file, or that of a run folder.

    Raises:
        FileNotFoundError, ValueError: as `elman.files.read_tensors`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / MODEL
        if path.parent.joinpath("config.toml").exists() and not path.exists():
            raise FileNotFoundError(f"{path.parent}: a run without a model yet; resume its training.")
    return ModelFile(path, *read_tensors(path))
