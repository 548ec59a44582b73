"""Top k of many scores against sorting in Python."""

import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from elman.kernels.best import best, reference
from elman.threads import get_num_threads, set_num_threads

few = st.sampled_from([-np.inf, -100.0, -1.0, -0.0, 0.0, 0.5, 1.0, 90.0])  # many of them equal
rows = st.lists(few, min_size=1, max_size=200)


def sorted_in_python(row, k):
    ids = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
    total = np.logaddexp.reduce(np.array(row, np.float64))
    return ids, [row[i] - total if row[i] > -np.inf else -np.inf for i in ids]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(row=rows, data=st.data())
def test_equals_sorting(dtype, row, data):
    k = data.draw(st.integers(0, len(row)))
    ids, log_probs = best(np.array([row], dtype), k)
    expected = sorted_in_python(row, k)
    assert ids.dtype == np.int64
    assert log_probs.dtype == np.float64
    assert ids[0].tolist() == expected[0]
    np.testing.assert_allclose(log_probs[0], expected[1], rtol=1e-6, atol=2e-6)


@pytest.mark.needs_native
@pytest.mark.parametrize("size", [1, 2, 15, 64, 127, 1000, 8000, 30_011])
def test_native_equals_the_reference(size):
    generator = np.random.default_rng(size)
    for scores in (
        generator.normal(0, 3, (5, size)).astype(np.float32),
        np.sort(generator.normal(0, 3, (2, size)).astype(np.float32)),
        generator.integers(0, 4, (3, size)).astype(np.float32),
        np.full((1, size), -7, np.float32),
    ):
        for k in {1, 5, 17, 64, 200, size} & set(range(size + 1)):
            for found, wanted in zip(best(scores, k), reference(scores, k), strict=True):
                np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-6)


def test_tensors_and_strided_arrays_are_read():
    scores = torch.randn(6, 300)
    expected = best(scores.numpy(), 4)
    plain = scores.clone()
    kinds = [
        scores.requires_grad_(),
        plain.t().contiguous().t(),
        plain.double(),
        np.repeat(plain.numpy(), 2, 1)[:, ::2],
    ]
    for same in kinds:
        found = best(same, 4)
        assert np.array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=2e-6)
    halves = plain.bfloat16()
    np.testing.assert_allclose(best(halves, 4)[1], best(halves.float(), 4)[1], rtol=0, atol=2e-6)


def test_log_probs_are_those_of_pytorch():
    scores = 5 * torch.randn(7, 900)
    values, ids = scores.double().log_softmax(-1).topk(9)
    found = best(scores, 9)
    assert np.array_equal(found[0], ids.numpy())
    np.testing.assert_allclose(found[1], values.numpy(), rtol=0, atol=2e-6)


@pytest.mark.needs_native
def test_other_rows_and_threads_change_nothing():
    scores, before, runs = np.random.default_rng(0).normal(size=(70, 3001)).astype(np.float32), get_num_threads(), []
    try:
        for count in (1, 2, 3, 5):
            set_num_threads(count)
            runs.append(best(scores, 6))
    finally:
        set_num_threads(before)
    alone = [best(row[None], 6) for row in scores]
    runs.append(tuple(np.concatenate(parts) for parts in zip(*alone, strict=True)))
    assert all(np.array_equal(a, b) for other in runs for a, b in zip(other, runs[0], strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_impossible_scores_and_nan(dtype):
    scores = np.array([[-np.inf] * 200, [np.nan] * 200, [0.0, np.nan] * 100, [1.0] + [-np.inf] * 199], dtype)
    ids, log_probs = best(scores, 150)
    assert all(np.array_equal(row, np.unique(row)) for row in ids[[0, 1, 3]])
    assert np.array_equal(ids[2], np.r_[np.arange(0, 200, 2), np.arange(1, 101, 2)])
    assert np.isneginf(log_probs[0]).all()
    assert np.isnan(log_probs[1:3]).all()
    assert log_probs[3, 0] == 0
    assert np.isneginf(log_probs[3, 1:]).all()


@pytest.mark.parametrize("shape", [(0, 5), (3, 4)])
def test_any_number_of_rows_and_k_of_zero(shape):
    for k in (0, 2):
        ids, log_probs = best(np.zeros(shape, np.float32), k)
        assert ids.shape == log_probs.shape == (shape[0], k)


@pytest.mark.parametrize(
    ("scores", "k", "message"),
    [
        (np.zeros(3), 1, r"best: expected scores of shape \[R, V\], got \[3\]"),
        (np.zeros((2, 3)), 4, "best: expected k from 0 to V=3, got 4"),
        (np.zeros((2, 3)), -1, "best: expected k from 0 to V=3"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(scores, k, message):
    with pytest.raises(ValueError, match=message):
        best(scores, k)


def test_it_needs_no_pytorch():
    code = "import sys, elman.kernels.best; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
