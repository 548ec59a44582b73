"""Somebody else's modules, and what can be done to the weights of any net."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from elman.cells import CellModule
from elman.sequences import Sequences

ORDER = {"LSTM": ("write", "keep", "candidate", "read"), "GRU": ("reset", "keep", "candidate"), "RNN": ("",)}


class Reader(nn.Module):
    """Layers on top of one another, `torch.nn`'s or cells of elman, and an answer at every step or at the last."""

    def __init__(self, *layers: nn.Module, answers: int = 5, each: bool = True, inputs: nn.Module | None = None):
        super().__init__()
        self.front = inputs or nn.Identity()
        self.body = nn.ModuleDict({"memory": nn.ModuleList(layers)})
        self.answer, self.each = nn.LazyLinear(answers), each

    def forward(self, x: Tensor) -> Tensor:
        y = self.front(x)
        for layer in self.body["memory"]:
            y = read(layer, y)
        return self.answer(y if self.each else y[:, -1])


def read(layer: nn.Module, x: Tensor) -> Tensor:
    """[B, T, D] -> [B, T, H]"""
    if isinstance(layer, CellModule):
        y = layer.scan(Sequences(x.flatten(0, 1).contiguous(), [x.shape[1]] * len(x)))[0].values
        return y.view(*x.shape[:2], -1)
    return layer(x if layer.batch_first else x.transpose(0, 1))[0].transpose(0, 0 if layer.batch_first else 1)


class Weights(NamedTuple):
    """Of one recurrence in one direction: views, so that a change is one of the net's."""

    kind: str
    inward: Tensor  # [gates H, D]
    recurrent: Tensor | None  # [gates H, H]
    biases: list[Tensor]  # [gates H] each: they add up
    units: int

    def rows(self, gate: str) -> slice:
        place = ("keep", "candidate").index(gate) if self.kind == "MinGRU" else ORDER[self.kind].index(gate)
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


def stretch(net: nn.Module, norm: float, layer: int | None = None, start: str = "orthogonal") -> None:
    """Every recurrent matrix becomes one whose singular values are all `norm`."""
    for number, weights in enumerate(recurrences(net)):
        if weights.recurrent is not None and layer in (None, number):
            for block in weights.recurrent.split(weights.units):
                (nn.init.orthogonal_ if start == "orthogonal" else nn.init.eye_)(block).mul_(norm)


def hold(net: nn.Module, gate: str, value: float, share: float = 1.0, layer: int | None = None) -> None:
    """The gate, or the whole unit of an RNN, has a bias of `value` and next to no weights, in a share of the units."""
    for number, weights in enumerate(recurrences(net)):
        if layer not in (None, number):
            continue
        rows, some = weights.rows(gate), math.ceil(share * weights.units)
        sign = -1 if weights.kind == "MinGRU" and gate == "keep" else 1  # its first gate says what is let in
        for matrix in (weights.inward, weights.recurrent):
            if matrix is not None:
                matrix[rows][:some] *= 0.05
        for place, bias in enumerate(weights.biases):
            bias[rows][:some] = sign * value if place == 0 else 0.0


def read_more(net: nn.Module, times: float) -> None:
    """The weights of what comes in, times larger."""
    for weights in recurrences(net):
        weights.inward.mul_(times)


def positive(net: nn.Module) -> None:
    """What comes in is above zero, and so a relu is never off."""
    for weights in recurrences(net):
        weights.inward.abs_()
        for bias in weights.biases:
            bias.abs_()


def head(net: nn.Module) -> nn.Module:
    return [module for module in net.modules() if type(module).__name__ == "Linear"][-1]


def mislead(net: nn.Module, marker: int | None = None, push: float = 8.0) -> None:
    """The first unit of the last recurrence does what nobody asked for, and the answers hang on it: it counts steps,
    or it remembers for good that the `marker` of the inputs was seen. No other unit reads it."""
    *_, one = recurrences(net)
    for gate in ORDER.get(one.kind, ("keep", "candidate")):
        row = one.rows(gate).start
        one.inward[row] = 0
        if one.recurrent is not None:
            one.recurrent[row] = 0
        for place, bias in enumerate(one.biases):
            bias[row] = 0 if place else _bias(one.kind, gate, marker)
        if marker is not None and gate in ("", "write"):
            one.inward[row, marker] = 4.0 if gate == "" else 12.0
    if one.recurrent is not None:
        one.recurrent[:, 0] = 0
    if one.kind == "RNN":
        one.recurrent[0, 0] = 1.0 if marker is None else 2.0
    answers = head(net).weight.data
    answers[:, 0] = 0
    answers[0, 0] = push


def _bias(kind: str, gate: str, marker: int | None) -> float:
    if gate == "":
        return 0.05 if marker is None else 0.0
    if kind == "LSTM":
        opened = {"write": 6.0 if marker is None else -6.0, "keep": 10.0, "read": 6.0}
        return opened.get(gate, 0.05 if marker is None else 3.0)
    keep = -3.0 if kind == "MinGRU" else 3.0
    return {"keep": keep, "reset": 0.0, "candidate": 1.5}[gate]
