"""Moving house: recurrent layers of PyTorch, Keras and ONNX files with their weights, as layers of elman, and back.

What is converted computes the same numbers. What cannot be said in the words of the other house is refused, by name.
"""

from elman.convert.keras_reading import from_keras
from elman.convert.keras_writing import to_keras
from elman.convert.onnx_reading import from_onnx
from elman.convert.onnx_writing import to_onnx
from elman.convert.torch_modules import from_torch, to_torch

__all__ = ["from_keras", "from_onnx", "from_torch", "to_keras", "to_onnx", "to_torch"]
