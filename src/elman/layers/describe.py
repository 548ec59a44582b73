"""Summary of a model: its parts, their parameters, and whether native kernels run them."""

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from elman.cells import CellModule
from elman.kernels import cudnn, native
from elman.network import Layer
from elman.network.no_spec import named, spec_metadata
from elman.settings import Settings
from elman.threads import get_num_threads

HEAD = ("  part", "layer", "parameters", "runs in")


def describe(model: Any) -> str:
    """Return a table of the parts of a model, their numbers of parameters, the code that runs them, and the threads.

    The last line reports whether `elman.runtime` runs the model, and whether it runs it step by step.

    *native*: C++ kernels. *reference*: the same computation in PyTorch, with the reason why the kernels do not apply.
    *PyTorch*: a layer without kernels in elman. *PyTorch, step by step*: a Python loop over the steps, the slowest.

    Args:
        model: a cell, a layer, a trained task, or a module of PyTorch, such as one with layers of `elman.nn`; for the
            task in a file, `elman.load(path)`. A model of `elman.runtime` prints its own description.
    Raises:
        TypeError: the model is of another type.
    Example:
        >>> from elman import LSTM, LayerNorm, Linear, Stack
        >>> print(describe(Stack(LSTM(3, 4), LayerNorm(4), Linear(4, 7)).double()))  # doctest: +ELLIPSIS
        Stack(3 -> 7), 171 parameters, float64 on cpu
          part     layer              parameters  runs in
          cells.0  LSTM(3 -> 4)              128  reference: ...
          cells.1  LayerNorm(4 -> 4)           8  PyTorch
          cells.2  Linear(4 -> 7)             35  reference: ...
        ...
    """
    net = getattr(model, "net_", model)
    if not isinstance(net, nn.Module):
        raise TypeError("describe: expected a cell, a layer, a trained task or a module of PyTorch, got "
                        f"{type(model).__name__}{_way_out(model, net)}.")  # fmt: skip
    parts = list(_parts(net))
    rows = [("  " + path, _title(part), f"{_parameters(part):,}", _runner(part)) for path, part in parts]
    alone = "" if parts else f": {_runner(net)}".removesuffix(": ")
    lines = [f"{_title(net)}, {_parameters(net):,} parameters, {_types(net)}{alone}"]
    lines += _table([HEAD, *rows]) if rows else []
    threads = f"{get_num_threads()} of the native kernels ({native.module.isa}), " if native.available() else ""
    lines.append(f"Threads: {threads}{torch.get_num_threads()} of PyTorch.")
    lines.append(f"Without PyTorch (elman.runtime): {_without_torch(net)}.")
    return "\n".join(lines)


def _way_out(model: Any, net: Any) -> str:
    """Return what to do about a model that is not in PyTorch; empty for any other object."""
    if isinstance(model, str | os.PathLike):
        return f"; load it first: describe(elman.load({os.fspath(model)!r})), or print elman.runtime.load(...)"
    if isinstance(net, Layer):
        return ", which runs without PyTorch; print it, or describe elman.load(path)"
    return "; fit it first" if isinstance(model, Settings) else ""


def _parts(net: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield paths and modules: the cells, the layers in them, and other modules with weights of their own."""
    for name, part in net.named_children():
        inner = f"{path}.{name}".removeprefix(".")
        if isinstance(part, CellModule) or (not isinstance(net, CellModule) and part._parameters):
            yield inner, part
        yield from _parts(part, inner)


def _title(part: nn.Module) -> str:
    if isinstance(part, CellModule):
        return f"{type(part).__name__}({part.input_size} -> {part.output_size})"
    options = part.extra_repr()
    return f"{type(part).__name__}({options})" if options else type(part).__name__


def _parameters(part: nn.Module) -> int:
    return sum(weight.numel() for weight in part.parameters())  # tied weights count once


def _types(net: nn.Module) -> str:
    kinds = dict.fromkeys(f"{str(w.dtype).removeprefix('torch.')} on {w.device}" for w in net.parameters())
    return ", ".join(kinds) or "no parameters"


def _runner(part: nn.Module) -> str:
    """Return `native (avx2)`, `reference: weights are float64`, `PyTorch`, ...; empty for a container of cells."""
    if not isinstance(part, CellModule):
        return _native_or_reference(part) if getattr(part, "calls_kernels", False) else "PyTorch"
    has_kernel = part.recurrence() is not None or part.calls_kernels
    if not has_kernel and type(part).scan is CellModule.scan:
        return "PyTorch, step by step"
    if any(isinstance(child, CellModule) for child in part.modules() if child is not part):
        return ""
    if not has_kernel:
        return "PyTorch"
    kernel = part.recurrence()
    if kernel is not None and cudnn.applies(kernel, kernel.weights[0]):
        return "PyTorch's packed kernels (cuDNN)"
    return _native_or_reference(part)


def _native_or_reference(part: nn.Module) -> str:
    """Return the implementation of a part that has kernels."""
    reason = next(_obstacles(part), "")
    return f"reference: {reason}" if reason else f"native ({native.module.isa})"


def _obstacles(part: nn.Module) -> Iterator[str]:
    """Yield the reasons why native kernels do not run a part."""
    if not native.available():
        yield "ELMAN_NATIVE=0" if os.environ.get("ELMAN_NATIVE") == "0" else "installed without native kernels"
    for weight in part.parameters():
        if weight.dtype != torch.float32:
            yield f"weights are {str(weight.dtype).removeprefix('torch.')}"
        if weight.device.type != "cpu":
            yield f"weights are on {weight.device}"
        if not weight.is_contiguous():
            yield "weights are not contiguous"


def _without_torch(net: nn.Module) -> str:
    """Return whether `elman.network` runs a model and its steps, with the reason if not."""
    other = next((weight.dtype for weight in net.parameters() if weight.dtype != torch.float32), None)
    reason = spec_metadata(net).get("no_spec") or (other and f"weights are {str(other).removeprefix('torch.')}")
    if reason:
        return f"no, {reason}"
    if getattr(net, "streams", False):
        return "runs, also step by step"
    whole = [(path, part) for path, part in net.named_modules() if getattr(part, "streams", True) is False]
    path, part = whole[-1] if whole else ("", net)  # the innermost of the last
    return f"runs, but not step by step, because {named(type(part).__name__, path)} reads whole sequences"


def _table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    """Yield the lines of a table, numbers aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for path, title, weights, runner in rows:
        yield f"{path:{widths[0]}}  {title:{widths[1]}}  {weights:>{widths[2]}}  {runner}".rstrip()
