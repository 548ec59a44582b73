"""Remedies in words that can be pasted: `--set cell=lstm` for the models of a task, lines of PyTorch for any other."""

import re

from elman.cells import GRU, LSTM
from elman.doctor.examination import Layer
from elman.doctor.facts import Facts


def longer_memory(layer: Layer, facts: Facts) -> str:
    """What lets the gradient of this layer reach further back."""
    kind = kind_of(layer)
    if facts.task is not None:
        return _setting(kind, facts)
    read, units = sizes(layer)
    if kind == "LSTM":
        return raise_bias(layer, "forget")
    if kind == "RNN":
        relu = f"RNN({read}, {units}, {_relu(layer)})"
        start = f"torch.nn.init.eye_(model.{weight(layer, 'weight_hh')})"
        return (f"take LSTM({read}, {units}) in place of RNN, or let a relu start from the identity (Le et al. 2015): "
                f"{relu} and {start}")  # fmt: skip
    opened = raise_bias(layer, "update" if kind == "GRU" else "forget")
    return f"{opened}; or take LSTM({read}, {units}) in place of {kind}"


def shorter_gradient(layer: Layer, facts: Facts) -> str:
    """What keeps the gradient of this layer from growing on its way back."""
    kind, ways = kind_of(layer), []
    if facts.task is not None:
        ways += [] if facts.clip_norm is not None else ["--set clip_norm=1.0"]
        ways += [] if kind == "LSTM" else ["--set cell=lstm"]
        if kind == "RNN" and facts.settings.get("cell.init") not in (None, "orthogonal"):
            ways.append("--set cell.init=orthogonal")
        return ", or ".join([*ways, halved("learning_rate", facts)])
    clipped = "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before each step of the optimiser"
    ways += [] if facts.clip_norm is not None else [clipped]
    ways.append(f"start from torch.nn.init.orthogonal_(model.{weight(layer, 'weight_hh')})")
    if kind == "RNN":
        ways.append("take LSTM({}, {}) in place of RNN".format(*sizes(layer)))
    return ", or ".join(ways)


def raise_bias(layer: Layer, gate: str, value: float = 3.0) -> str:
    """Open a gate from the start: its bias, where it has one of its own."""
    _, units = sizes(layer)
    places = {"LSTM": LSTM.gate_names, "GRU": GRU.gate_names}
    order = places.get(kind_of(layer), ())
    if gate not in order:
        return f"raise the bias of its {gate} gates"
    first = order.index(gate) * units
    bias = weight(layer, "bias_ih" if is_torch(layer) else "bias")
    return f"raise the bias of its {gate} gates before training: model.{bias}.data[{first}:{first + units}] = {value:g}"


def halved(name: str, facts: Facts) -> str:
    """A setting that is a number, at half its value."""
    value = facts.settings.get(name)
    if facts.task is None or not value:
        return f"halve the {name.replace('_', ' ')}"
    return f"--set {name}={value / 2:g}"


def kind_of(layer: Layer) -> str:
    return layer.kind.partition("(")[0]


def sizes(layer: Layer) -> tuple[int, int]:
    """What it reads and what it writes."""
    read, units = map(int, re.findall(r"\d+", layer.kind.partition("(")[2]))
    return read, units


def is_torch(layer: Layer) -> bool:
    """Whether it is a layer of `torch.nn`: `rnn.l0`, or `l0_reverse` of a model that is one."""
    return re.search(r"(^|\.)l\d+(_reverse)?$", layer.name) is not None


def weight(layer: Layer, name: str) -> str:
    """The path of a weight in the model."""
    if not is_torch(layer):
        return f"{layer.name}.{name}"
    path, _, suffix = layer.name.rpartition(".")
    return f"{path}.{name}_{suffix}" if path else f"{name}_{suffix}"


def _setting(kind: str, facts: Facts) -> str:
    ways = []
    if facts.settings.get("pooling") == "last":
        ways.append("--set pooling=max, which is near every step")
    if kind == "RNN":
        relu = "" if facts.settings.get("cell.activation") in (None, "relu") else " --set cell.activation=relu"
        ways += ["--set cell=lstm", f"--set cell.init=identity{relu}"]
    elif kind == "LSTM" and facts.settings.get("cell.init") == "pytorch":
        ways.append("--set cell.init=orthogonal, whose forget gates start open")
    elif kind == "LSTM" and facts.settings.get("cell.forget_bias") is None:
        ways.append("--set cell.forget_bias=3, which keeps 95 % at each step")
    elif kind == "LSTM":
        ways.append("--set cell.forget_gate=false, which keeps everything, as in 1997")
    elif kind == "WindowNet":
        ways.append("--set cell=lstm, or a longer window")
    else:
        ways.append("--set cell=lstm")
    return ", or ".join(ways)


def _relu(layer: Layer) -> str:
    return 'nonlinearity="relu"' if is_torch(layer) else 'activation="relu"'
