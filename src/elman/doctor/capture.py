"""The traces of a model's recurrences, from one forward and backward pass over real data.

The model is asked once, as it is: its cells, and the recurrent layers of `torch.nn` that it holds, are watched while
the loss is found. Nothing of it changes: no gradient is left in it, and its mode and its generators are as before.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman import state as states
from elman.cells import CellModule
from elman.doctor.recurrences import evaluating, recurrences, watched
from elman.doctor.torch_layers import TorchCall, is_changed, traces_of
from elman.doctor.trace import Trace, follow, numbers
from elman.kernels import native
from elman.sequences import Sequences
from elman.state import State


class Captured(NamedTuple):
    """What was seen.

    Attributes:
        traces: one a recurrence, in the order in which they were first used; none where the loss is not finite.
        loss: its value.
        unseen: of each recurrence without a trace, its path and why.
    """

    traces: list[Trace]
    loss: float
    unseen: dict[str, str]


class _Scan(NamedTuple):
    """A call of a cell's `scan`; what comes of it are tensors of their own, so that each has a gradient of its own."""

    x: Sequences
    initial: State
    y: Tensor
    final: State


def capture(model: nn.Module, loss: Callable[[], Tensor]) -> Captured:
    """Run `loss` once, in evaluation mode, by the references.

    Args:
        loss: finds the loss of `model` on some data: a scalar tensor with a gradient.
    Raises:
        ValueError: the model holds no recurrence, or the loss is no scalar or comes from none.
    """
    cells, layers = recurrences(model)
    if not cells and not layers:
        raise ValueError(f"doctor: expected a model with a recurrence, got {type(model).__name__}, which holds no cell "
                         "of elman and no RNN, LSTM or GRU of torch.nn.")  # fmt: skip
    scans: dict[str, list[_Scan]] = {}
    calls: dict[str, list[TorchCall]] = {}
    unseen: dict[str, str] = {}

    def scan(path: str, cell: CellModule, x: Sequences, state: State | None) -> tuple[Sequences, State]:
        initial = cell.initial_state(len(x)) if state is None else state
        y, final = cell.scan(x, state)
        if not any(prod(leaf.shape[1:]) for leaf in numbers(initial)):
            unseen[path or type(cell).__name__] = "it carries nothing from step to step"
            return y, final
        y, final = y.map(states.separate), states.separate(final)
        scans.setdefault(path, []).append(_Scan(x, initial, y.values, final))
        return y, final

    def call(path: str, _: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        seen, output = TorchCall.of(args, kwargs, output)
        calls.setdefault(path, []).append(seen)
        return output

    with evaluating(model), native.disabled(), torch.enable_grad(), watched(cells, scan, layers, call):
        value = loss()
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"doctor: expected a loss that is a scalar tensor, got a {type(value).__name__}.")
    if not torch.isfinite(value).all():
        return Captured([], value.item(), unseen)
    written = [leaf for found in scans.values() for scan in found for leaf in (scan.y, *states.leaves(scan.final))]
    written += [leaf for found in calls.values() for call in found for leaf in call.written]
    ways = [leaf for leaf in written if leaf.requires_grad]  # not what is found within torch.no_grad
    found = torch.autograd.grad(value.sum(), ways, allow_unused=True) if value.requires_grad and ways else ()
    reached = {id(leaf): one for leaf, one in zip(ways, found, strict=False) if one is not None}
    if not reached:
        raise ValueError("doctor: expected a loss that comes from the model's recurrences, got one without a gradient; "
                         "find it from the model's output, outside of torch.no_grad().")  # fmt: skip
    gradients = iter([reached[id(leaf)] if id(leaf) in reached else torch.zeros_like(leaf) for leaf in written])
    traces = []
    for path, rows in scans.items():
        traces.append(_trace(path, cells[path], rows, gradients))
    for path, made in calls.items():
        new, reason = traces_of(path, layers[path], made, gradients)
        traces += new
        if reason:
            unseen[path or type(layers[path]).__name__] = reason
    for path in {**cells, **layers}.keys() - scans.keys() - calls.keys():
        unseen.setdefault(
            path or type(model).__name__, "the loss does not scan it: it is not used, or steps one by one"
        )
    for path, module in model.named_modules():
        if is_changed(module):
            unseen[path or type(model).__name__] = f"a {type(module).__name__}, whose forward is not that of torch.nn"
    return Captured(traces, value.item(), unseen)


def _trace(path: str, cell: CellModule, scans: list[_Scan], gradients: Iterator[Tensor]) -> Trace:
    """Of all calls of a cell; takes their gradients."""
    double = deepcopy(cell).cpu().double().eval().requires_grad_(False)
    x = Sequences.cat([scan.x for scan in scans]).map(_double)
    initial = states.map(_double, states.cat([scan.initial for scan in scans]))
    parts = []
    for scan in scans:
        gradient = next(gradients)
        parts.append((gradient, states.map(lambda _: next(gradients), scan.final)))
    gradient, final = (states.map(_double, states.cat(list(part))) for part in zip(*parts, strict=True))
    return Trace(path or type(cell).__name__, double, x, initial, follow(double, x, initial), gradient, final)


def _double(leaf: Tensor) -> Tensor:
    leaf = leaf.detach().cpu()
    return leaf.double() if leaf.is_floating_point() else leaf
