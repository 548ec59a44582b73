"""Conversion of recurrent layers and their weights from PyTorch, Keras and ONNX to elman, and back.

A converted model computes the same numbers. A layer or setting that the target does not support raises an error.
Only `to_onnx` works without PyTorch.
"""

from importlib import import_module
from typing import Any

from elman.optional_packages import needed_by

_HOME_OF = {"from_keras": "keras_reading", "to_keras": "keras_writing", "from_onnx": "onnx_reading",
            "to_onnx": "onnx_writing", "from_torch": "torch_modules", "to_torch": "torch_modules"}  # fmt: skip
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'elman.convert' has no attribute {name!r}")
    with needed_by("elman.convert"):
        return getattr(import_module(f"elman.convert.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
