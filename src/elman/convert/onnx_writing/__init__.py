"""ONNX files of networks, without PyTorch: nodes of each layer type, and graphs for whole rows and for steps."""

from elman.convert.onnx_writing.export import to_onnx

__all__ = ["to_onnx"]
