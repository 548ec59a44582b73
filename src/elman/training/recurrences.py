"""Recurrences of a model: finding them, and temporarily replacing or observing their scans without changing the
model."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

import elman.layers
from elman.cells import CellModule
from elman.sequences import Sequences
from elman.state import State

KINDS = (nn.RNN, nn.LSTM, nn.GRU)
LAYERS = tuple(getattr(elman.layers, name) for name in elman.layers.__all__ if name[0].isupper())

Scan = Callable[[str, CellModule, Sequences, State | None], tuple[Sequences, State]]
Call = Callable[[str, nn.Module, Any, dict[str, Any], Any], Any]


def recurrences(model: nn.Module) -> tuple[dict[str, CellModule], dict[str, nn.Module]]:
    """Return the cells and the recurrent layers of `torch.nn` in a model, each by path.

    Cells are those of elman, such as `LSTM`, or the user's own, without the layers around them.
    """
    cells = {path: module for path, module in model.named_modules() if _is_recurrence(module)}
    layers = {path: module for path, module in model.named_modules() if is_torch_recurrence(module)}
    return cells, layers


@contextmanager
def intercepted(
    cells: Mapping[str, CellModule], scan: Scan, layers: Mapping[str, nn.Module], call: Call
) -> Iterator[None]:
    """Replace the scans of the cells and the outputs of the layers of torch inside a `with` block.

    Args:
        scan: (path, the unchanged cell, sequences, state) -> (sequences, state), in place of the cell's `scan`. Each
            cell scans by itself: layers around it run no kernel over several of them.
        call: (path, layer, args, kwargs, output) -> output, after a layer of torch has been called.
    """
    hooks = []
    try:
        for path, cell in cells.items():
            cell.__dict__["scan"] = _scan(path, _twin(cell), scan)
            cell.__dict__["recurrence"] = lambda: None
        for path, layer in layers.items():
            hooks.append(layer.register_forward_hook(_hook(path, call), with_kwargs=True))
        yield
    finally:
        for cell in cells.values():
            cell.__dict__.pop("scan", None)
            cell.__dict__.pop("recurrence", None)
        for hook in hooks:
            hook.remove()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode inside a `with` block; restore its modes and the random generators
    afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def is_torch_recurrence(module: nn.Module) -> bool:
    """Return whether the module computes PyTorch's own recurrence: a layer of `torch.nn` or of `elman.nn`."""
    own = getattr(type(module), "computes_as_torch", False)
    return any(isinstance(module, kind) and (own or type(module).forward is kind.forward) for kind in KINDS)


def has_own_forward(module: nn.Module) -> bool:
    """Return whether the module is a subclass of a recurrent layer with a different `forward`."""
    return isinstance(module, KINDS) and not is_torch_recurrence(module)


def _is_recurrence(module: nn.Module) -> bool:
    holds = any(isinstance(part, CellModule) for part in module.modules() if part is not module)
    return isinstance(module, CellModule) and not isinstance(module, LAYERS) and not holds and bool(module.streams)


def _scan(path: str, cell: CellModule, scan: Scan) -> Callable[..., Any]:
    def scanned(sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        return scan(path, cell, sequences, state)

    return scanned


def _hook(path: str, call: Call) -> Callable[..., Any]:
    return lambda layer, args, kwargs, output: call(path, layer, args, kwargs, output)


def _twin(cell: CellModule) -> CellModule:
    """Return a shallow copy of the cell, with the same weights, whose `scan` is not replaced."""
    twin: CellModule = object.__new__(type(cell))
    twin.__dict__.update(cell.__dict__)
    return twin
