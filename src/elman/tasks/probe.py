"""Loss of a few rows, which the doctor differentiates, and the activations of the cells that compute it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from elman.cells import CellModule
from elman.cells.activations import Activations, activations
from elman.sequences import Sequences
from elman.state import State
from elman.training.non_finite_layer import reads_backward
from elman.training.recurrences import evaluating, intercepted, recurrences


class ProbeLoss(NamedTuple):
    """Training loss of a few rows without random augmentation, which the doctor differentiates.

    Attributes:
        loss: computes the loss of the task's network.
        texts: the text of each step of the first row, by the path of the part of the network that reads it; the path of
            the whole network is empty. No entry if steps are not text.
    """

    loss: Callable[[], Tensor]
    texts: Mapping[str, Sequence[str]] = {}


def texts_at(path: str, texts: Mapping[str, Sequence[str]]) -> Sequence[str] | None:
    """Return the texts of the steps that a part of a network reads; None if they are unknown."""
    parts = [part for part in texts if not part or f"{path}.".startswith(f"{part}.")]
    return texts[max(parts, key=len)] if parts else None


def activations_of(net: nn.Module, probe: ProbeLoss) -> list[Activations]:
    """Return the activations of each cell that scans a single row while the loss is computed, in order of use."""
    found: list[Activations] = []

    def scan(path: str, cell: CellModule, x: Sequences, state: State | None) -> tuple[Sequences, State]:
        if len(x) == 1 and x.num_steps:
            own = activations(cell, x, state)
            if reads_backward(net, path):
                own = own._replace(values={name: values[::-1] for name, values in own.values.items()})
            texts = texts_at(path, probe.texts)
            fits = texts is not None and len(texts) == x.num_steps
            if own.values:
                found.append(own._replace(name=path, texts=texts if fits else None))
        return cell.scan(x, state)

    cells, _ = recurrences(net)
    with evaluating(net), torch.no_grad(), intercepted(cells, scan, {}, lambda *call: call[-1]):
        probe.loss()
    return found
