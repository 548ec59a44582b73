"""A trained model without PyTorch: this package imports NumPy, `elman.state` and the native module alone."""

from elman.runtime.model_file import MODEL, ModelFile, load
from elman.runtime.stepper import Stepper

__all__ = ["MODEL", "ModelFile", "Stepper", "load"]
