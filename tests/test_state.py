"""Operations on states: NumPy and PyTorch arrays, tuples, named tuples and tuples of tuples."""

from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from elman import state as states


class Memory(NamedTuple):
    h: object
    c: object


def build(kind, array, rows):
    """Return a state of `rows` rows whose leaves have different numbers, in the structure `kind`."""
    counter = iter(range(1, 9))

    def leaf(*shape, dtype="float32"):
        size = rows * int(np.prod(shape, dtype=int))
        return array((next(counter) * 100 + np.arange(size)).reshape(rows, *shape).astype(dtype))

    return {
        "array": lambda: leaf(2),
        "vector": lambda: leaf(dtype="int64"),
        "named": lambda: Memory(leaf(2), leaf(3, dtype="float64")),
        "nested": lambda: (leaf(2), (), Memory(leaf(2, 3), (leaf(dtype="int64"),))),
        "nothing": lambda: (),
    }[kind]()


structures = st.sampled_from(["array", "vector", "named", "nested", "nothing"])
kinds = st.sampled_from([np.asarray, torch.from_numpy])
row_counts = st.integers(0, 6)


def same(a, b):
    """Return whether two states are equal in structure, types and numbers."""
    assert type(a) is type(b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    assert a.dtype == b.dtype
    return a.shape == b.shape and bool((a == b).all())


@given(structures, kinds, row_counts, st.data())
def test_select_picks_rows_of_every_leaf(structure, array, rows, data):
    state = build(structure, array, rows)
    chosen = data.draw(st.lists(st.integers(0, rows - 1), max_size=8)) if rows else []
    for leaf, picked in zip(states.leaves(state), states.leaves(states.select(state, chosen)), strict=True):
        assert picked.tolist() == [leaf[row].tolist() for row in chosen]


@given(structures, kinds, row_counts, st.randoms(use_true_random=False))
def test_select_undoes_a_permutation(structure, array, rows, random):
    state = build(structure, array, rows)
    order = np.array(random.sample(range(rows), rows), dtype=int)
    assert same(states.select(states.select(state, order), np.argsort(order)), state)


@given(structures, kinds, st.lists(row_counts, max_size=5))
def test_split_is_the_inverse_of_cat(structure, array, sizes):
    state = build(structure, array, sum(sizes))
    parts = states.split(state, sizes)
    assert len(parts) == len(sizes)
    for part, size in zip(parts, sizes, strict=True):
        assert all(len(leaf) == size for leaf in states.leaves(part))
    if sizes:
        assert same(states.cat(parts), state)


@given(structures, kinds, row_counts, st.data())
def test_where_chooses_row_by_row(structure, array, rows, data):
    mask = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    state = build(structure, array, rows)
    other = states.map(lambda leaf: -leaf, state)
    for condition in (mask, np.array(mask, dtype=bool), torch.tensor(mask, dtype=torch.bool)):
        if torch.is_tensor(condition) and array is np.asarray:
            continue
        chosen = states.where(condition, state, other)
        for a, b, got in zip(states.leaves(state), states.leaves(other), states.leaves(chosen), strict=True):
            assert got.tolist() == [(a if alive else b)[row].tolist() for row, alive in enumerate(mask)]


@given(structures, kinds, row_counts, row_counts)
def test_bytes_give_back_the_state(structure, array, rows, rows_of_example):
    state, example = build(structure, array, rows), build(structure, array, rows_of_example)
    again = states.from_bytes(states.to_bytes(state), example)
    assert same(again, state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.bool])
def test_bytes_keep_the_type(dtype):
    state = (torch.tensor([[1, 0, 1]]).to(dtype),)
    assert same(states.from_bytes(states.to_bytes(state), state), state)


def test_bytes_of_a_tensor_held_twice_or_not_contiguous():
    shared = torch.arange(6.0).reshape(2, 3)
    state = Memory(shared, (shared, shared.T.contiguous().T, shared[:, ::2]))
    assert same(states.from_bytes(states.to_bytes(state), state), state)


def test_restored_state_may_be_written_to():
    for state in (np.zeros((2, 3)), torch.zeros(2, 3)):
        again = states.from_bytes(states.to_bytes(state), state)
        again += 1
        assert again.sum() == 6


def test_map_and_leaves_keep_the_structure():
    state = build("nested", np.asarray, 2)
    doubled = states.map(lambda a, b: a + b, state, state)
    assert type(doubled[2]) is Memory
    assert doubled[1] == ()
    assert [leaf.sum() for leaf in states.leaves(doubled)] == [2 * leaf.sum() for leaf in states.leaves(state)]


def test_detach_cuts_the_graph_and_does_not_change_numpy_arrays():
    weight = torch.ones(2, 3, requires_grad=True)
    state = (weight * 2, np.zeros(2))
    cut = states.detach(state)
    assert not cut[0].requires_grad
    assert cut[1] is state[1]
    assert torch.equal(cut[0], state[0])


def test_operations_are_differentiable():
    x = torch.arange(6.0, requires_grad=True)
    first, second = states.split(states.select(x, [5, 4, 3, 2, 1, 0]), [2, 4])
    joined = states.where([True] * 5 + [False], states.cat([second, first]), torch.zeros(6))
    joined.mul(torch.arange(1.0, 7.0)).sum().backward()
    assert x.grad.tolist() == [4, 3, 2, 1, 0, 5]


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
def test_sizes_must_add_up(array):
    with pytest.raises(ValueError, match=r"state\.split: expected sizes that add up to 5 rows, got \[1, 1\]\."):
        states.split(array(np.zeros(5)), [1, 1])


@pytest.mark.parametrize("mask", [[True, False], np.array([True, False]), [0.0, 1.0]], ids=["list", "array", "floats"])
@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
def test_a_mask_instead_of_row_numbers_raises(array, mask):
    with pytest.raises(TypeError, match=r"row numbers, got (bool|float64); convert a mask with np\.flatnonzero"):
        states.select(array(np.zeros((2, 3))), mask)


@pytest.mark.parametrize(
    "example",
    [np.zeros((1, 4), np.float32), np.zeros((1, 3)), Memory(*np.zeros((2, 1, 3), np.float32)),
     np.zeros((1, 3, 1), np.float32)],
    ids=["size", "type", "more leaves", "axes"],
)  # fmt: skip
def test_bytes_of_another_model_raise(example):
    data = states.to_bytes(np.ones((2, 3), np.float32))
    with pytest.raises(
        ValueError, match=r"state\.from_bytes: leaf [01]: expected .*; these bytes are the state of another model"
    ):
        states.from_bytes(data, example)


def test_bytes_with_more_leaves_raise():
    data = states.to_bytes((np.ones((2, 3)), np.ones(2)))
    with pytest.raises(ValueError, match=r"state\.from_bytes: expected 1 leaves, got 2; .* another model"):
        states.from_bytes(data, np.ones((1, 3)))


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
def test_truncated_bytes_raise(array):
    state = array(np.ones((2, 3)))
    data = states.to_bytes(state)
    for end in range(len(data)):
        with pytest.raises(ValueError, match=r"state\.from_bytes: expected the bytes of a state, got \d+ bytes of"):
            states.from_bytes(data[:end], state)


def test_leaves_that_are_not_arrays_raise():
    with pytest.raises(TypeError, match="expected a NumPy array or a PyTorch tensor, got list"):
        states.cat([[1.0], [2.0]])


@pytest.mark.parametrize("kind", [b'"I32"', b'"BF16"', b'"XX"'])
def test_bytes_of_numbers_of_another_type_raise(kind):
    state = np.ones((1, 3), np.float32)
    with pytest.raises(ValueError, match=r"^state\.from_bytes: .*expected [^\n]*, got [^\n]*$"):
        states.from_bytes(states.to_bytes(state).replace(b'"F32"', kind), state)
