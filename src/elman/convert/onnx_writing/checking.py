"""Comparison of an ONNX file, run by onnxruntime, with the network that it was made from."""

from typing import Any

import numpy as np

from elman.convert.onnx_writing.graphs import NetworkGraph

TOLERANCE = 1e-5  # allowed difference, relative to the largest number of a vector if that is above 1


def compare(graph: NetworkGraph, file: bytes) -> float | None:
    """Return the largest difference between onnxruntime and the network on random inputs; None without onnxruntime.

    Raises:
        ValueError: a difference is above 1e-5, or onnxruntime cannot run the file.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]  # it has no annotations
    except ModuleNotFoundError:
        return None
    largest = 0.0
    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of onnxruntime have no common base
        raise _cannot_run(error) from error
    names = [output.name for output in session.get_outputs()]
    read = {value.name for value in session.get_inputs()}
    for given, expected, masks in graph.comparison(np.random.default_rng(0)):
        try:
            found = session.run(names, {name: array for name, array in given.items() if name in read})
        except Exception as error:
            raise _cannot_run(error) from error
        for name, array in zip(names, found, strict=True):
            mask = masks.get(name, np.True_)
            largest = max(largest, _difference(name, array[mask], expected[name][mask]))
    return largest


def _difference(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number of the same vector if that is above 1.

    Raises:
        ValueError: the difference is above the tolerance, or the shapes differ.
    """
    if found.shape != expected.shape:
        raise ValueError(f"to_onnx: expected {name} of shape {list(expected.shape)} from onnxruntime, got "
                         f"{list(found.shape)}; no file was written.")  # fmt: skip
    scale = np.max(np.abs(expected), -1, keepdims=True, where=np.isfinite(expected), initial=1)
    other = found != expected  # infinities may be equal
    differences = np.abs(found[other] - expected[other]) / np.broadcast_to(scale, expected.shape)[other]
    difference = float(np.max(differences, initial=0))
    if not difference <= TOLERANCE:
        raise ValueError(f"to_onnx: expected {name} within {TOLERANCE:g} of the network from onnxruntime, got a "
                         f"difference of {difference:.2g}; no file was written.")  # fmt: skip
    return difference


def _cannot_run(error: Any) -> ValueError:
    return ValueError(f"to_onnx: onnxruntime cannot run the graph: {str(error).splitlines()[0]}; no file was written. "
                      "Install a newer onnxruntime, or choose a smaller opset.")  # fmt: skip
