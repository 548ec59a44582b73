"""Search for the first layer whose output is not finite, by running the loss again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman import state as states
from elman.cells.module import CellModule
from elman.kernels import native
from elman.layers import Bidirectional
from elman.sequences import Sequences
from elman.state import State
from elman.training.first_non_finite import (
    FirstNonFinite,
    first_non_finite,
    first_non_finite_gradient,
    first_non_finite_output,
)
from elman.training.tensors import is_finite


class Scan(NamedTuple):
    """A call of a cell's `scan`; `backward` if it reads rows from the last step to the first."""

    path: str
    cell: CellModule
    x: Sequences
    state: State | None
    backward: bool

    def first(self) -> FirstNonFinite | None:
        """Return the first step that is not finite."""
        return self.in_order(first_non_finite(self.cell, self.x, self.state)) if self.cell.streams else None

    def in_order(self, first: FirstNonFinite | None) -> FirstNonFinite | None:
        """Return the same place with its step counted from the start of the row."""
        if first is None or not self.backward:
            return first
        return first._replace(step=int(self.x.lengths[first.row]) - 1 - first.step)


class NonFiniteLayer(NamedTuple):
    """A module whose output is not finite.

    Attributes:
        layer: path of the module, or its type if it is the whole model.
        finite_input: whether its input is finite.
        scan: the innermost scan that contains it.
        first: the first step that is not finite; None if unknown.
    """

    layer: str
    finite_input: bool
    scan: Scan | None
    first: FirstNonFinite | None


def non_finite_layer(model: nn.Module, forward: Callable[[], object]) -> NonFiniteLayer | None:
    """Return the first such module in a run of `forward`: by the reference implementations, which run layer by layer;
    if these stay finite, by the kernels."""
    for run in (native.disabled, nullcontext):
        with run(), _watched(model), torch.no_grad():
            try:
                forward()
                continue
            except _Found as caught:
                found = caught
        stepped = found.scan.first() if found.scan else None
        return NonFiniteLayer(found.layer, found.finite_input, found.scan, stepped or found.at)
    return None


def non_finite_recurrence(model: nn.Module, forward: Callable[[], Tensor]) -> tuple[str, FirstNonFinite] | None:
    """Return path and step of the recurrence whose input, state or gradient is not finite first.

    Args:
        forward: computes the loss, which is finite; its backward pass is run as well.
    """
    scans: list[tuple[Scan, Tensor, State]] = []

    def watch(path: str, cell: CellModule) -> Callable[..., Any]:
        scan = cell.scan

        def watched(*args: Any, **kwargs: Any) -> Any:
            y, final = scan(*args, **kwargs)
            y, final = y.map(states.separate), states.separate(final)
            scans.append((_scan(model, path, cell, *args, **kwargs), y.values, final))
            return y, final

        return watched

    cells = {path: module for path, module in model.named_modules() if _is_recurrence(module)}
    with (
        native.disabled(),
        torch.enable_grad(),
        _replaced({(cell, "scan"): watch(path, cell) for path, cell in cells.items()}),
    ):
        loss = forward()
    for scan, *_ in scans:
        if first := scan.first():
            return scan.path, first
    results = [leaf for _, y, final in scans for leaf in (y, *states.leaves(final))]
    gradients = iter(torch.autograd.grad(loss, results, materialize_grads=True) if results else ())
    incoming = [(next(gradients), states.map(lambda _: next(gradients), final)) for *_, final in scans]
    for (scan, *_), (dy, dfinal) in zip(reversed(scans), reversed(incoming), strict=True):
        if not _all_finite((dy, dfinal)):
            return None
        if first := scan.in_order(first_non_finite_gradient(scan.cell, scan.x, scan.state, dy, dfinal)):
            return scan.path, first
    return None


class _Found(BaseException):
    """Raised by the watched modules."""

    def __init__(self, layer: str, finite_input: bool, at: FirstNonFinite | None):
        self.layer, self.finite_input = layer, finite_input
        self.at = at  # in the output
        self.scan: Scan | None = None


@contextmanager
def _watched(model: nn.Module) -> Iterator[None]:
    """Make every module's `forward`, `scan` and `step` raise `_Found` on an output that is not finite.

    Hooks of PyTorch see `forward` only; a cell is also called by `scan` and `step`.
    """

    def watch(module: nn.Module, path: str, verb: str) -> Callable[..., Any]:
        method = getattr(module, verb)

        def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                output = method(*args, **kwargs)
                if not _all_finite(output):
                    raise _Found(path or type(module).__name__, _all_finite((args, kwargs)), _at(module, output))
            except _Found as found:
                if found.scan is None and verb == "scan" and isinstance(module, CellModule):
                    found.scan = _scan(model, path, module, *args, **kwargs)
                raise
            return output

        return watched

    verbs = [(path, module, verb) for path, module in model.named_modules() for verb in ("forward", "scan", "step")
             if callable(getattr(module, verb, None))]  # fmt: skip
    with _replaced({(module, verb): watch(module, path, verb) for path, module, verb in verbs}):
        yield


def _scan(model: nn.Module, path: str, cell: CellModule, sequences: Sequences, state: State | None = None) -> Scan:
    return Scan(path, cell, sequences, state, reads_backward(model, path))


def reads_backward(model: nn.Module, path: str) -> bool:
    """Return whether the module at this path reads rows from the last step to the first."""
    module, backward = model, False
    for name in path.split(".") if path else []:
        child = module.get_submodule(name)
        backward |= isinstance(module, Bidirectional) and name == "backward_cell"
        module = child
    return backward


def _at(module: nn.Module, output: Any) -> FirstNonFinite | None:
    """Return the first step of an output that is not finite; None if the output has no steps."""
    y = output[0] if isinstance(output, tuple) and output else output
    if isinstance(module, nn.RNNBase):
        return first_non_finite_output(y, module.batch_first, carried=True)
    return first_non_finite_output(y) if isinstance(y, Sequences) else None


def _is_recurrence(module: nn.Module) -> bool:
    """Return whether the module is a cell with a floating-point state that contains no other cell."""
    if not isinstance(module, CellModule) or not module.streams:
        return False
    if any(isinstance(part, CellModule) for part in module.modules() if part is not module):
        return False
    carried = list(states.leaves(module.initial_state(0)))
    return bool(carried) and all(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in carried)


@contextmanager
def _replaced(methods: dict[tuple[nn.Module, str], Callable[..., Any]]) -> Iterator[None]:
    """Replace methods of modules inside a `with` block."""
    own = {(module, verb): module.__dict__.get(verb) for module, verb in methods}
    for (module, verb), method in methods.items():
        module.__dict__[verb] = method
    try:
        yield
    finally:
        for (module, verb), before in own.items():
            if before is None:
                del module.__dict__[verb]
            else:
                module.__dict__[verb] = before


def _all_finite(thing: Any) -> bool:
    if isinstance(thing, Tensor):
        return is_finite(thing)
    if isinstance(thing, dict):
        return all(_all_finite(part) for part in thing.values())
    if isinstance(thing, list | tuple):
        return all(_all_finite(part) for part in thing)
    return _all_finite(thing.values) if isinstance(thing, Sequences) else True
