"""Layers of elman as a model of Keras."""

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
from elman.convert.parts import cells_of, is_last_of, layers_of
from elman.layers import (
    Bidirectional,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Reversed,
    VariationalDropout,
)


class Written(NamedTuple):
    """A layer of Keras."""

    kind: str  # its class
    settings: dict[str, Any]
    weights: dict[str, list[np.ndarray]]  # under the path of the part of it that has them


def to_keras(model: CellModule, path: str | os.PathLike[str] | None = None) -> list[np.ndarray]:
    """The weights as Keras 3 holds them, in the order that `set_weights` of a layer or of a model takes.

    Args:
        model: a cell, a layer or a `Stack`.
        path: where to write a `.keras` file of a `Sequential` as well, which `keras.saving.load_model` opens.
    Raises:
        TypeError: it is none.
        ValueError: a layer or an option that Keras has not; a path with another ending.
        OSError: the file cannot be written.
        ModuleNotFoundError: a path, and h5py is not installed, which writes it (the extra `elman[keras]`).
    Example:
        >>> [weight.shape for weight in to_keras(LSTM(3, 4))]
        [(3, 16), (4, 16), (16,)]
    """
    if not isinstance(model, CellModule):
        raise TypeError(f"to_keras: expected a cell, a layer or a Stack of elman, got {type(model).__name__}.")
    if path is not None and Path(path).suffix != ".keras":
        raise ValueError(f"to_keras: expected a path that ends in .keras, got {path}.")
    layers = list(layers_of(model))
    written = _written(layers)
    if path is not None:
        dtype = str(next(model.parameters(), torch.zeros(0)).dtype).removeprefix("torch.")
        _write(Path(path), layers[0], written, dtype)
    return [array for layer in written for arrays in layer.weights.values() for array in arrays]


def _written(layers: Sequence[CellModule]) -> list[Written]:
    written: list[Written] = []
    pooled = False
    for number, layer in enumerate(layers):
        where = f"to_keras: {type(layer).__name__}"
        cells = cells_of(where, layer)
        if cells is not None:
            if pooled:
                raise ValueError(f"{where}: expected rows, but a pooling before it leaves one step of each.")
            pooled = number + 1 < len(layers) and is_last_of(layers[number + 1], layer)
            written.append(_recurrence(where, layer, cells, not pooled))
        elif not (number and pooled and cells_of(where, layers[number - 1]) and is_last_of(layer, layers[number - 1])):
            written.append(_plain(where, layer))
            pooled = pooled or written[-1].kind in POOLINGS
    return written


def _recurrence(where: str, layer: CellModule, cells: Sequence[RNN | LSTM | GRU], whole: bool) -> Written:
    if isinstance(layer, Reversed) and whole:
        raise ValueError(f"{where}: expected a LastPooling behind it, got none; Keras writes such rows back to front.")
    kind = next(name for name, ours in RECURRENT.items() if isinstance(cells[0], ours))
    settings, arrays = [], []
    for number, cell in enumerate(cells):
        settings.append({"units": cell.output_size, "return_sequences": whole,
                         "go_backwards": number == 1 or isinstance(layer, Reversed), **_options(cell)})  # fmt: skip
        weights = [swapped(kind, weight.cpu().numpy()).numpy() for weight in TorchWeights.from_cell(cell).common]
        after = isinstance(cell, GRU) and cell.reset == "after"
        bias = np.stack(weights[2:]) if after else weights[2]
        arrays.append([np.ascontiguousarray(weights[0].T), np.ascontiguousarray(weights[1].T), bias])
    if not isinstance(layer, Bidirectional):
        return Written(kind, settings[0], {"/cell": arrays[0]})
    parts = [_serialized(kind, f"{way}_{snake(kind)}", part)
             for way, part in zip(("forward", "backward"), settings, strict=True)]  # fmt: skip
    together = {"merge_mode": "concat", "layer": parts[0], "backward_layer": parts[1]}
    return Written("Bidirectional", together, {"/forward_layer/cell": arrays[0], "/backward_layer/cell": arrays[1]})


def _options(cell: RNN | LSTM | GRU) -> dict[str, Any]:
    if isinstance(cell, RNN):
        return {"activation": next(name for name, ours in ACTIVATIONS.items() if ours == cell.activation)}
    gated = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return {**gated, "reset_after": cell.reset == "after"} if isinstance(cell, GRU) else gated


def _plain(where: str, layer: CellModule) -> Written:
    if isinstance(layer, Dropout):
        return Written(
            "SpatialDropout1D" if isinstance(layer, VariationalDropout) else "Dropout", {"rate": layer.p}, {}
        )
    if kind := next((theirs for theirs, ours in POOLINGS.items() if isinstance(layer, ours)), ""):
        return Written(kind, {}, {})
    if isinstance(layer, Linear):
        arrays = [np.ascontiguousarray(_array(layer.weight).T), _array(layer.bias)]
        return Written("Dense", {"units": layer.output_size, "activation": "linear"}, {"": arrays})
    if isinstance(layer, Embedding):
        sizes = {"input_dim": layer.input_size, "output_dim": layer.output_size}
        return Written("Embedding", sizes, {"": [_array(layer.weight)]})
    if isinstance(layer, LayerNorm):
        arrays = [_array(layer.weight), _array(layer.bias)]
        return Written("LayerNormalization", {"axis": -1, "epsilon": layer.epsilon}, {"": arrays})
    raise ValueError(f"{where} is no layer that Keras has; convert what is before and behind it by itself.")


def _array(weight: Tensor) -> np.ndarray:
    return weight.detach().cpu().numpy().copy()


def _write(path: Path, first: CellModule, written: Sequence[Written], dtype: str) -> None:
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
