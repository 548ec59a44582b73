"""How far the gates of a cell are open on real data: what it lets in, keeps and shows."""

from typing import NamedTuple

import numpy as np
import torch

from elman import state as states
from elman.doctor.trace import Trace

BINS = 20  # of a histogram
OPEN, SHUT = 0.95, 0.05  # beyond these a gate is saturated: its own gradient is at most a fifth of the largest
SHOWN = 200  # steps of the first row
CHUNK = 1 << 20  # gate_activations of a gate that are there at once


class Gate(NamedTuple):
    """One gate of a cell, over all steps and units.

    Attributes:
        histogram: [20] share of its gate_activations in equal bins from 0 to 1.
        mean: of the gate_activations.
        open: share of them above 0.95.
        shut: share of them below 0.05.
        half_life: [H] of the memory gate alone (forget; update of a GRU): the steps in which the memory of a unit
            halves where nothing is written to it, -ln 2 / mean ln(opening), from 0 to infinity.
        first_row: [T, H] float32, the gate_activations along the first row, 200 steps at most.
    """

    histogram: np.ndarray
    mean: float
    open: float
    shut: float
    half_life: np.ndarray | None
    first_row: np.ndarray


class _Tally(NamedTuple):
    """What is counted of some steps, to be added to that of others."""

    bins: np.ndarray  # [20]
    total: np.ndarray  # [H]
    logs: np.ndarray  # [H]
    open: int
    shut: int
    steps: int


def gates(trace: Trace) -> dict[str, Gate]:
    """Return the gates of a recurrence by name (`input`, `forget`, ...); empty for a cell without gates.

    It costs what the gates cost in float64, once for every step: 80 ms for 2000 steps of an LSTM of 128 units.
    """
    steps = np.arange(trace.x.num_steps)
    parts = np.array_split(steps, 1 + len(steps) * trace.cell.output_size // CHUNK)
    counted: dict[str, list[_Tally]] = {}
    for part in parts if len(steps) else []:
        for name, opening in _gate_activations(trace, part).items():
            counted.setdefault(name, []).append(_tally(opening))
    if not counted:
        return {}
    first_row = _gate_activations(trace, steps[: min(int(trace.x.lengths[0]), SHOWN)])
    return {name: _gate(name == trace.cell.memory_gate, tallies, first_row[name]) for name, tallies in counted.items()}


def _gate_activations(trace: Trace, steps: np.ndarray) -> dict[str, np.ndarray]:
    with torch.no_grad():
        x = trace.cell.project(states.select(trace.x.values, steps))
        return {name: opening.numpy() for name, opening in trace.cell.gate_activations(x, trace.before(steps)).items()}


def _tally(opening: np.ndarray) -> _Tally:
    places = np.minimum(opening * BINS, BINS - 1).astype(np.int64)
    return _Tally(
        np.bincount(places.ravel(), minlength=BINS),
        opening.sum(0),
        np.log(np.maximum(opening, np.finfo(np.float64).tiny)).sum(0),
        int((opening > OPEN).sum()),
        int((opening < SHUT).sum()),
        len(opening),
    )


def _gate(is_memory: bool, tallies: list[_Tally], first_row: np.ndarray) -> Gate:
    bins, total, logs, opened, shut, steps = (sum(parts[1:], parts[0]) for parts in zip(*tallies, strict=True))
    count = steps * len(total)
    with np.errstate(divide="ignore"):
        half_life = np.log(2) / np.abs(logs / steps) if is_memory else None
    shares = float(total.sum() / count), opened / count, shut / count
    return Gate(bins / count, *shares, half_life, first_row.astype(np.float32))
