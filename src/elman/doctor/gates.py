"""Gate activations of a cell on real data: their distribution, and how long each unit remembers."""

from typing import NamedTuple

import numpy as np

from elman.doctor.trace import Trace
from elman.representation import brief_fields

BINS = 20  # bins of a histogram
OPEN, CLOSED = (
    0.95,
    0.05,
)  # beyond these a gate is saturated: the slope of its sigmoid is at most a fifth of the largest
SHOWN = 200  # largest number of steps of the first row in a report
CHUNK = 1 << 20  # activations of a gate that are computed at once


@brief_fields
class Gate(NamedTuple):
    """Activations of one gate, over all steps and units.

    Attributes:
        histogram: [20] fraction of the activations in equal bins from 0 to 1.
        mean: mean activation.
        open: fraction of the activations above 0.95.
        closed: fraction of the activations below 0.05.
        half_life: [H] steps in which the memory of a unit halves if nothing is written to it, -ln 2 / mean
            ln(activation), from 0 to infinity. Only for the gate that multiplies the previous state (the forget gate of
            an LSTM, the update gate of a GRU); None for the others.
        first_row: [T, H] float32, activations along the first row, at most 200 steps.
    """

    histogram: np.ndarray
    mean: float
    open: float
    closed: float
    half_life: np.ndarray | None
    first_row: np.ndarray


class _Counts(NamedTuple):
    """Partial sums, over some of the steps."""

    bins: np.ndarray  # [20]
    total: np.ndarray  # [H]
    logs: np.ndarray  # [H]
    open: int
    closed: int
    steps: int


def gates(trace: Trace) -> dict[str, Gate]:
    """Measure the gates of a recurrence, by name: `input`, `forget`, `output`, `reset`, `update`; {} for a cell
    without.

    The cost is that of computing the gates once for every step in float64: 80 ms for 2000 steps of an LSTM of 128
    units.
    """
    steps = np.arange(trace.x.num_steps)
    parts = np.array_split(steps, 1 + len(steps) * trace.cell.output_size // CHUNK)
    counts: dict[str, list[_Counts]] = {}
    for part in parts if len(steps) else []:
        for name, activations in _activations(trace, part).items():
            counts.setdefault(name, []).append(_count(activations))
    if not counts:
        return {}
    first_row = _activations(trace, steps[: min(int(trace.x.lengths[0]), SHOWN)])
    return {name: _gate(parts, first_row[name], name == trace.cell.memory_gate) for name, parts in counts.items()}


def _activations(trace: Trace, steps: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in trace.gate_activations(steps).items()}


def _count(activations: np.ndarray) -> _Counts:
    places = np.minimum(activations * BINS, BINS - 1).astype(np.int64)
    return _Counts(
        np.bincount(places.ravel(), minlength=BINS),
        activations.sum(0),
        np.log(np.maximum(activations, np.finfo(np.float64).tiny)).sum(0),
        int((activations > OPEN).sum()),
        int((activations < CLOSED).sum()),
        len(activations),
    )


def _gate(counts: list[_Counts], first_row: np.ndarray, keeps_memory: bool) -> Gate:
    bins, total, logs, opened, closed, steps = (sum(parts[1:], parts[0]) for parts in zip(*counts, strict=True))
    count = steps * len(total)
    with np.errstate(divide="ignore"):
        half_life = np.log(2) / np.abs(logs / steps) if keeps_memory else None
    fractions = float(total.sum() / count), opened / count, closed / count
    return Gate(bins / count, *fractions, half_life, first_row.astype(np.float32))
