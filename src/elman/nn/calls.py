"""Conversion of the layers of `torch.nn` modules for elman's kernels, and the checks for whether these apply."""

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from elman import cells
from elman.cells import LSTMState
from elman.cells.module import CellModule
from elman.cells.torch_weights import TorchWeights
from elman.kernels import native, transforms
from elman.kernels.marshal import Options, Recurrence
from elman.kernels.native import GATES, KINDS
from elman.kernels.recurrence_operator import cell_text
from elman.state import State

MODES = {  # mode of a torch.nn module: kind and activation
    "RNN_TANH": ("rnn", "tanh"),
    "RNN_RELU": ("rnn", "relu"),
    "LSTM": ("lstm", "tanh"),
    "GRU": ("gru_after", "tanh"),
}
PLAIN = (Tensor, nn.Parameter)  # a subclass may override operations
_is_exporting = getattr(torch.compiler, "is_exporting", bool)  # since PyTorch 2.7


def apply() -> bool:
    """Return whether the kernels may run: they are available, and PyTorch's operations are not observed by an exporter,
    tracer, function transform, autocast or dispatch mode."""
    if not native.available() or torch.is_autocast_enabled("cpu"):
        return False
    if torch.compiler.is_compiling():
        return compiling()
    return not transforms.active() and not torch._C._len_torch_dispatch_stack() and not torch._C._is_tracing()


def compiling() -> bool:
    """Return whether `torch.compile` traces the call; `torch.export` gets PyTorch's operators instead."""
    return torch.compiler.is_dynamo_compiling() and not _is_exporting()


def plain(tensors: Iterable[Any]) -> bool:
    """Return whether all tensors are dense, float32 and on the CPU."""
    return all(
        type(tensor) in PLAIN and tensor.dtype is torch.float32 and tensor.is_cpu and tensor.layout is torch.strided
        for tensor in tensors
    )


def fit(mode: str, weights: Sequence[Tensor], inputs: int, units: int, outputs: int) -> bool:
    """Return whether the weights of a layer, in PyTorch's order, are contiguous and have the shapes of its sizes."""
    size = GATES[KINDS.index(MODES[mode][0])] * units
    shapes = [(size, inputs), (size, outputs), *[(size,)] * (len(weights) - (2 if outputs == units else 3))]
    shapes += [(outputs, units)] if outputs != units else []
    return all(w.shape == shape and w.is_contiguous() for w, shape in zip(weights, shapes, strict=True))


def recurrence_of(mode: str, cell: CellModule | str, weights: Sequence[Tensor]) -> Recurrence:
    """Return one layer in the form that the kernels read.

    Args:
        cell: cell whose loop replaces the kernels where they do not apply, or its text.
        weights: weight_ih, weight_hh, bias_ih and bias_hh if there are biases, weight_hr if there is a projection.
    """
    kind, activation = MODES[mode]
    weight_ih, weight_hh, *two = weights
    projection = (two.pop(),) if len(two) % 2 else ()
    bias_ih, bias_hh = two or [weight_hh.new_zeros(len(weight_hh))] * 2
    kinds = {"LSTM": cells.LSTM, "GRU": cells.GRU}
    biases = TorchWeights(weight_ih, weight_hh, bias_ih, bias_hh).merged_bias(kinds.get(mode, cells.RNN))
    own = (weight_ih, weight_hh, *biases, *projection)
    return Recurrence(kind, cell, own, activation, options=Options(projection=True) if projection else None)


_cells: WeakKeyDictionary[nn.Module, list[CellModule]] = WeakKeyDictionary()


def cells_of(module: nn.Module, mode: str, sizes: Sequence[tuple[int, int, int]]) -> list[CellModule]:
    """Return cells for the layers of a module, of (inputs, units, outputs) each: the reference, for double backward.

    The cells get the module's weights at each call. They are stored outside the module, so that its `state_dict`,
    copies and pickles are the same as PyTorch's.
    """
    kept = _cells.get(module)
    if kept is None:
        with torch.device("meta"):
            kept = _cells[module] = [_cell(mode, *size) for size in sizes]
    return kept


def texts_of(mode: str, sizes: Sequence[tuple[int, int, int]]) -> tuple[str, ...]:
    """Return the cells of `cells_of` as text, for an operator."""
    with torch.device("meta"):
        return tuple(cell_text(_cell(mode, *size)) for size in sizes)


texts_of._dynamo_marked_constant = True  # type: ignore[attr-defined]  # assume_constant_result, without its slow import


def _cell(mode: str, inputs: int, units: int, outputs: int) -> CellModule:
    if mode == "LSTM":
        return cells.LSTM(inputs, units, init="pytorch", projection_size=None if outputs == units else outputs)
    if mode == "GRU":
        return cells.GRU(inputs, units, init="pytorch")
    return cells.RNN(inputs, units, activation=MODES[mode][1], init="pytorch")


def state_of(mode: str, leaves: Sequence[Any]) -> State:
    """Return the state of one layer, given h, or h and c."""
    return LSTMState(*leaves) if mode == "LSTM" else leaves[0]
