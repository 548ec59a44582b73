"""Loss by context: the loss of a model whose recurrences see only the last few inputs before each step."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman import state as states
from elman.cells import CellModule
from elman.doctor.torch_layers import call_with_scan, cells_of
from elman.representation import brief_fields
from elman.rows import Rows
from elman.sequences import Sequences
from elman.state import State
from elman.training.recurrences import evaluating, intercepted, recurrences

ENOUGH = 0.01  # fraction of the context's gain that may be missing where a context is long enough
ROUNDING = 1e-6  # fraction of the loss
CHUNK = 1 << 23  # values of the windows that are scanned at once: 32 MiB in float32


@brief_fields
class Context(NamedTuple):
    """Loss by the context that each recurrence sees.

    With a context of c, the output of a recurrence at a step depends on the input of that step and on the c - 1 inputs
    before it (from c = 32 on, up to a sixteenth more). A second recurrence on top sees c such outputs, so that both
    together see 2 c - 1 inputs.

    Attributes:
        lengths: [C] contexts in steps, ascending: 1, 2, 4, ..., some around `needed`, and the longest row.
        losses: [C] the loss with each.
        full: loss with the full context.
    """

    lengths: np.ndarray
    losses: np.ndarray
    full: float

    @property
    def needed(self) -> int:
        """Shortest measured context from which on the loss is at most 1 % of the gain above `full`.

        The gain is the highest of the losses minus `full`. For the precision of the context, see `too_short`.
        """
        return int(self.lengths[self._short()])

    @property
    def too_short(self) -> int:
        """Longest measured context below `needed`; 0 if there is none.

        `needed` is exact if it is the next integer, as it is below 32. Otherwise it is known to a sixteenth, unless the
        budget of steps ran out.
        """
        short = self._short()
        return int(self.lengths[short - 1]) if short else 0

    def _short(self) -> int:
        """Return the number of contexts, from the shortest on, up to the last that is not long enough."""
        losses = self.losses[:-1]  # the last context is the longest row
        gain = np.max(losses[np.isfinite(losses)], initial=self.full) - self.full
        enough = losses <= self.full + max(ENOUGH * gain, ROUNDING * abs(self.full))
        return int(np.flatnonzero(~enough).max(initial=-1)) + 1


def loss_by_context(model: nn.Module, loss: Callable[[], Tensor], max_steps: int = 2_000_000) -> Context | None:
    """Compute the loss for several contexts, by restarting every recurrence a few steps before each of its outputs.

    Contexts of 1, 2, 4, ... are tried first, then some between the last that is too short and the first that is long
    enough. A context of c costs c steps of every recurrence for each step of the data, and 17 at most, by the kernels
    and without gradients, in about 100 MB of memory. For 2000 steps of an LSTM of 128 units all contexts take 1 s in
    rows of 100 steps, 3 s in rows of 1000; of 512 units, 5 s and 17 s.

    The context of recurrences that the model steps one by one is not limited, nor is that of an LSTM with `proj_size`
    or of a subclass of a `torch.nn` layer with a `forward` of its own.

    Args:
        loss: computes the loss of `model` on some data: a scalar tensor.
        max_steps: budget for all recurrences and contexts together; contexts that would exceed it are skipped.
    Returns:
        None if the loss scans no recurrence, or if contexts of 1, 2 and 4 would exceed the budget.
    """
    trial = _Trial(model, loss)
    full = trial(sys.maxsize)
    rows = np.concatenate([np.zeros(0, np.int64), *trial.rows])
    longest, left = int(rows.max(initial=0)), max_steps
    shorter = [1 << power for power in range((longest - 1).bit_length())] if longest else []
    if not longest or sum(limited_steps(rows, context) for context in shorter[:3]) > max_steps:
        return None
    losses = {longest: trial(longest)}
    for context in shorter:
        left -= limited_steps(rows, context)
        if left < 0:
            break
        losses[context] = trial(context)
    while True:
        found = Context(np.array(sorted(losses)), np.array([losses[context] for context in sorted(losses)]), full)
        context = (found.too_short + found.needed) // 2
        left -= limited_steps(rows, context)
        if found.needed - found.too_short <= max(1, found.needed // 16) or left < 0:
            return found
        losses[context] = trial(context)


def limited_scan(cell: CellModule, x: Sequences, state: State | None, context: int) -> tuple[Sequences, State]:
    """Scan with limited context: run the cell's kernel on windows that start from its initial state.

    Every output depends on `context` inputs or up to a sixteenth more, because that many neighbours end one window
    together. The first `context` steps of a row are scanned once, from `state`.
    """
    if x.lengths.max(initial=0) <= context:
        return cell.scan(x, state)
    first, later = np.flatnonzero(x.times < context), np.flatnonzero(x.times >= context)
    y, final = cell.scan(Sequences(states.select(x.values, first), np.minimum(x.lengths, context)), state)
    outputs, finals = [y.values], []
    starts = later[(x.times[later] - context) % _stride(context) == 0]  # first output of each window
    sizes = np.minimum(_stride(context), x.offsets[1:][x.rows[starts]] - starts) + context - 1
    parts = 1 + int(sizes.sum()) * (cell.input_size + 6 * cell.output_size) // CHUNK
    for part in np.array_split(np.arange(len(starts)), parts):
        windows = Rows(sizes[part])
        steps = starts[part][windows.rows] - context + 1 + windows.times
        y, last = cell.scan(Sequences(states.select(x.values, steps), windows), None)
        outputs.append(states.select(y.values, np.flatnonzero(windows.times >= context - 1)))
        finals.append(last)
    order = np.argsort(np.concatenate([first, later]))
    ending = np.searchsorted(starts, x.offsets[1:] - 1, side="right") - 1  # the window with the last step of each row
    last = states.select(states.cat(finals), np.maximum(ending, 0))
    y = x.with_values(states.select(states.cat(outputs), order))
    return y, states.where(x.lengths > context, last, final)


def limited_steps(lengths: np.ndarray, context: int) -> int:
    """Return the steps that `limited_scan` takes for rows of these lengths [B]: at most about 17 times their sum."""
    windows = -(np.minimum(context - lengths, 0) // _stride(context))
    return int((lengths + windows * (context - 1)).sum())


def _stride(context: int) -> int:
    """Return the number of outputs at the end of one window."""
    return max(1, context // 16)


class _Trial:
    """Loss with a given context; `rows` are the lengths of the scanned rows, [B] per scan."""

    def __init__(self, model: nn.Module, loss: Callable[[], Tensor]):
        self.model, self.loss = model, loss
        self.cells, layers = recurrences(model)
        self.layers = {path: layer for path, layer in layers.items() if not getattr(layer, "proj_size", 0)}
        with evaluating(model):
            self.within = {path: cells_of(layer) for path, layer in self.layers.items()}
        self.rows: list[np.ndarray] = []

    def __call__(self, context: int) -> float:
        self.rows = []

        def scan(cell: CellModule, x: Sequences, state: State | None) -> tuple[Sequences, State]:
            self.rows.append(x.lengths)
            return limited_scan(cell, x, state, context)

        def scan_cell(_: str, cell: CellModule, x: Sequences, state: State | None) -> tuple[Sequences, State]:
            return scan(cell, x, state)

        def call(path: str, layer: nn.Module, args: Any, kwargs: dict[str, Any], _: Any) -> Any:
            return call_with_scan(layer, self.within[path], args, kwargs, scan)

        with evaluating(self.model), torch.no_grad(), intercepted(self.cells, scan_cell, self.layers, call):
            return self.loss().item()
