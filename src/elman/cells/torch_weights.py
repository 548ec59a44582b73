"""Recurrent weights in the layout of `torch.nn`, cuDNN and ONNX, with two biases per gate, and their conversion."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman.cells.gru import GRU
from elman.cells.lstm import LSTM
from elman.cells.module import CellModule
from elman.cells.rnn import RNN


class TorchWeights(NamedTuple):
    """Weights of one layer and direction, with G gates in the order of the cell's `gate_names`."""

    weight_ih: Tensor  # [G H, D]
    weight_hh: Tensor  # [G H, H]
    bias_ih: Tensor  # [G H]
    bias_hh: Tensor  # [G H]
    weight_hr: Tensor | None = None  # [P, H] of an LSTM with a projection, whose weight_hh is [G H, P]
    peephole: Tensor | None = None  # [(G - 1) H] of an LSTM with peepholes: i, f, o

    @property
    def common(self) -> tuple[Tensor, ...]:
        """The two matrices and the two biases, which every layer has."""
        return self[:4]

    def merged_bias(self, kind: type[CellModule], reset: str = "after") -> tuple[Tensor, ...]:
        """Return the sum of the two biases, `bias`. For a GRU with the reset after the product, the candidate's two
        biases cannot be added: the second one is returned as `bias_hn`."""
        if kind is not GRU or reset != "after":
            return (self.bias_ih + self.bias_hh,)
        gates = len(self.bias_ih) // 3 * 2
        return torch.cat([self.bias_ih[:gates] + self.bias_hh[:gates], self.bias_ih[gates:]]), self.bias_hh[gates:]

    def to_cell(self, kind: type[CellModule], **settings: Any) -> CellModule:
        """Return a new cell with copies of these weights.

        Args:
            kind: `RNN`, `LSTM` or `GRU`.
            settings: further arguments of its constructor.
        """
        size, hidden = (weight.shape[1] for weight in (self.weight_ih, self.weight_hh))
        tensors = {"weight_ih": self.weight_ih, "weight_hh": self.weight_hh}
        tensors |= zip(("bias", "bias_hn"), self.merged_bias(kind, settings.get("reset", "after")), strict=False)
        if self.weight_hr is not None:
            tensors["weight_hr"] = self.weight_hr
            settings["projection_size"], hidden = self.weight_hr.shape
        if self.peephole is not None:
            tensors["peephole"] = self.peephole
            settings["peephole"] = True
        return with_weights(lambda: kind(size, hidden, init="pytorch", **settings), tensors)

    @classmethod
    def from_cell(cls, cell: RNN | LSTM | GRU) -> "TorchWeights":
        """Return the weights of a cell, with its bias as the first one; the second is zero, except for `bias_hn`."""
        bias_hh = torch.zeros_like(cell.bias)
        if isinstance(cell, GRU) and cell.reset == "after":
            bias_hh[-cell.output_size :] = cell.bias_hn
        ih, hh, bias_ih = (weight.detach() for weight in (cell.weight_ih, cell.weight_hh, cell.bias))
        more = (cell.weight_hr, cell.peephole) if isinstance(cell, LSTM) else ()
        return cls(ih, hh, bias_ih, bias_hh.detach(), *(None if one is None else one.detach() for one in more))


def with_weights(make: Callable[[], CellModule], tensors: Mapping[str, Tensor]) -> CellModule:
    """Return the cell or layer that `make` constructs, with copies of `tensors`, in their dtype and on their device."""
    with torch.random.fork_rng(devices=[]):  # the random initialisation must not advance the caller's generator
        cell = make()
    if tensors:
        like = next(iter(tensors.values()))
        cell.to(like.device, like.dtype).load_state_dict(dict(tensors))
    return cell


def layer_suffixes(layer: Any) -> list[str]:
    """Return the suffixes of the weight names of a `torch.nn.RNN`, `LSTM` or `GRU`: one per layer and direction."""
    return [f"l{number}{suffix}" for number in range(layer.num_layers)
            for suffix in (("", "_reverse") if layer.bidirectional else ("",))]  # fmt: skip


def cell_from_layer(
    layer: Any, suffix: str, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> CellModule:
    """Return one layer and direction of a `torch.nn.RNN`, `LSTM` or `GRU`, or an `RNNCell` with suffix "", as a cell.

    Args:
        dtype: dtype of the weights, in which the biases are added; None for the dtype of the layer.
        device: device of the weights; None for the device of the layer.
    """

    def weight(name: str) -> Tensor:
        return getattr(layer, f"{name}_{suffix}" if suffix else name).detach().to(device=device, dtype=dtype)

    ih, hh = weight("weight_ih"), weight("weight_hh")
    none = hh.new_zeros(len(hh))
    biases = (weight("bias_ih"), weight("bias_hh")) if layer.bias else (none, none)
    weights = TorchWeights(ih, hh, *biases, weight("weight_hr") if getattr(layer, "proj_size", 0) else None)
    if isinstance(layer, nn.LSTM | nn.LSTMCell):
        return weights.to_cell(LSTM)
    if isinstance(layer, nn.GRU | nn.GRUCell):
        return weights.to_cell(GRU)
    return weights.to_cell(RNN, activation=layer.nonlinearity)
