"""Conversion of layers of elman to Keras."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.cells.torch_weights import TorchWeights
from elman.convert.keras_files import write_archive
from elman.convert.keras_layers import ACTIVATIONS, POOLINGS, RECURRENT, snake, swapped
from elman.convert.layers import check_model, layers_of, plain_cells, pools_final_state
from elman.layers import (
    Bidirectional,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Reversed,
    VariationalDropout,
)


class KerasLayer(NamedTuple):
    """Layer of Keras."""

    kind: str  # class name
    settings: dict[str, Any]
    weights: dict[str, list[np.ndarray]]  # by the path of the part of the layer that has them


def to_keras(model: CellModule, path: str | os.PathLike[str] | None = None) -> list[np.ndarray]:
    """Return the weights in the layout and order of Keras 3, for `set_weights` of a layer or model.

    Args:
        model: a cell, a layer or a `Stack`.
        path: `.keras` file to write, with a `Sequential` for `keras.saving.load_model`; None writes no file.
    Raises:
        TypeError: the model is not a cell, layer or stack of elman.
        ValueError: Keras does not support a layer or an option; the path does not end in .keras.
        OSError: the file cannot be written.
        ModuleNotFoundError: h5py, which writes the file, is not installed.
    Example:
        >>> [weight.shape for weight in to_keras(LSTM(3, 4))]
        [(3, 16), (4, 16), (16,)]
    """
    check_model("to_keras", model)
    if path is not None and Path(path).suffix != ".keras":
        raise ValueError(f"to_keras: expected a path that ends in .keras, got {path}.")
    layers = list(layers_of(model))
    written = _written(layers)
    if path is not None:
        dtype = str(next(model.parameters(), torch.zeros(0)).dtype).removeprefix("torch.")
        _write(Path(path), layers[0], written, dtype)
    return [array for layer in written for arrays in layer.weights.values() for array in arrays]


def _written(layers: Sequence[CellModule]) -> list[KerasLayer]:
    written: list[KerasLayer] = []
    pooled = False
    for number, layer in enumerate(layers):
        where = f"to_keras: {type(layer).__name__}"
        cells = plain_cells(where, layer)
        if cells is not None:
            if pooled:
                raise ValueError(f"{where}: expected sequences, got single steps from a pooling before it.")
            pooled = number + 1 < len(layers) and pools_final_state(layers[number + 1], layer)
            written.append(_recurrence(where, layer, cells, not pooled))
        elif not (
            number
            and pooled
            and plain_cells(where, layers[number - 1])
            and pools_final_state(layer, layers[number - 1])
        ):
            written.append(_plain(where, layer))
            pooled = pooled or written[-1].kind in POOLINGS
    return written


def _recurrence(where: str, layer: CellModule, cells: Sequence[RNN | LSTM | GRU], whole: bool) -> KerasLayer:
    if isinstance(layer, Reversed) and whole:
        raise ValueError(
            f"{where}: expected a LastPooling after it, got none; Keras returns such rows in reversed order."
        )
    kind = next(name for name, ours in RECURRENT.items() if isinstance(cells[0], ours))
    settings, arrays = [], []
    for number, cell in enumerate(cells):
        settings.append({"units": cell.output_size, "return_sequences": whole,
                         "go_backwards": number == 1 or isinstance(layer, Reversed), **_options(cell)})  # fmt: skip
        weights = [swapped(kind, weight.numpy(force=True)).numpy() for weight in TorchWeights.from_cell(cell).common]
        after = isinstance(cell, GRU) and cell.reset == "after"
        bias = np.stack(weights[2:]) if after else weights[2]
        arrays.append([np.ascontiguousarray(weights[0].T), np.ascontiguousarray(weights[1].T), bias])
    if not isinstance(layer, Bidirectional):
        return KerasLayer(kind, settings[0], {"/cell": arrays[0]})
    parts = [_serialized(kind, f"{direction}_{snake(kind)}", part)
             for direction, part in zip(("forward", "backward"), settings, strict=True)]  # fmt: skip
    together = {"merge_mode": "concat", "layer": parts[0], "backward_layer": parts[1]}
    return KerasLayer("Bidirectional", together, {"/forward_layer/cell": arrays[0], "/backward_layer/cell": arrays[1]})


def _options(cell: RNN | LSTM | GRU) -> dict[str, Any]:
    if isinstance(cell, RNN):
        return {"activation": next(name for name, ours in ACTIVATIONS.items() if ours == cell.activation)}
    gated = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return {**gated, "reset_after": cell.reset == "after"} if isinstance(cell, GRU) else gated


def _plain(where: str, layer: CellModule) -> KerasLayer:
    if isinstance(layer, Dropout):
        return KerasLayer(
            "SpatialDropout1D" if isinstance(layer, VariationalDropout) else "Dropout", {"rate": layer.p}, {}
        )
    if kind := next((theirs for theirs, ours in POOLINGS.items() if isinstance(layer, ours)), ""):
        return KerasLayer(kind, {}, {})
    if isinstance(layer, Linear):
        arrays = [np.ascontiguousarray(_array(layer.weight).T), _array(layer.bias)]
        return KerasLayer("Dense", {"units": layer.output_size, "activation": "linear"}, {"": arrays})
    if isinstance(layer, Embedding):
        sizes = {"input_dim": layer.input_size, "output_dim": layer.output_size}
        return KerasLayer("Embedding", sizes, {"": [_array(layer.weight)]})
    if isinstance(layer, LayerNorm):
        arrays = [_array(layer.weight), _array(layer.bias)]
        return KerasLayer("LayerNormalization", {"axis": -1, "epsilon": layer.epsilon}, {"": arrays})
    raise ValueError(f"{where} is not supported by Keras; convert the layers before and after it separately.")


def _array(weight: Tensor) -> np.ndarray:
    return weight.numpy(force=True).copy()


def _write(path: Path, first: CellModule, written: Sequence[KerasLayer], dtype: str) -> None:
    ids = isinstance(first, Embedding)
    shape = [None, None] if ids else [None, None, first.input_size]
    layers = [_serialized("InputLayer", "input", {"batch_shape": shape, "dtype": "int32" if ids else dtype})]
    weights: dict[str, list[np.ndarray]] = {}
    seen: Counter[str] = Counter()
    for layer in written:
        name = snake(layer.kind)
        place = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
        layers.append(_serialized(layer.kind, place, {**layer.settings, "dtype": dtype}))
        weights |= {f"layers/{place}{part}": arrays for part, arrays in layer.weights.items()}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "elman", "layers": layers}}
    write_archive(path, {**config, "registered_name": None, "compile_config": None}, weights)


def _serialized(kind: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}, "registered_name": None}
