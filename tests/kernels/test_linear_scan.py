import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch.autograd import gradcheck, gradgradcheck

from elman.kernels import native
from elman.kernels.linear_scan import linear_scan, reference, reference_backward
from elman.rows import Rows

RAGGED = [[1], [2], [63], [1000], [0], [], [0, 0], [3, 0, 5, 1], [0, 7, 7, 0, 2, 0]]
row_lengths = st.lists(st.integers(0, 9), max_size=6)
both = pytest.mark.parametrize("scan", [reference, linear_scan])


def draw(lengths, features=5, dtype=torch.float32):
    """Return a, x, h0, and the gradients dh, dlast of the outputs."""
    generator = torch.Generator().manual_seed(0)
    rows = [sum(lengths), sum(lengths), len(lengths), sum(lengths), len(lengths)]
    a, *others = (torch.randn(n, features, generator=generator, dtype=dtype) for n in rows)
    return a.sigmoid(), *others


def run(scan, lengths, a, x, h0, dh, dlast):
    """Return h, last, and the gradients da, dx, dh0."""
    leaves = [v.clone().requires_grad_() for v in (a, x, h0)]
    outputs = scan(leaves[0], leaves[1], lengths, leaves[2])
    return *outputs, *torch.autograd.grad(outputs, leaves, (dh, dlast))


def closed_form(lengths, a, x, h0):
    """Compute h[t] = sum over s <= t of a[t] ... a[s+1] x[s], plus a[t] ... a[1] h0, row by row in float64."""
    a, x, h0 = (v.double().numpy() for v in (a, x, h0))
    h, last, start = np.empty_like(a), h0.copy(), 0
    for row, length in enumerate(lengths):
        keep, write = a[start : start + length], x[start : start + length]
        for t in range(length):
            kept = sum(np.prod(keep[s + 1 : t + 1], axis=0) * write[s] for s in range(t + 1))
            h[start + t] = last[row] = kept + np.prod(keep[: t + 1], axis=0) * h0[row]
        start += length
    return h, last


@both
@given(lengths=row_lengths)
def test_equals_the_closed_form(scan, lengths):
    a, x, h0, *_ = draw(lengths)
    for got, wanted in zip(scan(a, x, lengths, h0), closed_form(lengths, a, x, h0), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.needs_native
@pytest.mark.parametrize("features", [1, 16, 37])
@pytest.mark.parametrize("lengths", RAGGED, ids=str)
def test_native_equals_the_reference_bitwise(lengths, features):
    case = draw(lengths, features)
    for fast, plain in zip(run(linear_scan, lengths, *case), run(reference, lengths, *case), strict=True):
        assert torch.equal(fast, plain)


@pytest.mark.needs_native
@pytest.mark.parametrize("lengths", RAGGED, ids=str)
def test_native_writes_all_of_its_outputs(lengths):
    a, x, h0, dh, dlast = draw(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    h, last, da, dx, dh0 = (torch.full_like(v, torch.nan) for v in (a, h0, a, a, h0))
    native.module.linear_scan(a, x, offsets, h0, h, last)
    native.module.linear_scan_backward(a, h, offsets, h0, dh, dlast, da, dx, dh0)
    assert not any(v.isnan().any() for v in (h, last, da, dx, dh0))


@pytest.mark.parametrize("lengths", [[3, 0, 2], [0], [4]], ids=str)
def test_gradients_of_the_reference_equal_finite_differences(lengths):
    doubles = [v.requires_grad_() for v in draw(lengths, features=2, dtype=torch.float64)[:3]]
    assert gradcheck(lambda a, x, h0: reference(a, x, lengths, h0), doubles)
    assert gradgradcheck(lambda a, x, h0: reference(a, x, lengths, h0), doubles)


@given(row_lengths)
def test_the_scan_reversed_is_the_gradient(lengths):
    a, x, h0, dh, dlast = draw(lengths, dtype=torch.float64)
    h, _, *expected = run(reference, lengths, a, x, h0, dh, dlast)
    for got, wanted in zip(reference_backward(a, h, Rows(lengths), h0, dh, dlast), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lengths", [[3, 0, 2], [1]], ids=str)
def test_the_gradient_of_a_gradient(lengths):
    def of_penalty(scan):
        a, x, h0 = (v.requires_grad_() for v in draw(lengths)[:3])
        h, last = scan(a, x, lengths, h0)
        first = torch.autograd.grad(h.square().sum() + last.sum(), (a, x, h0), create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), (a, x, h0))

    for got, wanted in zip(of_penalty(linear_scan), of_penalty(reference), strict=True):
        torch.testing.assert_close(got, wanted)


@both
@given(lengths=row_lengths, random=st.randoms(use_true_random=False))
def test_rows_do_not_affect_each_other(scan, lengths, random):
    rows = random.sample(range(len(lengths)), random.randint(0, len(lengths)))  # some of them, in any order
    starts = np.cumsum([0, *lengths])
    steps = [n for row in rows for n in range(starts[row], starts[row + 1])]
    a, x, h0, dh, dlast = draw(lengths)
    together = run(scan, lengths, a, x, h0, dh, dlast)
    apart = run(scan, [lengths[row] for row in rows], a[steps], x[steps], h0[rows], dh[steps], dlast[rows])
    for got, wanted, index in zip(apart, together, [steps, rows, steps, steps, rows], strict=True):
        assert torch.equal(got, wanted[index])


@both
def test_a_cut_anywhere_changes_nothing(scan):
    a, x, h0, *_ = draw([7])
    h, last = scan(a, x, [7], h0)
    for cut in range(8):
        first, state = scan(a[:cut], x[:cut], [cut], h0)
        second, state = scan(a[cut:], x[cut:], [7 - cut], state)
        assert torch.equal(torch.cat([first, second]), h)
        assert torch.equal(state, last)


@both
def test_arrays_that_are_not_contiguous(scan):
    lengths = [4, 0, 3]
    case = draw(lengths)
    strided = [v.t().contiguous().t() for v in case]
    for got, wanted in zip(run(scan, lengths, *strided), run(scan, lengths, *case), strict=True):
        assert torch.equal(got, wanted)


@both
def test_an_unused_output_has_no_gradient(scan):
    lengths = [2, 0]
    a, x, h0, dh, dlast = draw(lengths)
    for grads in ((dh, torch.zeros_like(dlast)), (torch.zeros_like(dh), dlast)):
        expected = run(scan, lengths, a, x, h0, *grads)[2:]
        leaves = [v.clone().requires_grad_() for v in (a, x, h0)]
        used = int(not grads[0].any())
        got = torch.autograd.grad(scan(leaves[0], leaves[1], lengths, leaves[2])[used], leaves, grads[used])
        assert all(torch.equal(g, e) for g, e in zip(got, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_go_to_the_reference(dtype):
    a, x, h0, *_ = draw([3, 1], dtype=dtype)
    h, last = linear_scan(a, x, [3, 1], h0)
    assert h.dtype == last.dtype == dtype
    assert torch.equal(h, reference(a, x, [3, 1], h0)[0])


def test_the_reference_runs_without_the_extension(monkeypatch):
    case = draw([3, 0, 1])
    expected = run(linear_scan, [3, 0, 1], *case)
    monkeypatch.setattr(native, "module", None)
    assert not native.available()
    for got, wanted in zip(run(linear_scan, [3, 0, 1], *case), expected, strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"a": torch.ones(3)}, ValueError, r"linear_scan: expected a of shape \[N, H\], got \[3\]"),
        ({"x": torch.ones(3, 4)}, ValueError, r"linear_scan: expected x of shape \[N=3, H=2\], got \[3, 4\]"),
        ({"h0": torch.ones(1, 2)}, ValueError, r"linear_scan: expected h0 of shape \[B=2, H=2\], got \[1, 2\]"),
        ({"rows": [1, 1]}, ValueError, "expected lengths that sum to 3 steps, got 2"),
        ({"rows": [4, -1]}, ValueError, "at least 0"),
        (
            {"x": torch.ones(3, 2).double()},
            TypeError,
            "of one type, got torch.float32, torch.float64 and torch.float32",
        ),
    ],
)
def test_a_wrong_argument_is_one_clear_line(change, error, message):
    arguments = {"a": torch.ones(3, 2), "x": torch.ones(3, 2), "rows": [1, 2], "h0": torch.ones(2, 2)}
    with pytest.raises(error, match=message):
        linear_scan(**arguments | change)


@pytest.mark.needs_native
def test_native_code_converts_no_argument():
    a, x, h0, *_ = draw([3])
    with pytest.raises(TypeError, match="incompatible function arguments"):
        native.module.linear_scan(a, x, np.array([0, 3]), h0, torch.empty(5, 3).t(), torch.empty(1, 5))
