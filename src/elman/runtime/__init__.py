"""Trained models without PyTorch: `load(path)`, then `predict`, `evaluate`, `generate` or `stream` as the task has them."""

from elman.network import ModelFile, NoSpec, Stepper
from elman.network import read_model as load

__all__ = ["ModelFile", "NoSpec", "Stepper", "load"]
