"""Inference without PyTorch: this package needs NumPy, `elman.state` and the native module only."""

from elman.runtime.model_file import MODEL, ModelFile, load
from elman.runtime.no_spec import NoSpec
from elman.runtime.stepper import Stepper

__all__ = ["MODEL", "ModelFile", "NoSpec", "Stepper", "load"]
