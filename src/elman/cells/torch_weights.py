"""A recurrence as `torch.nn`, cuDNN and ONNX hold it, with two biases a gate, and as a cell here."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman.cells.gru import GRU
from elman.cells.lstm import LSTM
from elman.cells.module import CellModule
from elman.cells.rnn import RNN


class TwoBiases(NamedTuple):
    """The weights of one layer and direction; G gates in PyTorch's order: i, f, g, o of an LSTM, r, z, n of a GRU; an
    LSTM without a forget gate has no f."""

    weight_ih: Tensor  # [G H, D]
    weight_hh: Tensor  # [G H, H]
    bias_ih: Tensor  # [G H]
    bias_hh: Tensor  # [G H]
    weight_hr: Tensor | None = None  # [P, H] of an LSTM with a projection, whose weight_hh is [G H, P]
    peephole: Tensor | None = None  # [(G - 1) H] of an LSTM with peepholes: i, f, o

    @property
    def usual(self) -> tuple[Tensor, ...]:
        """The four that every layer has."""
        return self[:4]

    def joined(self, kind: type[CellModule], reset: str = "after") -> tuple[Tensor, ...]:
        """`bias`, the sum of the two where they meet; a GRU's with the reset after the product, whose candidate keeps
        them apart, and `bias_hn`."""
        if kind is not GRU or reset != "after":
            return (self.bias_ih + self.bias_hh,)
        gates = len(self.bias_ih) // 3 * 2
        return torch.cat([self.bias_ih[:gates] + self.bias_hh[:gates], self.bias_ih[gates:]]), self.bias_hh[gates:]

    def cell(self, kind: type[CellModule], **settings: Any) -> CellModule:
        """A cell of these weights.

        Args:
            kind: `RNN`, `LSTM` or `GRU`.
            settings: of its constructor.
        """
        size, hidden = (weight.shape[1] for weight in (self.weight_ih, self.weight_hh))
        tensors = {"weight_ih": self.weight_ih, "weight_hh": self.weight_hh}
        tensors |= zip(("bias", "bias_hn"), self.joined(kind, settings.get("reset", "after")), strict=False)
        if self.weight_hr is not None:
            tensors["weight_hr"] = self.weight_hr
            settings["projection_size"], hidden = self.weight_hr.shape
        if self.peephole is not None:
            tensors["peephole"] = self.peephole
            settings["peephole"] = True
        return holding(lambda: kind(size, hidden, init="pytorch", **settings), tensors)

    @classmethod
    def of(cls, cell: RNN | LSTM | GRU) -> "TwoBiases":
        """Those of a cell; what is one bias there is the first one here, and the second is zero."""
        bias_hh = torch.zeros_like(cell.bias)
        if isinstance(cell, GRU) and cell.reset == "after":
            bias_hh[-cell.output_size :] = cell.bias_hn
        ih, hh, bias_ih = (weight.detach() for weight in (cell.weight_ih, cell.weight_hh, cell.bias))
        more = (cell.weight_hr, cell.peephole) if isinstance(cell, LSTM) else ()
        return cls(ih, hh, bias_ih, bias_hh.detach(), *(None if one is None else one.detach() for one in more))


def holding(make: Callable[[], CellModule], tensors: Mapping[str, Tensor]) -> CellModule:
    """A new cell or layer with copies of these weights, in their type and on their device."""
    with torch.random.fork_rng(devices=[]):  # it starts at random, and the draws of others stay as they are
        cell = make()
    if tensors:
        like = next(iter(tensors.values()))
        cell.to(like.device, like.dtype).load_state_dict(dict(tensors))
    return cell


def suffixes(layer: Any) -> list[str]:
    """What the names of a `torch.nn.RNN`'s, `LSTM`'s or `GRU`'s weights end in: one a layer and direction, in order."""
    return [f"l{number}{way}" for number in range(layer.num_layers)
            for way in (("", "_reverse") if layer.bidirectional else ("",))]  # fmt: skip


def cell_of(
    layer: Any, suffix: str, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> CellModule:
    """The cell of one layer and direction of a `torch.nn.RNN`, `LSTM` or `GRU`, or of an `RNNCell`, ... with suffix "".

    Args:
        dtype: of its weights, in which the biases are added up; None for the layer's own.
        device: of its weights; None for the layer's own.
    """

    def weight(name: str) -> Tensor:
        return getattr(layer, f"{name}_{suffix}" if suffix else name).detach().to(device=device, dtype=dtype)

    ih, hh = weight("weight_ih"), weight("weight_hh")
    none = hh.new_zeros(len(hh))
    biases = (weight("bias_ih"), weight("bias_hh")) if layer.bias else (none, none)
    weights = TwoBiases(ih, hh, *biases, weight("weight_hr") if getattr(layer, "proj_size", 0) else None)
    if isinstance(layer, nn.LSTM | nn.LSTMCell):
        return weights.cell(LSTM)
    if isinstance(layer, nn.GRU | nn.GRUCell):
        return weights.cell(GRU)
    return weights.cell(RNN, activation=layer.nonlinearity)
