"""`RNN`, `LSTM` and `GRU` of `torch.nn` with a `forward` that runs on elman's kernels.

Constructors, weights, checks and error messages are PyTorch's. Where elman's kernels do not apply, or an argument does
not fit, PyTorch's own `forward` runs or raises.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.cells.module import CellModule
from elman.kernels import recurrence
from elman.kernels.memory import new
from elman.kernels.recurrence import Reference
from elman.kernels.torch_threads import survives_fork
from elman.layers.bidirectional import Bidirectional
from elman.nn.batches import Batch, Packed, Padded
from elman.nn.calls import apply, cells_of, compiling, fit, plain, recurrence_of, state_of, texts_of
from elman.nn.tracing import trace
from elman.sequences import Sequences
from elman.state import State

SHORT = 4  # steps of the longest row: with fewer, a call of the kernels has more overhead than PyTorch's steps


class RNN(nn.RNN):
    """`torch.nn.RNN` on elman's kernels.

    Arguments, shapes, weights and errors are those of `torch.nn.RNN`.

    Example:
        >>> y, h = RNN(16, 32, num_layers=2, batch_first=True)(torch.zeros(3, 20, 16))
        >>> y.shape, h.shape
        (torch.Size([3, 20, 32]), torch.Size([2, 3, 32]))
    """

    computes_as_torch = True  # read by elman.doctor
    calls_kernels = True  # read by elman.layers.torch_threads

    @survives_fork
    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        result = _forward(self, input, None if hx is None else (hx,))
        return super().forward(input, hx) if result is None else (result[0], result[1][0])

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        trace(cls)

    def __prepare_scriptable__(self) -> nn.Module:
        return _as_torch(self)


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` on elman's kernels.

    Arguments, shapes, weights and errors are those of `torch.nn.LSTM`.

    Example:
        >>> y, (h, c) = LSTM(16, 32, bidirectional=True)(torch.zeros(20, 3, 16))
        >>> y.shape, c.shape
        (torch.Size([20, 3, 64]), torch.Size([2, 3, 32]))
    """

    computes_as_torch = True  # read by elman.doctor
    calls_kernels = True  # read by elman.layers.torch_threads

    @survives_fork
    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        result = _forward(self, input, hx)
        return super().forward(input, hx) if result is None else result

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        trace(cls)

    def __prepare_scriptable__(self) -> nn.Module:
        return _as_torch(self)


class GRU(nn.GRU):
    """`torch.nn.GRU` on elman's kernels.

    Arguments, shapes, weights and errors are those of `torch.nn.GRU`.

    Example:
        >>> from torch.nn.utils.rnn import pack_sequence
        >>> rows = pack_sequence([torch.zeros(7, 16), torch.zeros(20, 16)], enforce_sorted=False)
        >>> y, h = GRU(16, 32)(rows)
        >>> y.data.shape, h.shape
        (torch.Size([27, 32]), torch.Size([1, 2, 32]))
    """

    computes_as_torch = True  # read by elman.doctor
    calls_kernels = True  # read by elman.layers.torch_threads

    @survives_fork
    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        result = _forward(self, input, None if hx is None else (hx,))
        return super().forward(input, hx) if result is None else (result[0], result[1][0])

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        trace(cls)

    def __prepare_scriptable__(self) -> nn.Module:
        return _as_torch(self)


for _kind in (RNN, LSTM, GRU):
    trace(_kind)


def _forward(module: Any, input: Any, hx: Any) -> tuple[Any, tuple[Tensor, ...]] | None:
    """Return the output and the arrays of the final state, or None if PyTorch's forward must run."""
    if not apply() or not isinstance(hx, list | tuple | None):
        return None
    packed, traced = isinstance(input, PackedSequence), compiling()
    if packed and traced:  # the layout of a packed batch is data, which a compiler does not see
        return _disable_dynamo(_forward)(module, input, hx)
    if not traced:
        module._update_flat_weights()
    x, many = input.data if packed else input, (4 if module.bias else 2) + (module.proj_size > 0)
    flat = [getattr(module, name) for name in module._flat_weights_names] if traced else module._flat_weights
    if packed:
        module.check_input(x, input.batch_sizes)  # PyTorch's LSTM omits this check and reads outside its weights
    if not plain((x, *flat, *(hx or ()))) or x.dim() not in ((2,) if packed else (2, 3)) or not x.numel():
        return None
    batch: Batch = Packed(input) if packed else Padded(input, module.batch_first)
    sizes = _sizes(module)
    weights = [flat[start : start + many] for start in range(0, len(flat), many)]
    fitting = (fit(module.mode, given, *size) for given, size in zip(weights, sizes, strict=True))
    if x.shape[-1] != module.input_size or not all(fitting) or not _state_fits(module, batch, hx):
        return None
    if not traced and batch.longest < SHORT:
        return None
    before = None
    if hx is not None:
        by_layer = (leaf.reshape(len(sizes), -1, leaf.shape[-1]).unbind() for leaf in hx)
        before = [state_of(module.mode, leaves) for leaves in zip(*by_layer, strict=True)]
    cells = texts_of(module.mode, sizes) if traced else cells_of(module, module.mode, sizes)
    y, after = _scan(module, batch, weights, cells, before)
    if not traced and module.mode != "LSTM" and y.requires_grad and batch.shares_memory:
        y = new(*y.shape).copy_(y)  # callers may change the output in place, while the backward pass needs it
    leaves = zip(*map(states.leaves, after), strict=True)
    return batch.output(y), tuple(batch.output_state(_stack(leaf)) for leaf in leaves)


def _state_fits(module: Any, batch: Batch, hx: Any) -> bool:
    """Return whether the arrays of an initial state have the number and shapes that the module expects."""
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
    """Return (inputs, units, outputs) of each layer and direction."""
    ways, units = 2 if module.bidirectional else 1, module.hidden_size
    outputs = module.proj_size or units
    return [(ways * outputs if layer else module.input_size, units, outputs)
            for layer in range(module.num_layers) for _ in range(ways)]  # fmt: skip


def _scan(
    module: Any, batch: Batch, weights: list[list[Tensor]], cells: Sequence[Any], before: list[State] | None
) -> tuple[Tensor, list[State]]:
    """Return the last layer's output and the final states. Layers without dropout between them share one call."""
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
        loop: Reference = partial(_both_ways if both_ways else _stacked, cells[part])
        if both_ways:
            layers[1] = layers[1]._replace(reverse=True)
        state = None if before is None else tuple(before[part])
        y, final = recurrence.scan(layers, y, batch.rows, state, (blank,) * len(layers), loop, both_ways=both_ways)
        after += final
    return y, after


def _stacked(cells: Sequence[CellModule], x: Sequences, state: State | None) -> tuple[Sequences, State]:
    """Scan a stack of cells, without the kernels."""
    after = []
    for cell, before in zip(cells, [None] * len(cells) if state is None else state, strict=True):
        x, new = cell.unrolled(x, before)
        after.append(new)
    return x, tuple(after)


def _both_ways(cells: Sequence[CellModule], x: Sequences, state: State | None) -> tuple[Sequences, State]:
    """Scan the two directions of a layer, without the kernels."""
    return Bidirectional(*cells).unrolled(x, state)


def _stack(leaves: Sequence[Tensor]) -> Tensor:
    return leaves[0][None] if len(leaves) == 1 else torch.stack([*leaves])


def _as_torch(module: nn.Module) -> nn.Module:
    """Return the same module as PyTorch's own class with the same weights, for TorchScript."""
    kind: type[nn.Module] = next(kind for kind in type(module).__mro__ if kind.__module__ == nn.RNNBase.__module__)
    plain: nn.Module = kind.__new__(kind)
    plain.__dict__.update(module.__dict__)
    return plain
