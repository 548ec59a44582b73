"""Conversion of single layers of Keras, given as config and arrays, to layers of elman.

Kernels are transposed, [D, G H], with the gates in the order `GATES`. A GRU with `reset_after` has two biases [2, 3 H].
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.cells.torch_weights import TorchWeights, with_weights
from elman.convert.layers import LayerLike
from elman.layers import (
    Bidirectional,
    Dropout,
    Embedding,
    LastPooling,
    LayerNorm,
    Linear,
    MaxPooling,
    MeanPooling,
    Reversed,
    VariationalDropout,
)
from elman.shapes import check

RECURRENT: dict[str, type[CellModule]] = {"SimpleRNN": RNN, "LSTM": LSTM, "GRU": GRU}
GATES = {"SimpleRNN": ["candidate"], "LSTM": ["input", "forget", "candidate", "output"],
         "GRU": ["update", "reset", "candidate"]}  # fmt: skip
ORDER = {kind: [cell.gate_names.index(gate) for gate in GATES[kind]] for kind, cell in RECURRENT.items()}
ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "linear": "identity"}
POOLINGS = {"GlobalAveragePooling1D": MeanPooling, "GlobalMaxPooling1D": MaxPooling}
READOUTS = ("softmax", "sigmoid")  # activations that `logits` removes at the end

Config = Mapping[str, Any]
Take = Callable[[str, int], Sequence[np.ndarray]]  # (part of the layer, count) -> its next arrays


def read_layer(where: str, kind: str, config: Config, take: Take) -> Iterator[LayerLike]:
    """Yield the layers of elman for one layer of Keras.

    Args:
        where: prefix of error messages.
        kind: name of its class.
        config: result of its `get_config()`; missing settings have Keras's defaults.
        take: function that returns its next weights.
    Raises:
        ValueError: the kind or a setting is not supported, or arrays have wrong shapes.
    """
    if kind != "InputLayer":
        check_type(where, config)
    if kind in RECURRENT:
        yield from _read_recurrence(where, kind, config, take)
    elif kind == "Bidirectional":
        yield from _read_bidirectional(where, config, take)
    elif kind == "TimeDistributed":
        inner = _expect_layer(where, config, "layer", ("Dense",))
        yield from read_layer(where, "Dense", inner, lambda path, count: take("/layer" + path, count))
    elif kind == "Dense":
        _expect_no_activation(where, config)
        yield _read_dense(where, config, take)
    elif kind == "Embedding":
        (weight,) = take("", 1)
        check(where, "embeddings", weight, "V O")
        yield with_weights(lambda: Embedding(*weight.shape), {"weight": torch.from_numpy(weight)})
    elif kind == "LayerNormalization":
        yield _read_layer_norm(where, config, take)
    elif kind in ("Dropout", "SpatialDropout1D"):
        expect(where, config, "noise_shape", None)
        if rate := config.get("rate", 0):
            yield partial(Dropout if kind == "Dropout" else VariationalDropout, p=rate)
    elif kind in POOLINGS:
        expect(where, config, "keepdims", False)
        expect(where, config, "data_format", "channels_last")
        yield POOLINGS[kind]
    elif kind == "Activation":
        _expect_no_activation(where, config)
    elif kind == "Lambda":
        raise ValueError(f"{where} contains code, which elman does not run; save the model without it.")
    elif kind not in ("InputLayer", "Masking"):  # ragged rows need no mask
        raise ValueError(f"{where} is not supported; save the model without it.")


def snake(kind: str) -> str:
    """Convert the name of a class to snake case, as in Keras's names of layers and files."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()


def check_type(where: str, config: Config) -> None:
    """Raise if a layer computes in another dtype than the dtype of its weights."""
    policy = config.get("dtype") or "float32"
    if isinstance(policy, Mapping):
        policy = policy.get("config", {}).get("name", policy.get("class_name"))
    if policy not in ("float32", "float64", "int32", "int64"):
        raise ValueError(
            f"{where}: expected dtype='float32' or 'float64', got {policy!r}, which elman does not support."
        )


def expect(where: str, config: Config, name: str, *values: Any) -> Any:
    """Return a setting; if it is missing, the first of `values`.

    Raises:
        ValueError: the setting has another value.
    """
    value = config.get(name, values[0])
    if value not in values:
        wanted = " or ".join(f"{name}={value!r}" for value in values if value is not None)
        got = value.get("class_name", "something else") if isinstance(value, Mapping) else repr(value)
        raise ValueError(f"{where}: expected {wanted or f'no {name}'}, got {got}, which elman does not support.")
    return value


def _expect_no_activation(where: str, config: Config) -> None:
    if config.get("activation") in READOUTS:
        raise ValueError(f"{where}: expected no activation, got {config['activation']!r}; remove it at the end by "
                         "logits=True, and apply it to the output of the model.")  # fmt: skip
    expect(where, config, "activation", "linear", None)


def _expect_layer(where: str, config: Config, name: str, kinds: Sequence[str]) -> Config:
    inner = config.get(name) or {}
    if inner.get("class_name") not in kinds:
        raise ValueError(f"{where}: expected {name} of {' or '.join(kinds)}, got {inner.get('class_name')}.")
    return inner["config"]


def _read_recurrence(where: str, kind: str, config: Config, take: Take) -> Iterator[LayerLike]:
    expect(where, config, "return_state", False)
    if expect(where, config, "return_sequences", False, True) and config.get("go_backwards", False):
        raise ValueError(f"{where}: expected return_sequences=False with go_backwards=True, got True: rows in "
                         "reversed order are supported in a Bidirectional only.")  # fmt: skip
    if rate := config.get("dropout", 0):
        yield partial(VariationalDropout, p=rate)
    cell = _read_cell(where, kind, config, partial(_of, take, "/cell"))
    yield Reversed(cell) if config.get("go_backwards", False) else cell
    if not config.get("return_sequences", False):
        yield partial(LastPooling, backward_size=cell.output_size if config.get("go_backwards", False) else 0)


def _read_bidirectional(where: str, config: Config, take: Take) -> Iterator[LayerLike]:
    expect(where, config, "merge_mode", "concat")
    kind = config.get("layer", {}).get("class_name")
    forward = _expect_layer(where, config, "layer", tuple(RECURRENT))
    backward = _expect_layer(where, config, "backward_layer", (kind,)) if config.get("backward_layer") else forward
    for part in (forward, backward):
        check_type(where, part)
        expect(where, part, "return_state", False)
        expect(where, part, "dropout", forward.get("dropout", 0))
    expect(where, forward, "go_backwards", False)
    if rate := forward.get("dropout", 0):
        yield partial(VariationalDropout, p=rate)
    cells = [_read_cell(where, kind, part, partial(_of, take, f"/{name}_layer/cell"))
             for name, part in (("forward", forward), ("backward", backward))]  # fmt: skip
    yield Bidirectional(*cells)
    if not forward.get("return_sequences", False):
        yield partial(LastPooling, backward_size=cells[1].output_size)


def _of(take: Take, part: str, path: str, count: int) -> Sequence[np.ndarray]:
    return take(part + path, count)


def _read_cell(where: str, kind: str, config: Config, take: Take) -> CellModule:
    settings: dict[str, Any] = {}
    if kind == "LSTM":
        settings["hidden_dropout"] = config.get("recurrent_dropout", 0)
    else:
        expect(where, config, "recurrent_dropout", 0)
    if kind == "SimpleRNN":
        settings["activation"] = ACTIVATIONS[expect(where, config, "activation", *ACTIVATIONS)]
    else:
        expect(where, config, "activation", "tanh")
        expect(where, config, "recurrent_activation", "sigmoid")
    after = kind == "GRU" and expect(where, config, "reset_after", True, False)
    if kind == "GRU":
        settings["reset"] = "after" if after else "before"
    biased = config.get("use_bias", True)
    kernel, recurrent, *bias = take("", 3 if biased else 2)
    check(where, "recurrent kernel", recurrent, "H GH")
    hidden, width = recurrent.shape[0], len(ORDER[kind]) * recurrent.shape[0]
    check(where, "recurrent kernel", recurrent, f"H={hidden} GH={width}")
    check(where, "kernel", kernel, f"D GH={width}")
    biases = np.zeros((2, width), recurrent.dtype)
    if biased:
        check(where, "bias", bias[0], f"2=2 GH={width}" if after else f"GH={width}")
        biases[: 2 if after else 1] = bias[0]
    arrays = (kernel.T, recurrent.T, *biases)
    return TorchWeights(*(swapped(kind, array) for array in arrays)).to_cell(RECURRENT[kind], **settings)


def swapped(kind: str, array: np.ndarray) -> Tensor:
    """Reorder the gates of [G H, ...] from Keras to PyTorch or back; the permutation is its own inverse."""
    gates = array.reshape(len(ORDER[kind]), -1, *array.shape[1:])[ORDER[kind]]
    return torch.from_numpy(np.ascontiguousarray(gates.reshape(array.shape)))


def _read_dense(where: str, config: Config, take: Take) -> CellModule:
    kernel, *bias = take("", 2 if config.get("use_bias", True) else 1)
    check(where, "kernel", kernel, "D O")
    bias = bias or [np.zeros(kernel.shape[1], kernel.dtype)]
    check(where, "bias", bias[0], f"O={kernel.shape[1]}")
    weights = {"weight": torch.from_numpy(kernel.T.copy()), "bias": torch.from_numpy(bias[0])}
    return with_weights(lambda: Linear(*kernel.shape), weights)


def _read_layer_norm(where: str, config: Config, take: Take) -> CellModule:
    expect(where, config, "rms_scaling", False)
    expect(where, config, "axis", -1, [-1])
    scale, center = config.get("scale", True), config.get("center", True)
    if not scale and not center:
        raise ValueError(f"{where}: expected scale=True or center=True, got neither; the size is unknown without them.")
    arrays = list(take("", scale + center))
    weight = arrays.pop(0) if scale else np.ones_like(arrays[0])
    bias = arrays.pop(0) if center else np.zeros_like(weight)
    check(where, "gamma", weight, "D")
    check(where, "beta", bias, f"D={len(weight)}")
    layer = LayerNorm(len(weight), config.get("epsilon", 1e-3))
    return with_weights(lambda: layer, {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
