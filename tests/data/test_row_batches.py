"""Batches of rows: every row is in exactly one batch, and batches are within their number of steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.row_batches import RowBatches, usual_steps

lengths = st.lists(st.integers(0, 12), max_size=30)
budgets = st.integers(1, 20)
seeds = st.none() | st.integers(0, 5)


@given(lengths, budgets, seeds, st.integers(1, 4))
def test_every_row_is_in_exactly_one_batch_within_the_budget(
    lengths: list[int], steps: int, seed: int | None, number: int
) -> None:
    batches = RowBatches(lengths, steps, seed).epoch(number)
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert batch.rows.dtype == np.int64
        assert batch.num_steps == sum(lengths[row] for row in batch.rows)
        assert len(batch.rows) == 1 or sum(max(lengths[row], 1) for row in batch.rows) <= steps


@given(lengths, budgets, seeds)
def test_no_batch_has_room_for_the_next_row(lengths: list[int], steps: int, seed: int | None) -> None:
    batches = RowBatches(lengths, steps, seed).epoch(1)
    for batch, behind in pairwise(batches):
        assert sum(max(lengths[row], 1) for row in [*batch.rows, behind.rows[0]]) > steps


@given(lengths, budgets)
def test_without_a_seed_rows_stay_in_their_order(lengths: list[int], steps: int) -> None:
    batches = RowBatches(lengths, steps).epoch(3)
    assert [row for batch in batches for row in batch.rows] == list(range(len(lengths)))


def test_epochs_differ_and_repeat() -> None:
    orders = {}
    for seed, number in ((0, 1), (0, 2), (1, 1)):
        orders[seed, number] = [batch.rows.tolist() for batch in RowBatches([1] * 50, 8, seed).epoch(number)]
        assert orders[seed, number] == [batch.rows.tolist() for batch in RowBatches([1] * 50, 8, seed).epoch(number)]
    assert orders[0, 1] != orders[0, 2] != orders[1, 1] != orders[0, 1]


@pytest.mark.parametrize(
    ("lengths", "steps", "message"),
    [
        ([1, 2], 0, r"^RowBatches: expected steps of at least 1, got 0\.$"),
        ([1, -2], 5, r"^RowBatches: expected lengths of at least 0, got -2\.$"),
        ([1.5], 5, r"^RowBatches: expected integer lengths of shape \[B\], got float64 \[1\]\.$"),
        ([[1, 2]], 5, r"^RowBatches: expected integer lengths of shape \[B\], got int64 \[1, 2\]\.$"),
        (np.array([2**64 - 1], np.uint64), 5, "^RowBatches: expected lengths that sum to less than"),
    ],
)
def test_bad_input(lengths: list[int], steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RowBatches(lengths, steps)


@given(st.lists(st.integers(0, 100)))
def test_a_usual_batch_is_32_rows_or_a_64th_of_them(lengths):
    mean = sum(lengths) / max(1, len(lengths))
    assert usual_steps(lengths) == max(1, round(mean * min(32, max(4, len(lengths) / 64))))
