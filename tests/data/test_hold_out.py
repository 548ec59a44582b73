from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.hold_out import hold_out

parts, seeds = st.floats(0.01, 0.95), st.integers(0, 5)
key_sets = st.lists(st.sets(st.sampled_from("abcdef"), max_size=3), min_size=2, max_size=12)


@given(st.lists(st.sampled_from("abcd"), min_size=2), parts, seeds)
def test_each_class_is_split_by_the_share_and_stays_in_training(labels, part, seed):
    counts = Counter(labels)
    if max(counts.values()) < 2:
        with pytest.raises(ValueError, match="rows has a class or a tag that no other row has, so none can be held"):
            hold_out(labels, part, seed)
        return
    train, held = hold_out(labels, part, seed)
    assert sorted([*train, *held]) == list(range(len(labels)))
    for label, count in counts.items():
        out = sum(labels[row] == label for row in held)
        assert out == (0 if count == 1 else min(count - 1, max(1, round(part * count))))


@given(key_sets, parts, seeds)
def test_every_key_of_a_row_stays_in_training(keys, part, seed):
    try:
        train, held = hold_out(keys, part, seed)
    except ValueError:
        assert all(any(sum(key in other for other in keys) == 1 for key in own) for own in keys)
        return
    assert sorted([*train, *held]) == list(range(len(keys)))
    left = Counter(key for row in train for key in keys[row])
    assert set(left) == set().union(*keys)
    assert len(train) >= 1
    wanted = max(1, round(part * len(keys)))
    assert len(held) <= wanted
    if len(held) < min(wanted, len(keys) - 1):  # no other row could have been held out
        assert all(any(left[key] == 1 for key in keys[row]) for row in train)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), min_size=2, max_size=20), parts, seeds)
def test_rows_of_a_group_go_to_the_same_part(rows, part, seed):
    keys, groups = ["x"] * len(rows), rows
    if len(set(groups)) < 2:
        with pytest.raises(ValueError, match="1 groups has a class or a tag that no other group has"):
            hold_out(keys, part, seed, groups=groups)
        return
    train, held = hold_out(keys, part, seed, groups=groups)
    assert sorted([*train, *held]) == list(range(len(rows)))
    sides = [{groups[row] for row in side} for side in (train, held)]
    assert not sides[0] & sides[1]
    count = len(set(groups))
    assert len(sides[1]) == min(count - 1, max(1, round(part * count)))


def test_a_key_that_only_one_group_has_stays_in_training():
    keys, groups = ["a", "b", "b", "a", "a"], [0, 1, 1, 2, 3]
    for seed in range(20):
        train, held = hold_out(keys, 0.5, seed, groups=groups)
        assert {1, 2} <= set(train)
        assert len(held) == 2


def test_the_rows_held_out_are_a_function_of_the_seed():
    first, again, other = (hold_out(["a"] * 100, 0.2, seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_tags_that_others_have_as_well_change_no_choice():
    plain = hold_out(["a"] * 40, 0.25, 3)
    tagged = hold_out([["noun", "verb", "noun"]] * 40, 0.25, 3)
    for one, other in zip(plain, tagged, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("part", [0.0, 1.0, float("nan")])
def test_a_part_outside_0_to_1_is_an_error(part):
    with pytest.raises(ValueError, match="part between 0 and 1, got"):
        hold_out([0, 0], part)
