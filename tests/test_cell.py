"""Loop of the reference scans: its results, and its cost, which grows with the number of real steps."""

import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from elman import state as states
from elman.cell import Cell, unroll
from elman.sequences import Sequences


class Decay(Cell):
    """Cell h = h / 2 + x; y = h, which counts the rows of its calls."""

    def __init__(self):
        self.calls = []

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 1))

    def step(self, x, state):
        self.calls.append(len(x))
        h = state / 2 + x
        return h, h


def ragged(lengths):
    return Sequences(np.random.default_rng(0).standard_normal((sum(lengths), 1)), lengths)


@given(st.lists(st.integers(0, 8), max_size=8))
def test_scan_is_the_step_repeated_along_every_row(lengths):
    cell, batch = Decay(), ragged(lengths)
    start = np.arange(len(lengths), dtype=float)[:, None]
    y, final = cell.scan(batch, start)
    values, ends = [], []
    for row, h in zip(batch.to_list(), start, strict=True):
        for x in row:
            h = h / 2 + x
            values.append(h)
        ends.append(h)
    np.testing.assert_array_equal(y.values, np.reshape(values, (-1, 1)))
    np.testing.assert_array_equal(final, np.reshape(ends, (-1, 1)))
    assert y.lengths.tolist() == lengths


@given(st.lists(st.integers(1, 8), max_size=12))
def test_only_unfinished_rows_are_stepped(lengths):
    cell = Decay()
    cell.scan(ragged(lengths))
    alive = [sum(length > time for length in lengths) for time in range(max(lengths, default=0))]
    assert cell.calls == (alive or [0])
    assert sum(cell.calls) == sum(lengths)


UNEVEN = [20_000] + [1] * 500  # padded: 10 million steps


def test_memory_of_numpy_grows_with_the_steps():
    batch = ragged(UNEVEN)
    cell, padded_bytes = Decay(), len(UNEVEN) * max(UNEVEN) * 8
    tracemalloc.start()
    try:
        cell.scan(batch)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < padded_bytes / 4


def test_memory_of_torch_grows_with_the_steps(largest_tensor):
    lengths = [600] + [1] * 300
    batch = Sequences(torch.randn(sum(lengths), 4), lengths)
    with largest_tensor:
        unroll(lambda x, h: (x + h, x + h), batch, torch.zeros(len(lengths), 4))
    assert largest_tensor.elements == 4 * sum(lengths)


def test_finished_rows_keep_their_state():
    batch = Sequences(np.ones((4, 1)), [1, 0, 3])
    _, final = unroll(lambda x, h: (h + x, h + x), batch, np.array([[0.0], [10.0], [20.0]]))
    assert final.tolist() == [[1.0], [10.0], [23.0]]


def test_outputs_without_steps_have_the_usual_structure():
    def step(x, state):
        return (x @ np.ones((2, 3)), x.astype(np.int32)), state

    for lengths in ([], [0], [0, 0]):
        y, final = unroll(step, Sequences(np.zeros((0, 2)), lengths), (np.ones((len(lengths), 5)), ()))
        assert [leaf.shape for leaf in states.leaves(y.values)] == [(0, 3), (0, 2)]
        assert y.values[1].dtype == np.int32
        assert final[0].shape == (len(lengths), 5)
        assert y.lengths.tolist() == lengths


def test_the_initial_state_is_the_default():
    batch = ragged([2, 0, 3])
    with_default, explicit = Decay().scan(batch), Decay().scan(batch, Decay().initial_state(3))
    np.testing.assert_array_equal(with_default[0].values, explicit[0].values)
    np.testing.assert_array_equal(with_default[1], explicit[1])


@pytest.mark.parametrize("rows", [1, 3])
def test_a_state_of_another_batch_is_an_error(rows):
    with pytest.raises(ValueError, match=rf"^scan: expected state of shape \[B=2, \.\.\.\], got \[{rows}, 1\]\.$"):
        Decay().scan(ragged([2, 1]), np.zeros((rows, 1)))


def test_a_cell_without_methods_raises_not_implemented():
    with pytest.raises(NotImplementedError, match="Cell has no initial_state"):
        Cell().initial_state(1)
    with pytest.raises(NotImplementedError, match="Cell has no step"):
        Cell().step(np.zeros(1), ())
