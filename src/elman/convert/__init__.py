"""Conversion of recurrent layers and their weights from PyTorch, Keras and ONNX to elman, and back.

A converted model computes the same numbers. A layer or setting that the target does not support raises an error.
"""

from elman.optional_packages import needed_by

with needed_by("elman.convert"):
    import torch  # noqa: F401  # the first import of it, for an error that names this module

from elman.convert.keras_reading import from_keras
from elman.convert.keras_writing import to_keras
from elman.convert.onnx_reading import from_onnx
from elman.convert.onnx_writing import to_onnx
from elman.convert.torch_modules import from_torch, to_torch

__all__ = ["from_keras", "from_onnx", "from_torch", "to_keras", "to_onnx", "to_torch"]


def __dir__() -> list[str]:
    return __all__
