"""How far back the data tell something: the loss of a model whose recurrences may look back a few steps only."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells import CellModule
from elman.doctor.limited_context import call_again, cells_of, scan_afresh, steps_afresh
from elman.doctor.recurrences import evaluating, recurrences, watched
from elman.sequences import Sequences
from elman.state import State

ENOUGH = 0.01  # of what the context is worth: what may be missing where it is long enough
ROUNDING = 1e-6  # of the loss


class Context(NamedTuple):
    """The loss by the context that each recurrence has.

    With a context of c, what a recurrence writes at a step comes from the inputs of that step and of the c - 1 before
    it, or, from 32 on, of up to a sixteenth more. A second one above it reads c such outputs, so that both together
    look back 2 c - 2 steps.

    Attributes:
        lengths: [C] contexts in steps, ascending: 1, 2, 4, ..., some around `needed`, and the longest row.
        losses: [C] the loss with each.
        whole: the loss as it is.
    """

    lengths: np.ndarray
    losses: np.ndarray
    whole: float

    @property
    def needed(self) -> int:
        """The shortest context that is long enough, as all longer ones are: its loss is above `whole` by no more than
        1 % of what the context is worth, the highest of the losses less `whole`.

        Of those that were measured: see `too_short`.
        """
        return int(self.lengths[self._short()])

    @property
    def too_short(self) -> int:
        """The longest context that was measured and is not long enough, 0 where there is none.

        `needed` is exact where it is the next number, as it is below 32; else by a sixteenth, unless the steps that
        the measurement may take were used up.
        """
        short = self._short()
        return int(self.lengths[short - 1]) if short else 0

    def _short(self) -> int:
        """How many contexts, from the shortest on, are to be left behind."""
        losses = self.losses[:-1]  # the last context is the longest row
        worth = np.max(losses[np.isfinite(losses)], initial=self.whole) - self.whole
        enough = losses <= self.whole + max(ENOUGH * worth, ROUNDING * abs(self.whole))
        return int(np.flatnonzero(~enough).max(initial=-1)) + 1


def loss_by_context(model: nn.Module, loss: Callable[[], Tensor], most_steps: int = 2_000_000) -> Context | None:
    """Find the loss again and again, each recurrence starting afresh so many steps before each step that it writes.

    Contexts of 1, 2, 4, ... are tried, then some between the last that is too short and the first that is long enough.
    A context of c costs c steps of every recurrence for each step of the data, and 17 at most, by the kernels and
    without gradients, in about 100 MB of memory: for 2000 steps of an LSTM of 128 units it all takes 1 s where rows are
    of 100 steps, 3 s where they are of 1000; of 512 units, 5 s and 17 s.

    Recurrences that step one by one forget nothing, nor do an LSTM with `proj_size` and a kind of `torch.nn` layer
    with a `forward` of its own.

    Args:
        loss: finds the loss of `model` on some data: a scalar tensor.
        most_steps: of all recurrences and contexts together; contexts that would cost more are left out.
    Returns:
        None where the loss scans no recurrence, or where contexts of 1, 2 and 4 would cost too much.
    """
    trial = _Trial(model, loss)
    whole = trial(sys.maxsize)
    rows = np.concatenate([np.zeros(0, np.int64), *trial.rows])
    longest, left = int(rows.max(initial=0)), most_steps
    shorter = [1 << power for power in range((longest - 1).bit_length())] if longest else []
    if not longest or sum(steps_afresh(rows, context) for context in shorter[:3]) > most_steps:
        return None
    losses = {longest: trial(longest)}
    for context in shorter:
        left -= steps_afresh(rows, context)
        if left < 0:
            break
        losses[context] = trial(context)
    while True:
        found = Context(np.array(sorted(losses)), np.array([losses[context] for context in sorted(losses)]), whole)
        context = (found.too_short + found.needed) // 2
        left -= steps_afresh(rows, context)
        if found.needed - found.too_short <= max(1, found.needed // 16) or left < 0:
            return found
        losses[context] = trial(context)


class _Trial:
    """The loss for a context; `rows` are the lengths of what was scanned meanwhile, [B] a scan."""

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
            return scan_afresh(cell, x, state, context)

        def scan_cell(_: str, cell: CellModule, x: Sequences, state: State | None) -> tuple[Sequences, State]:
            return scan(cell, x, state)

        def call(path: str, layer: nn.Module, args: Any, kwargs: dict[str, Any], _: Any) -> Any:
            return call_again(layer, self.within[path], args, kwargs, scan)

        with evaluating(self.model), torch.no_grad(), watched(self.cells, scan_cell, self.layers, call):
            return self.loss().item()
