"""The recurrent layers of `torch.nn` as cells: the same weights and numbers, a trace for each layer and direction."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.cells import CellModule, LSTMState
from elman.cells.torch_weights import cell_from_layer, layer_suffixes
from elman.doctor.trace import Trace, follow
from elman.sequences import Sequences
from elman.state import State

KINDS = (nn.RNN, nn.LSTM, nn.GRU)


class TorchCall(NamedTuple):
    """A call of a `torch.nn.RNN`, `LSTM` or `GRU`."""

    input: Tensor | PackedSequence
    hx: Any
    output: Tensor | PackedSequence
    final: tuple[Tensor, ...]  # h_n, or h_n and c_n

    @classmethod
    def of(cls, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> "tuple[TorchCall, Any]":
        """The call, and its result in tensors of their own."""
        names = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        output, final = result
        if isinstance(output, PackedSequence):
            output = output._replace(data=states.separate(output.data))
        else:
            output = states.separate(output)
        pair = isinstance(final, tuple)
        finals = tuple(states.separate(leaf) for leaf in (final if pair else (final,)))
        return cls(names["input"], names.get("hx"), output, finals), (output, finals if pair else finals[0])

    @property
    def written(self) -> list[Tensor]:
        return [self.output.data if isinstance(self.output, PackedSequence) else self.output, *self.final]


def is_torch_recurrence(module: nn.Module) -> bool:
    """Whether it computes what PyTorch wrote: one of its own, or of `elman.nn`."""
    own = getattr(type(module), "computes_as_torch", False)
    return any(isinstance(module, kind) and (own or type(module).forward is kind.forward) for kind in KINDS)


def is_changed(module: nn.Module) -> bool:
    """Whether it is a kind of one with a `forward` of its own."""
    return isinstance(module, KINDS) and not is_torch_recurrence(module)


def traces_of(
    path: str, layer: Any, calls: Sequence[TorchCall], gradients: Iterator[Tensor]
) -> tuple[list[Trace], str | None]:
    """A trace for each layer and direction, or why there is none; takes the gradients of what the calls wrote."""
    taken = [[next(gradients) for _ in call.written] for call in calls]
    if getattr(layer, "proj_size", 0):
        return [], "an LSTM with proj_size, which is not examined"
    cells = [cell_from_layer(layer, suffix, torch.double, "cpu").eval() for suffix in layer_suffixes(layer)]
    double = [_Call.of(layer, call, given) for call, given in zip(calls, taken, strict=True)]
    x = Sequences.cat([call.x for call in double])
    gradient = torch.cat([call.gradient for call in double])
    initial, final = (
        [state_of(layer, [leaf[number] for leaf in (torch.cat(parts, 1) for parts in zip(*leaves, strict=True))])
         for number in range(len(cells))]
        for leaves in ([call.initial for call in double], [call.final_gradient for call in double])
    )  # fmt: skip
    return _traces(path, layer, cells, x, initial, gradient, final), None


class _Call(NamedTuple):
    """The same in float64 and ragged."""

    x: Sequences
    initial: list[Tensor]  # [layers and directions, B, H] each
    gradient: Tensor  # [N, H or 2 H]
    final_gradient: list[Tensor]

    @classmethod
    def of(cls, layer: Any, call: TorchCall, gradients: Sequence[Tensor]) -> "_Call":
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
        given = [torch.zeros_like(leaf) for leaf in finals] if call.hx is None else [by_layer(leaf) for leaf in hx]
        return cls(ragged(call.input, data), given, ragged(call.output, gradients[0]).values, finals)


def _traces(
    path: str,
    layer: Any,
    cells: list[CellModule],
    x: Sequences,
    initial: list[State],
    gradient: Tensor,
    final_gradient: list[State],
) -> list[Trace]:
    """The layers one above the other, once more, and what the loss sends into each of them: through what the last ones
    write, and through the final states of all those above it."""
    ways = 2 if layer.bidirectional else 1
    read, written = [], []
    finals: list[Tensor] = []
    with torch.enable_grad():
        below = x
        for number, cell in enumerate(cells):
            backward = number % 2 and ways == 2
            read.append(below.reverse() if backward else below)
            y, final = cell.unrolled(read[-1], initial[number])
            finals += states.leaves(final)
            written.append((y.values if y.values.requires_grad else y.values.requires_grad_()) * 1)
            if (number + 1) % ways == 0:
                parts = written[-ways:]
                if ways == 2:
                    parts = [parts[0], x.with_values(parts[1]).reverse().values]
                below = x.with_values(torch.cat(parts, -1))
    sent = [gradient, *(leaf for state in final_gradient for leaf in states.leaves(state))]
    reached = torch.autograd.grad([below.values, *finals], written, sent)
    traces = []
    names = [f"{path}.{suffix}" if path else suffix for suffix in layer_suffixes(layer)]
    for name, cell, x, start, dy, dfinal in zip(names, cells, read, initial, reached, final_gradient, strict=True):
        x, cell = x.map(Tensor.detach), cell.requires_grad_(False)
        traces.append(Trace(name, cell, x, start, follow(cell, x, start), dy.detach(), dfinal))
    return traces


def state_of(layer: Any, leaves: Sequence[Tensor]) -> State:
    return LSTMState(*leaves) if isinstance(layer, nn.LSTM) else leaves[0]
