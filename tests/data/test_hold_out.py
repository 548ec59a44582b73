import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.hold_out import hold_out


@given(st.lists(st.sampled_from("abcd"), min_size=2), st.floats(0.01, 0.9), st.integers(0, 5))
def test_every_row_is_on_one_side_and_every_class_is_trained_on(labels, fraction, seed):
    counts = {label: labels.count(label) for label in labels}
    if max(counts.values()) < 2:
        with pytest.raises(ValueError, match="at least two rows of a class"):
            hold_out(labels, fraction, seed)
        return
    train, held = hold_out(labels, fraction, seed)
    assert sorted([*train, *held]) == list(range(len(labels)))
    for label, count in counts.items():
        out = sum(labels[row] == label for row in held)
        assert out == (0 if count == 1 else min(count - 1, max(1, round(fraction * count))))


def test_the_seed_chooses_the_rows():
    labels = np.zeros(100)
    first, again, other = (hold_out(labels, 0.2, seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_a_fraction_lies_between_0_and_1():
    with pytest.raises(ValueError, match="fraction between 0 and 1, got 1"):
        hold_out([0, 0], 1.0)
