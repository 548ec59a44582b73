"""`RNN`, `LSTM` and `GRU` of `torch.nn`: constructors, weights, checks and messages are PyTorch's, `forward` is ours.

Where elman's kernels do not apply, or what is given does not fit, PyTorch's own `forward` answers, or complains.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.cells.module import CellModule
from elman.kernels import recurrence
from elman.kernels.memory import new
from elman.kernels.recurrence import Reference
from elman.layers.bidirectional import Bidirectional
from elman.nn.batches import Batch, Packed, Padded
from elman.nn.calls import apply, cells_of, fit, plain, recurrence_of, state_of
from elman.sequences import Sequences
from elman.state import State

SHORT = 4  # steps of the longest row: with fewer, preparing a call of the kernels takes longer than PyTorch's steps


class RNN(nn.RNN):
    """`torch.nn.RNN` with another `forward`

    Arguments, shapes, weights and errors are those of `torch.nn.RNN`.

    Example:
        >>> y, h = RNN(16, 32, num_layers=2, batch_first=True)(torch.zeros(3, 20, 16))
        >>> y.shape, h.shape
        (torch.Size([3, 20, 32]), torch.Size([2, 3, 32]))
    """

    computes_as_torch = True  # so that the doctor knows it

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        result = _forward(self, input, None if hx is None else (hx,))
        return super().forward(input, hx) if result is None else (result[0], result[1][0])

    def __prepare_scriptable__(self) -> nn.Module:
        return _as_torch(self)


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` with another `forward`

    Arguments, shapes, weights and errors are those of `torch.nn.LSTM`.

    Example:
        >>> y, (h, c) = LSTM(16, 32, bidirectional=True)(torch.zeros(20, 3, 16))
        >>> y.shape, c.shape
        (torch.Size([20, 3, 64]), torch.Size([2, 3, 32]))
    """

    computes_as_torch = True  # so that the doctor knows it

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        result = _forward(self, input, hx)
        return super().forward(input, hx) if result is None else result

    def __prepare_scriptable__(self) -> nn.Module:
        return _as_torch(self)


class GRU(nn.GRU):
    """`torch.nn.GRU` with another `forward`

    Arguments, shapes, weights and errors are those of `torch.nn.GRU`.

    Example:
        >>> from torch.nn.utils.rnn import pack_sequence
        >>> rows = pack_sequence([torch.zeros(7, 16), torch.zeros(20, 16)], enforce_sorted=False)
        >>> y, h = GRU(16, 32)(rows)
        >>> y.data.shape, h.shape
        (torch.Size([27, 32]), torch.Size([1, 2, 32]))
    """

    computes_as_torch = True  # so that the doctor knows it

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        result = _forward(self, input, None if hx is None else (hx,))
        return super().forward(input, hx) if result is None else (result[0], result[1][0])

    def __prepare_scriptable__(self) -> nn.Module:
        return _as_torch(self)


def _forward(module: Any, input: Any, hx: Any) -> tuple[Any, tuple[Tensor, ...]] | None:
    """The output, and the arrays of the final state; None where PyTorch shall answer."""
    if not apply() or not isinstance(hx, list | tuple | None):
        return None
    module._update_flat_weights()
    packed = isinstance(input, PackedSequence)
    x, flat, many = (
        input.data if packed else input,
        module._flat_weights,
        (4 if module.bias else 2) + (module.proj_size > 0),
    )
    if packed:
        module.check_input(x, input.batch_sizes)  # PyTorch's LSTM does not, and reads what lies behind its weights
    if not plain((x, *flat, *(hx or ()))) or x.dim() not in ((2,) if packed else (2, 3)) or not x.numel():
        return None
    batch: Batch = Packed(input) if packed else Padded(input, module.batch_first)
    sizes = _sizes(module)
    weights = [flat[start : start + many] for start in range(0, len(flat), many)]
    fitting = (fit(module.mode, given, *size) for given, size in zip(weights, sizes, strict=True))
    if x.shape[-1] != module.input_size or not all(fitting) or not _state_fits(module, batch, hx):
        return None
    if batch.longest < SHORT:
        return None
    before = None
    if hx is not None:
        by_layer = (leaf.reshape(len(sizes), -1, leaf.shape[-1]).unbind() for leaf in hx)
        before = [state_of(module.mode, leaves) for leaves in zip(*by_layer, strict=True)]
    y, after = _scan(module, batch, weights, cells_of(module, module.mode, sizes), before)
    if module.mode != "LSTM" and y.requires_grad and batch.lends:
        y = new(*y.shape).copy_(y)  # it is kept for the way back, while PyTorch lets what these two hand out be changed
    leaves = zip(*map(states.leaves, after), strict=True)
    return batch.give(y), tuple(batch.give_state(_stack(leaf)) for leaf in leaves)


def _state_fits(module: Any, batch: Batch, hx: Any) -> bool:
    """Whether the arrays of an initial state are as many and as large as the module carries."""
    if hx is None:
        return True
    lstm, count = module.mode == "LSTM", module.num_layers * (2 if module.bidirectional else 1)
    units = (module.proj_size or module.hidden_size, module.hidden_size)[: 2 if lstm else 1]
    if len(hx) != len(units):
        return False
    fits = all(leaf.shape == batch.state_shape(count, size) for leaf, size in zip(hx, units, strict=True))
    if not fits and isinstance(batch, Packed):  # as above
        module.check_forward_args(batch.packed.data, hx if lstm else hx[0], batch.packed.batch_sizes)
    return fits


def _sizes(module: Any) -> list[tuple[int, int, int]]:
    """(inputs, units, outputs) of each layer and direction."""
    ways, units = 2 if module.bidirectional else 1, module.hidden_size
    outputs = module.proj_size or units
    return [(ways * outputs if layer else module.input_size, units, outputs)
            for layer in range(module.num_layers) for _ in range(ways)]  # fmt: skip


def _scan(
    module: Any, batch: Batch, weights: list[list[Tensor]], cells: list[CellModule], before: list[State] | None
) -> tuple[Tensor, list[State]]:
    """What the last layer writes, and the final states: in one call, as a wave, where nothing is between the layers."""
    both_ways, dropout = module.bidirectional, module.dropout if module.training else 0.0
    together = 2 if both_ways else 1 if dropout else len(cells)
    y, after = batch.steps(), []
    blank = state_of(module.mode, (y, y))
    for first in range(0, len(cells), together):
        if first and dropout:
            y = batch.drop(y, dropout)
        part = slice(first, first + together)
        layers = [
            recurrence_of(module.mode, cell, given) for cell, given in zip(cells[part], weights[part], strict=True)
        ]
        loop: Reference = partial(_upwards, cells[part])
        if both_ways:
            layers[1], loop = layers[1]._replace(reverse=True), Bidirectional(*cells[part]).unrolled
        state = None if before is None else tuple(before[part])
        y, final = recurrence.scan(layers, y, batch.rows, state, (blank,) * len(layers), loop, both_ways=both_ways)
        after += final
    return y, after


def _upwards(cells: Sequence[CellModule], x: Sequences, state: State | None) -> tuple[Sequences, State]:
    """The definition: cells one above the other."""
    after = []
    for cell, before in zip(cells, [None] * len(cells) if state is None else state, strict=True):
        x, new = cell.unrolled(x, before)
        after.append(new)
    return x, tuple(after)


def _stack(leaves: Sequence[Tensor]) -> Tensor:
    return leaves[0][None] if len(leaves) == 1 else torch.stack([*leaves])


def _as_torch(module: nn.Module) -> nn.Module:
    """The same module of PyTorch's own kind, with the same weights: what TorchScript compiles."""
    kind: type[nn.Module] = next(kind for kind in type(module).__mro__ if kind.__module__ == nn.RNNBase.__module__)
    plain: nn.Module = kind.__new__(kind)
    plain.__dict__.update(module.__dict__)
    return plain
