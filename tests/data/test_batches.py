"""Batches hold every document once, whole, within the budget of steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.batches import DocumentBatches
from elman.data.units import BOUNDARY

documents = st.lists(st.lists(st.integers(1, 9), max_size=12).map(np.array), min_size=1, max_size=9)


def read(batches: DocumentBatches) -> list[list[int]]:
    """Return the targets of each row, after a check that its inputs are the same one step later."""
    rows = []
    for batch in batches:
        targets = batch.inputs.map(lambda _, batch=batch: batch.targets).to_list()
        for inputs, target in zip(batch.inputs.to_list(), targets, strict=True):
            assert [*inputs, BOUNDARY] == [BOUNDARY, *target]
            rows.append(target.tolist())
    return rows


@given(documents, st.integers(1, 40), st.integers(0, 5))
def test_every_document_is_a_row(texts: list[np.ndarray], steps: int, number: int) -> None:
    batches = DocumentBatches(texts, steps, seed=3)
    wanted = [[*text, BOUNDARY] for text in texts]
    assert read(batches) == wanted
    assert sorted(read(batches.epoch(number))) == sorted(wanted)
    assert batches.num_steps == sum(map(len, wanted))
    for batch in batches:
        assert (batch.source == -1).all()
        assert len(batch.source) == len(batch.inputs)
        assert batch.inputs.num_steps <= steps or len(batch.inputs) == 1
        assert batch.inputs.values.dtype == batch.targets.dtype == np.int64


@given(documents, st.integers(1, 40))
def test_batches_are_filled(texts: list[np.ndarray], steps: int) -> None:
    lengths = [batch.inputs.lengths for batch in DocumentBatches(texts, steps)]
    assert all(now.sum() + after[0] > steps for now, after in pairwise(lengths))


def test_epochs_differ_and_repeat() -> None:
    documents = [np.full(5, i) for i in range(1, 30)]
    batches, other = DocumentBatches(documents, 20, seed=1), DocumentBatches(documents, 20, seed=2)
    assert read(batches.epoch(0)) == read(batches.epoch(0))
    assert read(batches.epoch(0)) != read(batches.epoch(1))
    assert read(batches.epoch(0)) != read(other.epoch(0))
    assert read(DocumentBatches(documents, 20).epoch(1)) == read(DocumentBatches(documents, 20))


@pytest.mark.parametrize(
    ("texts", "steps", "message"),
    [
        ([], 1, "DocumentBatches: expected at least one document, got none"),
        ([np.array([0])], 1, "DocumentBatches: expected ids above 0 \\(the boundary\\), got 0 in document 0"),
        ([np.array([1])], 0, "DocumentBatches: expected steps of at least 1, got 0"),
    ],
)
def test_bad_input(texts: list[np.ndarray], steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DocumentBatches(texts, steps)
