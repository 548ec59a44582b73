"""Plain PyTorch modules, and changes to the weights of any net."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from elman.cells import GRU, LSTM, CellModule, MinGRU
from elman.sequences import Sequences

GATES = {"LSTM": LSTM.gate_names, "GRU": GRU.gate_names, "MinGRU": MinGRU.gate_names, "RNN": ("",)}


class Reader(nn.Module):
    """Stacked layers of `torch.nn` or cells of elman, with an output at every step or at the last."""

    def __init__(self, *layers: nn.Module, outputs: int = 5, each: bool = True, inputs: nn.Module | None = None):
        super().__init__()
        self.front = inputs or nn.Identity()
        self.body = nn.ModuleDict({"memory": nn.ModuleList(layers)})
        self.readout, self.each = nn.LazyLinear(outputs), each

    def forward(self, x: Tensor) -> Tensor:
        y = self.front(x)
        for layer in self.body["memory"]:
            y = run(layer, y)
        return self.readout(y if self.each else y[:, -1])


def run(layer: nn.Module, x: Tensor) -> Tensor:
    """[B, T, D] -> [B, T, H]"""
    if isinstance(layer, CellModule):
        y = layer.scan(Sequences(x.flatten(0, 1).contiguous(), [x.shape[1]] * len(x)))[0].values
        return y.view(*x.shape[:2], -1)
    return layer(x if layer.batch_first else x.transpose(0, 1))[0].transpose(0, 0 if layer.batch_first else 1)


class Weights(NamedTuple):
    """Weights of one recurrence in one direction, as views: a change is a change of the net."""

    kind: str
    inward: Tensor  # [gates H, D]
    recurrent: Tensor | None  # [gates H, H]
    biases: list[Tensor]  # [gates H] each, summed
    units: int

    def rows(self, gate: str) -> slice:
        gate = "update" if self.kind == "MinGRU" and gate == "forget" else gate  # forget = 1 - update
        place = GATES[self.kind].index(gate)
        return slice(place * self.units, (place + 1) * self.units)


def recurrences(net: nn.Module) -> Iterator[Weights]:
    for module in net.modules():
        kind = type(module).__name__
        if isinstance(module, nn.RNNBase):
            for layer in range(module.num_layers):
                for way in ("", "_reverse")[: 1 + module.bidirectional]:
                    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                    inward, hh, *biases = (getattr(module, f"{name}_l{layer}{way}").data for name in names)
                    yield Weights(kind, inward, hh, biases, module.hidden_size)
        elif isinstance(module, CellModule) and kind == "MinGRU":
            yield Weights(kind, module.weight_ih.data, None, [module.bias.data], module.hidden_size)
        elif isinstance(module, CellModule) and hasattr(module, "weight_hh"):
            weights = (module.weight_ih.data, module.weight_hh.data, [module.bias.data])
            yield Weights(kind, *weights, module.output_size)


def stretch(net: nn.Module, norm: float, layer: int | None = None, init: str = "orthogonal") -> None:
    """Give every recurrent matrix singular values that all equal `norm`."""
    for number, weights in enumerate(recurrences(net)):
        if weights.recurrent is not None and layer in (None, number):
            for block in weights.recurrent.split(weights.units):
                (nn.init.orthogonal_ if init == "orthogonal" else nn.init.eye_)(block).mul_(norm)


def hold(net: nn.Module, gate: str, value: float, share: float = 1.0, layer: int | None = None) -> None:
    """Give a gate, or the whole unit of an RNN, a bias of `value` and small weights, in a fraction of the units."""
    for number, weights in enumerate(recurrences(net)):
        if layer not in (None, number):
            continue
        rows, some = weights.rows(gate), math.ceil(share * weights.units)
        sign = -1 if weights.kind == "MinGRU" and gate == "forget" else 1  # forget = 1 - update
        for matrix in (weights.inward, weights.recurrent):
            if matrix is not None:
                matrix[rows][:some] *= 0.05
        for place, bias in enumerate(weights.biases):
            bias[rows][:some] = sign * value if place == 0 else 0.0


def scale_inputs(net: nn.Module, times: float) -> None:
    """Multiply the input weights by `times`."""
    for weights in recurrences(net):
        weights.inward.mul_(times)


def positive(net: nn.Module) -> None:
    """Make input weights and biases positive, so that a ReLU is never off."""
    for weights in recurrences(net):
        weights.inward.abs_()
        for bias in weights.biases:
            bias.abs_()


def head(net: nn.Module) -> nn.Module:
    return [module for module in net.modules() if type(module).__name__ == "Linear"][-1]


def mislead(net: nn.Module, marker: int | None = None, push: float = 8.0) -> None:
    """Make the outputs depend on the first unit of the last recurrence, which counts steps, or remembers for good that
    input `marker` was on. No other unit reads it."""
    *_, one = recurrences(net)
    for gate in GATES[one.kind]:
        row = one.rows(gate).start
        one.inward[row] = 0
        if one.recurrent is not None:
            one.recurrent[row] = 0
        for place, bias in enumerate(one.biases):
            bias[row] = 0 if place else _bias(one.kind, gate, marker)
        if marker is not None and gate in ("", "input"):
            one.inward[row, marker] = 4.0 if gate == "" else 12.0
    if one.recurrent is not None:
        one.recurrent[:, 0] = 0
    if one.kind == "RNN":
        one.recurrent[0, 0] = 1.0 if marker is None else 2.0
    readout = head(net).weight.data
    readout[:, 0] = 0
    readout[0, 0] = push


def _bias(kind: str, gate: str, marker: int | None) -> float:
    if gate == "":
        return 0.05 if marker is None else 0.0
    if kind == "LSTM":
        biases = {"input": 6.0 if marker is None else -6.0, "forget": 10.0, "output": 6.0}
        return biases.get(gate, 0.05 if marker is None else 3.0)
    update = -3.0 if kind == "MinGRU" else 3.0
    return {"update": update, "reset": 0.0, "candidate": 1.5}[gate]
