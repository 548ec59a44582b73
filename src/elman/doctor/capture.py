"""Traces of a model's recurrences, from one forward and backward pass over real data.

The loss is computed once while the cells and the recurrent layers of `torch.nn` in the model are observed. The model
does not change: no gradient is left in it, and its mode and the random generators are restored.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman import state as states
from elman.cells import CellModule
from elman.doctor.torch_layers import TorchCall, traces_of
from elman.doctor.trace import Trace, float_leaves, states_after
from elman.kernels import native
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.state import State
from elman.training.non_finite_layer import reads_backward
from elman.training.recurrences import evaluating, has_own_forward, intercepted, recurrences


@brief_fields
class Captured(NamedTuple):
    """Traces of a model.

    Attributes:
        traces: one per recurrence, in order of first use; empty if the loss is not finite.
        loss: value of the loss.
        skipped: path of each recurrence without a trace, and the reason.
    """

    traces: list[Trace]
    loss: float
    skipped: dict[str, str]


class _Scan(NamedTuple):
    """A call of a cell's `scan`; its results are separate tensors, so that each gets its own gradient."""

    x: Sequences
    initial: State
    y: Tensor
    final: State


def capture(model: nn.Module, loss: Callable[[], Tensor]) -> Captured:
    """Run `loss` once, in evaluation mode, by the reference implementations.

    Args:
        loss: computes the loss of `model` on some data: a scalar tensor with a gradient.
    Raises:
        ValueError: the model has no recurrence, or the loss is not a scalar or does not depend on one.
    """
    cells, layers = recurrences(model)
    if not cells and not layers:
        raise ValueError(f"doctor: expected a model with a recurrence, got {type(model).__name__}, which has no cell "
                         "of elman and no RNN, LSTM or GRU of torch.nn.")  # fmt: skip
    scans: dict[str, list[_Scan]] = {}
    calls: dict[str, list[TorchCall]] = {}
    skipped: dict[str, str] = {}

    def scan(path: str, cell: CellModule, x: Sequences, state: State | None) -> tuple[Sequences, State]:
        initial = cell.initial_state(len(x)) if state is None else state
        y, final = cell.scan(x, state)
        if not any(prod(leaf.shape[1:]) for leaf in float_leaves(initial)):
            skipped[path or type(cell).__name__] = "it carries no state from step to step"
            return y, final
        y, final = y.map(states.separate), states.separate(final)
        scans.setdefault(path, []).append(_Scan(x, initial, y.values, final))
        return y, final

    def call(path: str, _: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        recorded, output = TorchCall.record(args, kwargs, output)
        calls.setdefault(path, []).append(recorded)
        return output

    with evaluating(model), native.disabled(), torch.enable_grad(), intercepted(cells, scan, layers, call):
        value = loss()
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"doctor: expected a loss that is a scalar tensor, got a {type(value).__name__}.")
    if not torch.isfinite(value).all():
        return Captured([], value.item(), skipped)
    results = [leaf for own in scans.values() for scan in own for leaf in (scan.y, *states.leaves(scan.final))]
    results += [leaf for own in calls.values() for call in own for leaf in call.results]
    gradients = _gradients(value, results)
    traces = []
    for path, own in scans.items():
        traces.append(_trace(path, cells[path], own, gradients, reads_backward(model, path)))
    for path, own_calls in calls.items():
        new, reason = traces_of(path, layers[path], own_calls, gradients)
        traces += new
        if reason:
            skipped[path or type(layers[path]).__name__] = reason
    for path in {**cells, **layers}.keys() - scans.keys() - calls.keys():
        skipped.setdefault(
            path or type(model).__name__, "the loss does not scan it: it is unused, or stepped one by one"
        )
    for path, module in model.named_modules():
        if has_own_forward(module):
            skipped[path or type(model).__name__] = f"a {type(module).__name__}, whose forward is not that of torch.nn"
    return Captured(traces, value.item(), skipped)


def _gradients(value: Tensor, results: list[Tensor]) -> Iterator[Tensor]:
    """Yield the gradient of the loss with respect to each result; zero if the loss does not depend on it."""
    differentiable = [leaf for leaf in results if leaf.requires_grad]  # not those computed within torch.no_grad
    found = (
        torch.autograd.grad(value.sum(), differentiable, allow_unused=True)
        if value.requires_grad and differentiable
        else ()
    )
    reached = {id(leaf): one for leaf, one in zip(differentiable, found, strict=False) if one is not None}
    if not reached:
        raise ValueError("doctor: expected a loss that depends on the model's recurrences, got one without a gradient; "
                         "compute it from the model's output, outside of torch.no_grad().")  # fmt: skip
    return iter([reached[id(leaf)] if id(leaf) in reached else torch.zeros_like(leaf) for leaf in results])


def _trace(path: str, cell: CellModule, scans: list[_Scan], gradients: Iterator[Tensor], backward: bool) -> Trace:
    """Join all calls of a cell into one trace; consume the gradients of their results."""
    double = deepcopy(cell).cpu().double().eval().requires_grad_(False)
    x = Sequences.cat([scan.x for scan in scans]).map(_double)
    initial = states.map(_double, states.cat([scan.initial for scan in scans]))
    parts = []
    for scan in scans:
        gradient = next(gradients)
        parts.append((gradient, states.map(lambda _: next(gradients), scan.final)))
    gradient, final = (states.map(_double, states.cat(list(part))) for part in zip(*parts, strict=True))
    after = states_after(double, x, initial)
    return Trace(path or type(cell).__name__, double, x, initial, after, gradient, final, backward, path)


def _double(leaf: Tensor) -> Tensor:
    leaf = leaf.detach().cpu()
    return leaf.double() if leaf.is_floating_point() else leaf
