"""Edits, counted as jiwer counts them."""

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.metrics import edit_distances, error_rate
from elman.metrics.edits import AT_ONCE, closest

WORDS = st.lists(st.sampled_from("abc"), max_size=12)


def of_oracle(hypothesis, reference):
    found = jiwer.process_words([" ".join(reference)], [" ".join(hypothesis)])
    return found.substitutions + found.deletions + found.insertions


@given(st.lists(st.tuples(WORDS, WORDS.filter(bool)), min_size=1, max_size=8))
def test_any_rows_count_as_for_jiwer(pairs):
    found, true = map(list, zip(*pairs, strict=True))
    assert edit_distances(found, true).tolist() == [of_oracle(*pair) for pair in pairs]
    assert error_rate(found, true) == jiwer.wer([" ".join(row) for row in true], [" ".join(row) for row in found])


@given(st.lists(st.tuples(WORDS, WORDS), max_size=6))
def test_a_distance_is_one(pairs):
    found, true = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    there = edit_distances(found, true)
    assert there.tolist() == edit_distances(true, found).tolist()
    assert not edit_distances(found, found).any()
    for distance, (a, b) in zip(there, pairs, strict=True):
        assert abs(len(a) - len(b)) <= distance <= max(len(a), len(b))


def test_rows_of_very_different_lengths_in_several_tables():
    draw = np.random.default_rng(0)
    lengths = [(0, 0), (0, 9), (700, 3), (3, 700), (900, 950), *draw.integers(0, 30, (5000, 2)).tolist()]
    rows, true = ([draw.integers(0, 5, length).tolist() for length in side] for side in zip(*lengths, strict=True))
    assert sum(map(len, true)) + len(true) > AT_ONCE
    found = edit_distances(rows, true)
    assert found[:2].tolist() == [0, 9]
    for row in (2, 3, 4, *range(5, len(lengths), 97)):
        if true[row]:
            assert found[row] == of_oracle(map(str, rows[row]), map(str, true[row]))


def test_units_are_whatever_can_be_compared():
    assert edit_distances(
        ["kitten", ["kitten"], [("a", 1), 2, None]], ["sitting", ["sitting"], [("a", 1), 2]]
    ).tolist() == [
        3,
        1,
        1,
    ]
    assert error_rate(["ab"], ["abcd"]) == 0.5


def test_the_closest_reference_is_the_one_that_counts():
    edits = closest([["a", "b"], [], ["x"]], [[["c", "d", "e"], ["a", "b", "c"], ["a"]], [["a"], []], [["y"]]])
    assert (edits.counts.tolist(), edits.sizes.tolist()) == ([1, 0, 1], [3, 0, 1])
    assert edits.rate == 0.5
    assert closest([["a"]], [[[]]]).rate is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: edit_distances(["a"], []), "expected as many hypotheses as references, got 1 and 0"),
        (lambda: error_rate([["a"]], [[]]), "expected references with units, got 1 empty ones"),
        (lambda: closest([["a"], ["b"]], [[["a"]], []]), "row 1: .*expected at least one reference, got none"),
        (lambda: closest([], [[["a"]]]), "expected references for each hypothesis, got 0 and 1"),
    ],
)
def test_rows_that_cannot_be_compared_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
