"""Changes within a row, without PyTorch: differences to the previous step, deviations from the running mean."""

import math
from typing import Any

import numpy as np

from elman.cell import unroll
from elman.network.layer import Layer, flat
from elman.network.pooling import mean, state_after
from elman.network.spec import LayerSpec
from elman.network.states import PreviousStep, RunningSum
from elman.sequences import Sequences
from elman.state import State


class Deviations(Layer):
    """Deviations from the running mean: y[t] = x[t] - (x[1] + ... + x[t]) / t (Atal 1974)."""

    kind = "deviations"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.step_shape = self.output_shape = shape_of(spec)
        spec.check(self.output_size == self.input_size, f"an output_size of {self.input_size}", self.output_size)

    def initial_state(self, batch_size: int) -> RunningSum:
        return RunningSum(np.zeros((batch_size, *self.step_shape), np.float32), np.zeros(batch_size, np.int64))

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, RunningSum]:
        return self._advance(*self.checked_step(x, state))

    def _advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, RunningSum]:
        state = state_after(x, state)
        return x - mean(state), state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        return unroll(self._advance, *self.checked_with_state(sequences, state))

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        total, steps, y = stepper.floats(self.input_size), stepper.integers(), stepper.floats(self.output_size)
        stepper.add_deviations(flat(x), total, steps, y)
        return y.reshape(-1, *self.output_shape), RunningSum(total.reshape(-1, *self.step_shape), steps)


class Differences(Layer):
    """Input with the change since the previous step: y[t] = [x[t], (x[t] - x[t-1]) / scale]; 0 at the first step."""

    kind = "differences"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.step_shape = shape_of(spec)
        self.output_shape = (2 * self.step_shape[0], *self.step_shape[1:])
        expected = f"an output_size of {2 * self.input_size}, twice its input_size"
        spec.check(self.output_size == 2 * self.input_size, expected, self.output_size)
        scale = spec.buffer("scale", self.step_shape[0])
        self.scale = scale.reshape(-1, *[1] * (len(self.step_shape) - 1))

    def initial_state(self, batch_size: int) -> PreviousStep:
        return PreviousStep(np.zeros((batch_size, *self.step_shape), np.float32), np.zeros(batch_size, np.int64))

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, PreviousStep]:
        x, (previous, steps) = self.checked_step(x, state)
        return self._joined(x, previous, steps > 0), PreviousStep(x.copy(), steps + 1)  # the caller may overwrite x

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, PreviousStep]:
        sequences, (previous, steps) = self.checked_with_state(sequences, state)
        x, full = sequences.values, sequences.lengths > 0
        starts = sequences.offsets[:-1][full]
        before, known = np.concatenate([x[:1], x[:-1]]), np.ones(len(x), bool)
        before[starts], known[starts] = previous[full], steps[full] > 0
        last = previous.copy()
        last[full] = x[sequences.offsets[1:][full] - 1]
        y = sequences.with_values(self._joined(x, before, known))
        return y, PreviousStep(last, steps + sequences.lengths)

    def _joined(self, x: np.ndarray, before: np.ndarray, known: np.ndarray) -> np.ndarray:
        change = (x - before) / self.scale * known.reshape(-1, *[1] * len(self.step_shape))
        return np.concatenate([x, change], 1)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        previous, steps, y = stepper.floats(self.input_size), stepper.integers(), stepper.floats(self.output_size)
        scale = np.broadcast_to(self.scale, self.step_shape).reshape(-1)
        stepper.add_differences(flat(x), previous, steps, np.ascontiguousarray(scale), y)
        return y.reshape(-1, *self.output_shape), PreviousStep(previous.reshape(-1, *self.step_shape), steps)


def shape_of(spec: LayerSpec) -> tuple[int, ...]:
    """Return the shape of one step: (D,), or (C, H, W) for a frame.

    Raises:
        ValueError: the shape has another number of axes, or does not have the input size.
    """
    shape = spec.sizes("shape")
    spec.check(len(shape) in (1, 3), "a shape [D] or [C, H, W]", shape)
    spec.check(math.prod(shape) == spec.input_size, f"a shape of {spec.input_size} features", shape)
    return tuple(shape)
