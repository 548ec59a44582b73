"""Models and layers of Keras as layers of elman."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elman.cells import CellModule
from elman.convert.keras_files import opened
from elman.convert.keras_layers import READOUTS, Config, Take, read_layer, snake
from elman.convert.parts import Part, joined


def from_keras(source: Any, config: Any = None, *, logits: bool = False) -> CellModule:
    """A layer or a model of Keras 3 with its weights, as a cell or a `Stack`, in evaluation mode.

    `SimpleRNN`, `LSTM`, `GRU`, `Bidirectional`, `Dense`, `Embedding`, `LayerNormalization`, `Dropout`,
    `SpatialDropout1D`, `TimeDistributed`, `GlobalAveragePooling1D` and `GlobalMaxPooling1D`, in a `Sequential` or a
    functional model where each layer reads the one before. With `return_sequences=False` a `LastPooling` follows: what
    Keras writes of a row is what the net writes at its last step. Masks are not needed, since a row here has its real
    steps alone.

    Args:
        source: the path of a `.keras` file, or of a `.weights.h5` file, or the list of arrays that `get_weights()`
            gives, or the layer or model itself.
        config: for a `.weights.h5` file or arrays: what `model.to_json()` gives, or `keras.layers.serialize(layer)`, or
            for a layer with the settings that Keras gives it the name of its class: "LSTM".
        logits: leave off the softmax or the sigmoid at the end, of which there is none here.
    Raises:
        TypeError: a source that is none of these.
        ValueError: a layer or a setting that there is none of here; a file that is no such file, or cut short; arrays
            that are not those of the config.
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: h5py is not installed, which reads such files (the extra `elman[keras]`).
    Example:
        >>> kernel, recurrent, bias = np.zeros((3, 16)), np.zeros((4, 16)), np.zeros(16)
        >>> cell = from_keras([kernel, recurrent, bias], {"class_name": "LSTM", "config": {"return_sequences": True}})
        >>> cell.input_size, cell.output_size
        (3, 4)
    """
    if isinstance(source, str | os.PathLike):
        with opened(Path(source)) as (own, weights):
            if own is None and config is None:
                raise ValueError(f"from_keras: {source}: weights alone; give config=model.to_json() as well.")
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
            raise ValueError(f"from_keras: expected {len(source) - len(waiting)} arrays, as the config says, got "
                             f"{len(source)}.")  # fmt: skip
        return model
    if hasattr(source, "get_config") and hasattr(source, "get_weights"):
        own = {"class_name": type(source).__name__, "config": source.get_config()}
        return from_keras(source.get_weights(), own, logits=logits)
    raise TypeError(f"from_keras: expected a path, arrays or a layer of Keras, got {type(source).__name__}.")


def _config(given: Any) -> dict[str, Any]:
    """A config as Keras serializes it, from what the caller has."""
    if isinstance(given, str) and not given.lstrip().startswith("{"):
        return {"class_name": given, "config": {}}
    try:
        config = json.loads(given) if isinstance(given, str | bytes) else given
    except ValueError as error:
        raise ValueError(f"from_keras: config is no JSON: {error}.") from None
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
        return joined("from_keras", list(_parts(config, path, take, logits))).eval()
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"from_keras: the config is not one that Keras 3 writes: {error!r}.") from error


def _parts(config: Config, path: str, take: Take, logits: bool) -> Iterator[Part]:
    """The layers that a layer or a model is; `path` is where a file has its weights."""
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
    """The settings of a layer that writes logits."""
    if kind in ("Dense", "Activation") and settings.get("activation") in READOUTS:
        return {**settings, "activation": "linear"}
    if kind == "TimeDistributed":
        inner = settings["layer"]
        return {**settings, "layer": {**inner, "config": _without_readout(inner["class_name"], inner["config"])}}
    return settings


def _places(layers: Sequence[Config]) -> Iterator[str]:
    """What the weights of each layer lie under in a file: its class in small letters, numbered from the second on."""
    seen: Counter[str] = Counter()
    for layer in layers:
        name = snake(layer["class_name"])
        yield f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1


def _chain(settings: Config) -> list[Config]:
    """The layers of a functional model from its input to its output.

    Raises:
        ValueError: they are no chain.
    """
    layers = {layer["config"]["name"]: layer for layer in settings["layers"]}
    first, last = _one("inputs", settings["input_layers"]), _one("outputs", settings["output_layers"])
    chain = [layers[last]]
    while (name := chain[0]["config"]["name"]) != first:
        nodes = chain[0]["inbound_nodes"]
        read = [arg["config"]["keras_history"][0] for node in nodes for arg in node["args"]
                if isinstance(arg, Mapping) and arg.get("class_name") == "__keras_tensor__"]  # fmt: skip
        if len(nodes) != 1 or len(read) != 1 or len(nodes[0]["args"]) != 1 or len(chain) == len(layers):
            raise ValueError(f"from_keras: expected layers that each read the one before, but {name!r} is used more "
                             "than once, or reads several; convert the layers one by one.")  # fmt: skip
        chain.insert(0, layers[read[0]])
    for name, layer in layers.items():
        if layer not in chain and layer["class_name"] != "NotEqual":  # which makes a mask
            raise ValueError(f"from_keras: {layer['class_name']} {name!r} stands beside the way from the input to the "
                             "output; convert the layers one by one.")  # fmt: skip
    return chain


def _one(what: str, given: Any) -> str:
    """The name of the one layer that is the input or the output."""
    tensors = [given] if isinstance(given[0], str) else given
    if len(tensors) != 1:
        raise ValueError(f"from_keras: expected a model with one of each, got {len(tensors)} {what}.")
    return tensors[0][0]
