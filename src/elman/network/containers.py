"""Layers that contain layers: stacks, residual connections, output feedback, both directions."""

from itertools import groupby, pairwise
from typing import Any

import numpy as np

from elman.cell import unroll
from elman.network.layer import Layer, flat
from elman.network.spec import LayerSpec
from elman.network.time_loop import Recurrent, scan_recurrences
from elman.sequences import Sequences
from elman.state import State


class Stack(Layer):
    """Chain of layers; the state is the tuple of theirs."""

    kind = "stack"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(len(self.cells) > 0, "at least 1 cell", 0)
        sizes = [self.input_size, *(cell.output_size for cell in self.cells)]
        for cell, size in zip(self.cells, sizes, strict=False):
            spec.check(cell.input_size == size, f"{cell.kind} with an input_size of {size}", cell.input_size)
        for below, above in pairwise(self.cells):
            wanted, got = list(above.step_shape), list(below.output_shape)
            spec.check(wanted == got, f"steps of shape {wanted} as the input of {above.kind}", got)
        spec.check(sizes[-1] == self.output_size, f"an output_size of {sizes[-1]}", self.output_size)
        self.step_shape, self.output_shape = self.cells[0].step_shape, self.cells[-1].output_shape

    def initial_state(self, batch_size: int) -> State:
        return tuple(cell.initial_state(batch_size) for cell in self.cells)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x, state = self.checked_step(x, state)
        after = []
        for cell, before in zip(self.cells, state, strict=True):
            x, new = cell.step(x, before)
            after.append(new)
        return x, tuple(after)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, state = self.checked(sequences, state)
        before = [None] * len(self.cells) if state is None else list(state)
        after: list[State] = []
        for recurrent, group in groupby(self.cells, lambda cell: isinstance(cell, Recurrent)):
            cells = list(group)
            if recurrent:  # one native call runs them as a wavefront, all layers at the same time
                sequences, new = scan_recurrences(cells, sequences, before[len(after) : len(after) + len(cells)])
                after += new
                continue
            for cell in cells:
                sequences, one = cell.scan(sequences, before[len(after)])
                after.append(one)
        return sequences, tuple(after)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        after = []
        for cell in self.cells:
            x, state = cell.add(stepper, x)
            after.append(state)
        return x, tuple(after)


class Residual(Layer):
    """Residual connection around a layer: y = x + cell(x) (He et al. 2016, arXiv:1512.03385)."""

    kind = "residual"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.cell: Layer = spec.cell()
        sizes = self.cell.input_size, self.cell.output_size, self.output_size
        spec.check(set(sizes) == {self.input_size}, f"sizes of {self.input_size}", list(sizes))
        shapes = list(self.cell.step_shape), list(self.cell.output_shape)
        spec.check(shapes[0] == shapes[1], f"a cell with an output of shape {shapes[0]}", shapes[1])
        self.step_shape, self.output_shape = self.cell.step_shape, self.cell.output_shape

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x, state = self.checked_step(x, state)
        y, state = self.cell.step(x, state)
        return x + y, state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, state = self.checked(sequences, state)
        y, state = self.cell.scan(sequences, state)
        return y.map(lambda values: sequences.values + values), state

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        around, state = self.cell.add(stepper, x)
        y = stepper.floats(self.output_size)
        stepper.add_sum(flat(x), flat(around), y)
        return y.reshape(around.shape), state


class OutputFeedback(Layer):
    """Layer that also reads its previous output: y = cell([x, y of the previous step]) (Jordan 1986)."""

    kind = "output_feedback"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.cell: Layer = spec.cell()
        spec.check_shapes(self.cell, (self.input_size + self.output_size,), (self.output_size,))
        spec.check(self.cell.streams, "a cell that streams", f"a {self.cell.kind}, which reads whole sequences")

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size), np.zeros((batch_size, self.output_size), np.float32)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        return self._advance(*self.checked_step(x, state))

    def _advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        inner, before = state
        y, inner = self.cell.step(np.concatenate([x, before], 1), inner)
        return y, (inner, y)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        return unroll(self._advance, *self.checked_with_state(sequences, state))

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        before, joined = stepper.floats(self.output_size), stepper.floats(self.input_size + self.output_size)
        stepper.add_join(x, before, joined)
        y, state = self.cell.add(stepper, joined)
        stepper.add_copy(y, before)
        return y, (state, before)


class Bidirectional(Layer):
    """Two layers that read every row in opposite directions (Schuster and Paliwal 1997)."""

    kind = "bidirectional"
    same_bits = True
    streams = False

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(len(self.cells) == 2, "2 cells", len(self.cells))
        self.forward, self.backward = self.cells
        sizes = [cell.input_size for cell in self.cells]
        spec.check(sizes == 2 * [self.input_size], f"cells with an input_size of {self.input_size}", sizes)
        total = sum(cell.output_size for cell in self.cells)
        spec.check(self.output_size == total, f"an output_size of {total}", self.output_size)
        for cell in self.cells:
            spec.check_shapes(cell, self.forward.step_shape, (cell.output_size,))
        self.step_shape = self.forward.step_shape

    def initial_state(self, batch_size: int) -> State:
        return self.forward.initial_state(batch_size), self.backward.initial_state(batch_size)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, state = self.checked(sequences, state)
        first, last = (None, None) if state is None else state
        if all(isinstance(cell, Recurrent) for cell in self.cells):
            y, after = scan_recurrences(self.cells, sequences, (first, last), both_ways=True)
            return y, tuple(after)
        forward, first = self.forward.scan(sequences, first)
        backward, last = self.backward.scan(sequences.reverse(), last)
        values = np.concatenate([forward.values, backward.reverse().values], 1)
        return sequences.with_values(values), (first, last)


class Reversed(Layer):
    """Layer that reads every row from its last step to its first."""

    kind = "reversed"
    same_bits = True
    streams = False

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.cell: Layer = spec.cell()
        sizes, own = [self.cell.input_size, self.cell.output_size], [self.input_size, self.output_size]
        spec.check(sizes == own, f"a cell from {own[0]} to {own[1]}", f"{sizes[0]} to {sizes[1]}")
        self.step_shape, self.output_shape = self.cell.step_shape, self.cell.output_shape

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, state = self.checked(sequences, state)
        y, state = self.cell.scan(sequences.reverse(), state)
        return y.reverse(), state
