"""What a model is made of, and what runs each part of it."""

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from elman.cells import LSTM, CellModule, MinGRU, WindowNet
from elman.kernels import cudnn, native
from elman.layers.linear import Linear
from elman.threads import get_num_threads

KERNELS = (LSTM, Linear, MinGRU, WindowNet)  # have kernels of their own, besides those that name a recurrence


def describe(model: Any) -> str:
    """A table: each part of a model, its weights, and what runs it and why; then the threads.

    *Native* is C++, *reference* is the same in PyTorch where C++ does not apply, *PyTorch* is what has no kernel of its
    own here.

    What takes its steps one by one in Python is the slowest; it says so.

    Args:
        model: a cell or a layer of PyTorch, or a trained task.
    Raises:
        TypeError: it is neither.
    Example:
        >>> from elman import LSTM, LayerNorm, Linear, Stack
        >>> print(describe(Stack(LSTM(3, 4), LayerNorm(4), Linear(4, 7)).double()))  # doctest: +ELLIPSIS
        Stack(3 -> 7), 171 weights, float64 on cpu
          cells.0  LSTM(3 -> 4)       128  reference: ...
          cells.1  LayerNorm(4 -> 4)    8  PyTorch
          cells.2  Linear(4 -> 7)      35  reference: ...
        ...
    """
    net = getattr(model, "net_", model)
    if not isinstance(net, CellModule):
        raise TypeError(f"describe: expected a cell, a layer or a trained task, got {type(model).__name__}.")
    parts = [(path, module) for path, module in net.named_modules() if isinstance(module, CellModule) and path]
    rows = [("  " + path, _title(part), f"{_weights(part):,}", _runner(part)) for path, part in parts]
    alone = "" if parts else f": {_runner(net)}"
    lines = [f"{_title(net)}, {_weights(net):,} weights, {_kind(net)}{alone}", *_table(rows)]
    threads = f"{get_num_threads()} of the native kernels ({native.module.isa}), " if native.available() else ""
    lines.append(f"Threads: {threads}{torch.get_num_threads()} of PyTorch.")
    lines.append(f"One step at a time without PyTorch (elman.runtime): {_stepping(net)}.")
    return "\n".join(lines)


def _title(part: CellModule) -> str:
    return f"{type(part).__name__}({part.input_size} -> {part.output_size})"


def _weights(part: nn.Module) -> int:
    return sum(weight.numel() for weight in part.parameters())  # tied ones count once


def _kind(net: nn.Module) -> str:
    kinds = dict.fromkeys(f"{str(w.dtype).removeprefix('torch.')} on {w.device}" for w in net.parameters())
    return ", ".join(kinds) or "no type"


def _runner(part: CellModule) -> str:
    """`native (avx2)`, `reference: weights are float64`, `PyTorch`, ...; empty where its cells say it."""
    fused = part.recurrence() is not None or isinstance(part, KERNELS)
    if not fused and type(part).scan is CellModule.scan:
        return "PyTorch, step by step"
    if any(isinstance(child, CellModule) for child in part.modules() if child is not part):
        return ""
    if not fused:
        return "PyTorch"
    kernel = part.recurrence()
    if kernel is not None and cudnn.applies(kernel, kernel.weights[0]):
        return "PyTorch's packed kernels (cuDNN)"
    reason = next(_obstacles(part), "")
    return f"reference: {reason}" if reason else f"native ({native.module.isa})"


def _obstacles(part: nn.Module) -> Iterator[str]:
    """Why native kernels do not run a part that has one."""
    if not native.available():
        yield "ELMAN_NATIVE=0" if os.environ.get("ELMAN_NATIVE") == "0" else "installed without native kernels"
    for weight in part.parameters():
        if weight.dtype != torch.float32:
            yield f"weights are {str(weight.dtype).removeprefix('torch.')}"
        if weight.device.type != "cpu":
            yield f"weights are on {weight.device}"
        if not weight.is_contiguous():
            yield "weights have gaps in memory"


def _stepping(net: CellModule) -> str:
    if net.streams_natively():
        return "yes"
    if not net.streams:
        return "no, it reads whole sequences"
    if net.spec() is None:
        return "no, it is or holds a cell without a spec"
    return f"no, {next(_obstacles(net))}"


def _table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    """Columns side by side, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for path, title, weights, runner in rows:
        yield f"{path:{widths[0]}}  {title:{widths[1]}}  {weights:>{widths[2]}}  {runner}".rstrip()
