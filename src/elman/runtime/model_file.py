"""What a model file holds, read without PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elman.files import read_tensors

MODEL = "model.safetensors"  # its name in a run folder


@dataclass(frozen=True)
class ModelFile:
    """The tensors of a trained model by module path, and the metadata {schema, version, task, settings, ...}."""

    path: Path
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]


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
