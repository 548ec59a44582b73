"""Ragged batches against lists of rows."""

from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence

from elman import state as states
from elman.sequences import Sequences


class Pair(NamedTuple):
    left: object
    right: object


lengths_of_rows = st.lists(st.integers(0, 6), max_size=6)
some_rows = st.lists(st.integers(0, 6), min_size=1, max_size=6)
full_rows = st.lists(st.integers(1, 6), min_size=1, max_size=6)
TABLE = np.zeros((2, 3))
kinds = st.sampled_from(["numpy", "torch", "pair"])


def build(lengths, kind):
    """Return a batch whose steps have different numbers."""
    steps = sum(lengths)
    values = np.arange(2.0 * steps).reshape(steps, 2)
    if kind == "torch":
        values = torch.from_numpy(values)
    if kind == "pair":
        values = Pair(values, (np.arange(steps), torch.arange(float(steps))))
    return Sequences(values, lengths)


def plain(batch):
    """Return the rows of a batch as lists of numbers, one list per leaf."""
    return [[leaf[a:b].tolist() for a, b in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)]
            for leaf in states.leaves(batch.values)]  # fmt: skip


@given(lengths_of_rows, kinds)
def test_rows_and_times_of_each_step(lengths, kind):
    batch = build(lengths, kind)
    expected = [(row, time) for row, length in enumerate(lengths) for time in range(length)]
    assert list(zip(batch.rows, batch.times, strict=True)) == expected
    assert (len(batch), batch.num_steps) == (len(lengths), len(expected))
    assert batch.offsets.tolist() == [sum(lengths[:row]) for row in range(len(lengths) + 1)]
    assert batch.lengths.dtype == np.int64


@given(lengths_of_rows)
def test_plan_orders_by_time_with_the_longest_rows_first(lengths):
    batch = build(lengths, "numpy")
    plan = batch.plan
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    assert plan.longest_first.tolist() == rows
    steps = [(time, row) for time in range(max(lengths, default=0)) for row in rows if lengths[row] > time]
    assert [(batch.times[step], batch.rows[step]) for step in plan.by_time] == steps
    assert list(plan.alive) == [sum(length > time for length in lengths) for time in range(max(lengths, default=0))]
    assert plan.by_time[plan.back_to_steps].tolist() == list(range(sum(lengths)))
    assert plan.longest_first[plan.back_to_rows].tolist() == list(range(len(lengths)))


@given(lengths_of_rows, kinds)
def test_reverse_turns_every_row(lengths, kind):
    batch = build(lengths, kind)
    turned = batch.reverse()
    assert plain(turned) == [[row[::-1] for row in leaf] for leaf in plain(batch)]
    assert plain(turned.reverse()) == plain(batch)


@given(lengths_of_rows, kinds, st.data())
def test_select_picks_rows(lengths, kind, data):
    batch = build(lengths, kind)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=8)) if lengths else []
    assert plain(batch.select(chosen)) == [[leaf[row] for row in chosen] for leaf in plain(batch)]


@given(some_rows, kinds)
def test_select_counts_from_the_end(lengths, kind):
    batch = build(lengths, kind)
    if kind == "numpy":
        assert plain(batch.select([-1])) == [[leaf[-1]] for leaf in plain(batch)]


@given(lengths_of_rows, kinds, st.data())
def test_split_is_the_inverse_of_cat(lengths, kind, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lengths)), max_size=3)))
    sizes = np.diff([0, *cuts, len(lengths)]).tolist()
    batch = build(lengths, kind)
    parts = batch.split(sizes)
    assert [len(part) for part in parts] == sizes
    assert plain(Sequences.cat(parts)) == plain(batch)
    assert (Sequences.cat(parts).lengths == batch.lengths).all()


def test_split_into_no_parts():
    assert Sequences(np.zeros(0), []).split([]) == []


@given(lengths_of_rows, kinds)
def test_map_is_one_call_on_all_steps(lengths, kind):
    batch = build(lengths, kind)
    calls = []

    def twice(values):
        calls.append(values)
        return states.map(lambda leaf: leaf * 2, values)

    doubled = batch.map(twice)
    assert len(calls) == 1
    assert plain(doubled) == [[[(2 * np.array(x)).tolist() for x in row] for row in leaf] for leaf in plain(batch)]
    assert type(doubled.values) is type(batch.values)


@given(some_rows, kinds)
def test_list_round_trip(lengths, kind):
    batch = build(lengths, kind)
    rows = batch.to_list()
    assert [len(next(states.leaves(row))) for row in rows] == lengths
    assert plain(Sequences.from_list(rows)) == plain(batch)
    assert type(Sequences.from_list(rows).values) is type(batch.values)


@given(lengths_of_rows, st.sampled_from(["numpy", "torch"]), st.booleans(), st.integers(0, 2))
def test_padding_round_trip(lengths, kind, batch_first, spare):
    batch = build(lengths, kind)
    padded = batch.to_padded(fill=-7.0, batch_first=batch_first)
    table = padded if batch_first else padded.swapaxes(0, 1)
    longest = max(lengths, default=0)
    assert table.shape == (len(lengths), longest, 2)
    for row, (length, real) in enumerate(zip(lengths, plain(batch)[0], strict=True)):
        assert table[row].tolist() == real + [[-7.0, -7.0]] * (longest - length)
    namespace = torch if kind == "torch" else np
    wider = namespace.concatenate([padded, namespace.zeros_like(padded)] if spare and longest else [padded],
                                  1 if batch_first else 0)  # fmt: skip
    assert plain(Sequences.from_padded(wider, lengths, batch_first=batch_first)) == plain(batch)


def test_padding_keeps_types_and_tuples():
    batch = Sequences(Pair(torch.arange(3), np.array([True, False, True])), [1, 2])
    padded = batch.to_padded()
    assert padded.left.tolist() == [[0, 0], [1, 2]]
    assert padded.right.tolist() == [[True, False], [False, True]]
    assert padded.left.dtype == torch.int64
    assert padded.right.dtype == bool


@given(full_rows)
def test_padding_equals_torchs(lengths):
    batch = build(lengths, "torch")
    assert torch.equal(batch.to_padded(), pad_sequence(batch.to_list(), batch_first=True))
    assert torch.equal(batch.to_padded(batch_first=False), pad_sequence(batch.to_list()))


@given(full_rows)
def test_packing_equals_torchs(lengths):
    batch = build(lengths, "torch")
    ours, theirs = batch.to_packed(), pack_sequence(batch.to_list(), enforce_sorted=False)
    padded, sizes = pad_packed_sequence(ours, batch_first=True)
    assert torch.equal(padded, batch.to_padded())
    assert sizes.tolist() == lengths
    assert torch.equal(ours.batch_sizes, theirs.batch_sizes)
    for packed in (ours, theirs):
        again = Sequences.from_packed(packed)
        assert plain(again) == plain(batch)
        assert again.lengths.tolist() == lengths


@given(full_rows)
def test_packed_without_sorting(lengths):
    lengths = sorted(lengths, reverse=True)
    batch = build(lengths, "torch")
    packed = pack_padded_sequence(batch.to_padded(), torch.tensor(lengths), batch_first=True)
    assert packed.unsorted_indices is None
    assert plain(Sequences.from_packed(packed)) == plain(batch)


def test_gradients_flow_through_conversions():
    x = torch.arange(6.0, requires_grad=True)
    batch = Sequences(x, [1, 0, 3, 2])
    weights = torch.arange(1.0, 7.0)
    for there in (
        batch.to_padded()[torch.tensor(batch.rows), torch.tensor(batch.times)],
        Sequences.from_padded(batch.to_padded(), batch.lengths).values,
        batch.reverse().reverse().values,
        Sequences.from_packed(batch.select([0, 2, 3]).to_packed()).values,
        Sequences.cat(batch.split([2, 2])).values,
    ):
        (gradient,) = torch.autograd.grad((there * weights).sum(), x)
        assert torch.equal(gradient, weights)


def test_lengths_are_a_copy_of_any_integers():
    lengths = np.array([2, 1], dtype=np.uint8)
    batch = Sequences(np.zeros(3), lengths)
    lengths[0] = 9
    assert batch.lengths.tolist() == [2, 1]
    assert Sequences(torch.zeros(3), torch.tensor([2, 1])).lengths.dtype == np.int64


def test_repr_has_rows_steps_and_leaves():
    assert repr(Sequences(np.zeros((3, 2)), [1, 2])) == "Sequences(2 rows, 3 steps, float64 [3, 2])"


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.zeros(3), [1, 1], r"expected lengths that sum to 3 steps, got 2\."),
        (np.zeros(()), [], r"expected values of shape \[N, \.\.\.\], got a scalar\."),
        (Pair(np.zeros(2), np.zeros(3)), [2], r"expected lengths that sum to 3 steps, got 2\."),
        (np.zeros(1), [2, -1], r"expected lengths of at least 0, got -1\."),
        (np.zeros(3), [[3]], r"expected integer lengths of shape \[B\], got int64 \[1, 1\]\."),
        (np.zeros(3), [1.5, 1.5], r"expected integer lengths of shape \[B\], got float64 \[2\]\."),
        (np.zeros(1), [True], r"expected integer lengths of shape \[B\], got bool \[1\]\."),
    ],
)
def test_wrong_lengths_are_errors(values, lengths, message):
    with pytest.raises(ValueError, match=f"^Sequences: {message}$"):
        Sequences(values, lengths)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], (np.zeros(2), [1, 2]), "ab", None], ids=["list", "in a tuple", "text", "none"]
)
def test_values_must_be_arrays(values):
    with pytest.raises(
        TypeError, match=r"^Sequences: expected NumPy arrays or PyTorch tensors, got (list|str|NoneType)\.$"
    ):
        Sequences(values, [2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: Sequences.from_list([]), ValueError, r"from_list: expected at least one row, got none"),
        (lambda x: Sequences.from_list([(np.zeros(3), np.zeros(2)), (np.zeros(2), np.zeros(3))]), ValueError,
         r"from_list: expected arrays of one length in row 0, got \[2, 3\]"),
        (lambda x: x.split([1, 1]), ValueError, r"split: expected sizes that add up to 3 rows, got \[1, 1\]"),
        (lambda x: x.to_packed(), ValueError, r"to_packed: expected rows with steps"),
        (lambda x: x.select([]).to_packed(), ValueError, r"to_packed: expected rows with steps"),
        (lambda x: Sequences(np.zeros(1), [1]).to_packed(), TypeError, r"to_packed: expected one PyTorch tensor"),
        (lambda x: Sequences.from_padded(TABLE, [1]), ValueError, r"expected lengths of shape \[B=2\], got \[1\]"),
        (lambda x: Sequences.from_padded(TABLE, [4, 1]), ValueError, r"expected lengths up to T=3, got 4"),
        (lambda x: Sequences.from_padded(TABLE, [1.5, 2.5]), ValueError, r"expected integer lengths"),
        (lambda x: Sequences.from_padded(TABLE, [-1, 2]), ValueError, r"expected lengths of at least 0, got -1"),
    ],
)  # fmt: skip
def test_errors_name_the_expected_value(call, error, message):
    with pytest.raises(error, match=message):
        call(Sequences(torch.zeros(3), [2, 0, 1]))


def test_a_mask_instead_of_row_numbers_raises():
    with pytest.raises(TypeError, match=r"expected row numbers, got bool"):
        Sequences(np.zeros(3), [2, 1]).select([True, False])


def test_packed_sequences_of_torch_are_accepted():
    packed = torch.nn.LSTM(2, 3)(pack_sequence([torch.zeros(1, 2), torch.zeros(4, 2)], enforce_sorted=False))[0]
    assert isinstance(packed, PackedSequence)
    assert Sequences.from_packed(packed).lengths.tolist() == [1, 4]
