"""Conversion of models and layers of Keras to elman."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elman.cells import CellModule
from elman.convert.keras_files import open_file
from elman.convert.keras_layers import READOUTS, Config, Take, read_layer, snake
from elman.convert.layers import LayerLike, stacked


def from_keras(source: Any, config: Any = None, *, logits: bool = False) -> CellModule:
    """Return a layer or a model of Keras 3 with its weights, as a cell or a `Stack`, in evaluation mode.

    Supported are `SimpleRNN`, `LSTM`, `GRU`, `Bidirectional`, `Dense`, `Embedding`, `LayerNormalization`, `Dropout`,
    `SpatialDropout1D`, `TimeDistributed`, `GlobalAveragePooling1D` and `GlobalMaxPooling1D`, in a `Sequential` or a
    functional model that is a chain of layers. `return_sequences=False` becomes a `LastPooling`: the output of a row in
    Keras is the output at its last step. `Masking` is dropped, because ragged rows have no padding.

    Args:
        source: path of a `.keras` or `.weights.h5` file, list of arrays from `get_weights()`, or the layer or model
            itself.
        config: for a `.weights.h5` file or arrays: the result of `model.to_json()` or of
            `keras.layers.serialize(layer)`, or the class name, such as "LSTM", of a layer with default settings.
        logits: whether to remove the softmax or sigmoid at the end, which elman applies in the loss instead.
    Raises:
        TypeError: the source is none of these.
        ValueError: a layer or a setting is not supported; the file has another format or is truncated; the arrays do
            not match the config.
        FileNotFoundError: the file does not exist.
        ModuleNotFoundError: h5py, which reads the files, is not installed.
    Example:
        >>> kernel, recurrent, bias = np.zeros((3, 16)), np.zeros((4, 16)), np.zeros(16)
        >>> cell = from_keras([kernel, recurrent, bias], {"class_name": "LSTM", "config": {"return_sequences": True}})
        >>> cell.input_size, cell.output_size
        (3, 4)
    """
    if isinstance(source, str | os.PathLike):
        with open_file(Path(source)) as (own, weights):
            if own is None and config is None:
                raise ValueError(
                    f"from_keras: {source}: the file has weights only; pass config=model.to_json() as well."
                )
            return _built(own or _config(config), "", weights.take, logits)
    if isinstance(source, list | tuple):
        if config is None:
            raise ValueError(
                "from_keras: expected a config with arrays, for instance 'LSTM' or model.to_json(), got none."
            )
        waiting = [_array(array) for array in source]
        if len(kinds := sorted({str(array.dtype) for array in waiting})) > 1:
            raise ValueError(f"from_keras: expected arrays of one type, got {' and '.join(kinds)}.")
        model = _built(_config(config), "", partial(_next, waiting), logits)
        if waiting:
            raise ValueError(f"from_keras: expected {len(source) - len(waiting)} arrays according to the config, got "
                             f"{len(source)}.")  # fmt: skip
        return model
    if hasattr(source, "get_config") and hasattr(source, "get_weights"):
        own = {"class_name": type(source).__name__, "config": source.get_config()}
        return from_keras(source.get_weights(), own, logits=logits)
    raise TypeError(f"from_keras: expected a path, arrays or a layer of Keras, got {type(source).__name__}.")


def _config(given: Any) -> dict[str, Any]:
    """Return the config in Keras's serialised form, from a class name, JSON or a dict."""
    if isinstance(given, str) and not given.lstrip().startswith("{"):
        return {"class_name": given, "config": {}}
    try:
        config = json.loads(given) if isinstance(given, str | bytes) else given
    except ValueError as error:
        raise ValueError(f"from_keras: config is not valid JSON: {error}.") from None
    if not isinstance(config, Mapping):
        raise TypeError(f"from_keras: expected config as text or a dict, got {type(config).__name__}.")
    return dict(config)


def _array(given: Any) -> np.ndarray:
    array = np.asarray(given)
    if array.dtype.kind != "f":
        raise ValueError(
            f"from_keras: expected arrays of floating-point numbers, got {array.dtype} {list(array.shape)}."
        )
    return array


def _next(waiting: list[np.ndarray], path: str, count: int) -> list[np.ndarray]:
    if len(waiting) < count:
        place = f" for {path}" if path.startswith("layers/") else ""
        raise ValueError(f"from_keras: expected {count} more arrays{place}, got {len(waiting)}.")
    taken = waiting[:count]
    del waiting[:count]
    return taken


def _built(config: Config, path: str, take: Take, logits: bool) -> CellModule:
    try:
        return stacked("from_keras", list(_parts(config, path, take, logits))).eval()
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"from_keras: the config is not one that Keras 3 writes: {error!r}.") from error


def _parts(config: Config, path: str, take: Take, logits: bool) -> Iterator[LayerLike]:
    """Yield the layers of a layer or model; `path` is the location of its weights in a file."""
    kind, settings = config["class_name"], config.get("config", {})
    if kind not in ("Sequential", "Functional", "Model"):
        where = f"from_keras: {kind}" + (f" {settings['name']!r}" if "name" in settings else "")
        if logits:
            settings = _without_readout(kind, settings)
        yield from read_layer(where, kind, settings, lambda part, count: take(path + part, count))
        return
    layers = settings["layers"]
    places = dict(zip((layer["config"]["name"] for layer in layers), _places(layers), strict=True))
    chain = list(layers if kind == "Sequential" else _chain(settings))
    for layer in chain:
        inner = (
            f"{path}/layers/{places[layer['config']['name']]}" if path else f"layers/{places[layer['config']['name']]}"
        )
        yield from _parts(layer, inner, take, logits and layer is chain[-1])


def _without_readout(kind: str, settings: Config) -> Config:
    """Return the settings of a layer without its softmax or sigmoid."""
    if kind in ("Dense", "Activation") and settings.get("activation") in READOUTS:
        return {**settings, "activation": "linear"}
    if kind == "TimeDistributed":
        inner = settings["layer"]
        return {**settings, "layer": {**inner, "config": _without_readout(inner["class_name"], inner["config"])}}
    return settings


def _places(layers: Sequence[Config]) -> Iterator[str]:
    """Yield the group of each layer's weights in a file: its class in snake case, numbered from the second on."""
    seen: Counter[str] = Counter()
    for layer in layers:
        name = snake(layer["class_name"])
        yield f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1


def _chain(settings: Config) -> list[Config]:
    """Return the layers of a functional model, from input to output.

    Raises:
        ValueError: the layers are not a chain.
    """
    layers = {layer["config"]["name"]: layer for layer in settings["layers"]}
    first, last = _one("inputs", settings["input_layers"]), _one("outputs", settings["output_layers"])
    chain = [layers[last]]
    while (name := chain[0]["config"]["name"]) != first:
        nodes = chain[0]["inbound_nodes"]
        read = [arg["config"]["keras_history"][0] for node in nodes for arg in node["args"]
                if isinstance(arg, Mapping) and arg.get("class_name") == "__keras_tensor__"]  # fmt: skip
        if len(nodes) != 1 or len(read) != 1 or len(nodes[0]["args"]) != 1 or len(chain) == len(layers):
            raise ValueError(f"from_keras: expected a chain of layers, but {name!r} is used more than once or "
                             "reads several layers; convert the layers one by one.")  # fmt: skip
        chain.insert(0, layers[read[0]])
    for name, layer in layers.items():
        if layer not in chain and layer["class_name"] != "NotEqual":  # NotEqual computes a mask
            raise ValueError(f"from_keras: {layer['class_name']} {name!r} is not between the input and the output; "
                             "convert the layers one by one.")  # fmt: skip
    return chain


def _one(what: str, given: Any) -> str:
    """Return the name of the single input or output layer."""
    tensors = [given] if isinstance(given[0], str) else given
    if len(tensors) != 1:
        raise ValueError(f"from_keras: expected a model with one input and one output, got {len(tensors)} {what}.")
    return tensors[0][0]
