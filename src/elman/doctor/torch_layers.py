"""Recurrent layers of `torch.nn` as cells with the same weights: a trace, and a scan, per layer and direction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.cells import CellModule, LSTMState
from elman.cells.torch_weights import cell_from_layer, layer_suffixes
from elman.doctor.trace import Trace, states_after
from elman.sequences import Sequences
from elman.state import State

Scan = Callable[[CellModule, Sequences, State | None], tuple[Sequences, State]]


class TorchCall(NamedTuple):
    """A call of a `torch.nn.RNN`, `LSTM` or `GRU`."""

    input: Tensor | PackedSequence
    hx: Any
    output: Tensor | PackedSequence
    final: tuple[Tensor, ...]  # h_n, or h_n and c_n

    @classmethod
    def record(cls, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> "tuple[TorchCall, Any]":
        """Return the call, and its result as separate tensors, so that each gets its own gradient."""
        names = _arguments(args, kwargs)
        output, final = result
        if isinstance(output, PackedSequence):
            output = output._replace(data=states.separate(output.data))
        else:
            output = states.separate(output)
        pair = isinstance(final, tuple)
        finals = tuple(states.separate(leaf) for leaf in (final if pair else (final,)))
        return cls(names["input"], names.get("hx"), output, finals), (output, finals if pair else finals[0])

    @property
    def results(self) -> list[Tensor]:
        return [self.output.data if isinstance(self.output, PackedSequence) else self.output, *self.final]


def traces_of(
    path: str, layer: Any, calls: Sequence[TorchCall], gradients: Iterator[Tensor]
) -> tuple[list[Trace], str | None]:
    """Return a trace per layer and direction, or the reason why there is none; consume the gradients of the results."""
    taken = [[next(gradients) for _ in call.results] for call in calls]
    if getattr(layer, "proj_size", 0):
        return [], "the doctor does not support proj_size"
    cells = [cell_from_layer(layer, suffix, torch.double, "cpu").eval() for suffix in layer_suffixes(layer)]
    double = [_Call.convert(layer, call, own) for call, own in zip(calls, taken, strict=True)]
    x = Sequences.cat([call.x for call in double])
    gradient = torch.cat([call.gradient for call in double])
    initial, final = (
        [_state(layer, [leaf[number] for leaf in (torch.cat(parts, 1) for parts in zip(*leaves, strict=True))])
         for number in range(len(cells))]
        for leaves in ([call.initial for call in double], [call.final_gradient for call in double])
    )  # fmt: skip
    return _traces(path, layer, cells, x, initial, gradient, final), None


def cells_of(layer: Any) -> list[CellModule]:
    """Return a cell with the same weights for each layer and direction of a `torch.nn.RNN`, `LSTM` or `GRU`."""
    return [cell_from_layer(layer, suffix).eval() for suffix in layer_suffixes(layer)]


def call_with_scan(
    layer: Any, cells: Sequence[CellModule], args: Sequence[Any], kwargs: dict[str, Any], scan: Scan
) -> tuple[Any, Any]:
    """Return the result of a layer of torch for these arguments if each of its `cells` is scanned by `scan`."""
    arguments = _arguments(args, kwargs)
    x, directions = arguments["input"], 2 if layer.bidirectional else 1
    initial = _initial_states(layer, arguments.get("hx"), len(cells))
    below, order = _rows_of(layer, x)
    final_leaves = []
    for number in range(0, len(cells), directions):
        outputs = []
        for direction in range(directions):
            rows = below.reverse() if direction else below
            y, final = scan(cells[number + direction], rows, initial[number + direction])
            outputs.append((y.reverse() if direction else y).values)
            final_leaves.append(tuple(states.leaves(final)))
        below = below.with_values(torch.cat(outputs, -1))
    data = torch.empty_like(below.values).index_copy_(0, order, below.values)
    packed = isinstance(x, PackedSequence)
    output = x._replace(data=data) if packed else data.view(*x.shape[:-1], data.shape[-1])
    finals = [torch.stack(leaves) for leaves in zip(*final_leaves, strict=True)]
    if not packed and x.dim() == 2:
        finals = [leaf[:, 0] for leaf in finals]
    return output, tuple(finals) if isinstance(layer, nn.LSTM) else finals[0]


class _Call(NamedTuple):
    """A call in float64, as ragged rows."""

    x: Sequences
    initial: list[Tensor]  # [layers and directions, B, H] each
    gradient: Tensor  # [N, H or 2 H]
    final_gradient: list[Tensor]

    @classmethod
    def convert(cls, layer: Any, call: TorchCall, gradients: Sequence[Tensor]) -> "_Call":
        def ragged(like: Any, data: Tensor) -> Sequences:
            data = data.detach().cpu().double()
            if isinstance(like, PackedSequence):
                return Sequences.from_packed(like._replace(data=data))
            if data.dim() == 2:  # one row without a batch
                return Sequences(data, [len(data)])
            batch, steps = data.shape[:2] if layer.batch_first else data.shape[1::-1]
            return Sequences.from_padded(data, [steps] * batch, batch_first=layer.batch_first)

        def by_layer(leaf: Tensor) -> Tensor:
            return (leaf if leaf.dim() == 3 else leaf[:, None]).detach().cpu().double()

        data = call.input.data if isinstance(call.input, PackedSequence) else call.input
        finals = [by_layer(leaf) for leaf in gradients[1:]]
        hx = call.hx if isinstance(call.hx, tuple) else (call.hx,)
        initial = [torch.zeros_like(leaf) for leaf in finals] if call.hx is None else [by_layer(leaf) for leaf in hx]
        return cls(ragged(call.input, data), initial, ragged(call.output, gradients[0]).values, finals)


def _traces(
    path: str,
    layer: Any,
    cells: list[CellModule],
    x: Sequences,
    initial: list[State],
    gradient: Tensor,
    final_gradient: list[State],
) -> list[Trace]:
    """Run the stacked layers again, and return the trace of each with the gradient that the loss sends into it: through
    the outputs of the last layer, and through the final states of all layers above."""
    directions = 2 if layer.bidirectional else 1
    inputs, outputs = [], []
    finals: list[Tensor] = []
    with torch.enable_grad():
        below = x
        for number, cell in enumerate(cells):
            backward = number % 2 and directions == 2
            inputs.append(below.reverse() if backward else below)
            y, final = cell.unrolled(inputs[-1], initial[number])
            finals += states.leaves(final)
            outputs.append((y.values if y.values.requires_grad else y.values.requires_grad_()) * 1)
            if (number + 1) % directions == 0:
                parts = outputs[-directions:]
                if directions == 2:
                    parts = [parts[0], x.with_values(parts[1]).reverse().values]
                below = x.with_values(torch.cat(parts, -1))
    sent = [gradient, *(leaf for state in final_gradient for leaf in states.leaves(state))]
    reached = torch.autograd.grad([below.values, *finals], outputs, sent)
    traces = []
    for number, suffix in enumerate(layer_suffixes(layer)):
        rows, cell = inputs[number].map(Tensor.detach), cells[number].requires_grad_(False)
        after, backward = states_after(cell, rows, initial[number]), directions == 2 and number % 2 == 1
        traces.append(Trace(f"{path}.{suffix}" if path else suffix, cell, rows, initial[number], after,
                            reached[number].detach(), final_gradient[number], backward, path, suffix))  # fmt: skip
    return traces


def _arguments(args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(("input", "hx"), args, strict=False)) | kwargs


def _rows_of(layer: Any, x: Any) -> tuple[Sequences, Tensor]:
    """Return the input of a layer as ragged rows, and the place [N] of each step in that input."""
    if isinstance(x, PackedSequence):
        data, numbers = x.data, x._replace(data=torch.arange(len(x.data)))
        order = Sequences.from_packed(numbers)
    else:
        data, places = x.flatten(0, -2), torch.arange(x[..., 0].numel()).view(x.shape[:-1])
        places = places if layer.batch_first or places.dim() == 1 else places.T
        order = Sequences(places.flatten(), [places.shape[-1]] * (places.numel() // max(places.shape[-1], 1)))
    steps = order.values.to(data.device)
    return order.with_values(data.index_select(0, steps)), steps


def _initial_states(layer: Any, hx: Any, count: int) -> list[State | None]:
    """Return the initial state of each cell of a layer, [B, H] or (h, c); None for zeros."""
    if hx is None:
        return [None] * count
    leaves = [leaf if leaf.dim() == 3 else leaf[:, None] for leaf in (hx if isinstance(hx, tuple) else (hx,))]
    return [_state(layer, [leaf[number] for leaf in leaves]) for number in range(count)]


def _state(layer: Any, leaves: Sequence[Tensor]) -> State:
    return LSTMState(*leaves) if isinstance(layer, nn.LSTM) else leaves[0]
