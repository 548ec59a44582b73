"""Native linear map against float64, and bitwise laws."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from elman.kernels.linear import linear, reference
from elman.threads import get_num_threads, set_num_threads

SHAPES = [  # N, D, O
    (0, 3, 4), (1, 1, 1), (2, 9, 17), (3, 64, 33), (5, 7, 100), (63, 17, 8), (96, 5, 64), (97, 130, 2), (200, 8, 31),
    (1000, 16, 5), (300, 511, 19), (7, 512, 19), (70, 513, 40), (4, 1100, 9), (20, 33, 1100), (2, 3, 2049),
    (1, 600, 700), (40, 0, 3), (40, 3, 0),
]  # fmt: skip


def draw(rows, inputs, outputs, seed=0):
    """Return x, the weight, the bias, and the gradient of y."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, inputs), (outputs, inputs), (outputs,), (rows, outputs)]
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def run(function, x, weight, bias, dy):
    """Return y, dx, dweight and dbias."""
    leaves = [None if leaf is None else leaf.clone().requires_grad_() for leaf in (x, weight, bias)]
    y = function(*leaves)
    return [y.detach(), *torch.autograd.grad(y, [leaf for leaf in leaves if leaf is not None], dy)]


@pytest.mark.needs_native
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_close_to_float64_as_pytorch_is(shape):
    case = draw(*shape)
    exact = run(reference, *(leaf.double() for leaf in case))
    for got, plain, value in zip(run(linear, *case), run(reference, *case), exact, strict=True):
        assert got.shape == value.shape
        if value.numel():
            error, plain_error = ((a.double() - value).abs().max() for a in (got, plain))
            assert error <= 4 * plain_error + 2e-6 * value.abs().max()


@pytest.mark.needs_native
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_without_a_bias(shape):
    x, weight, _, dy = draw(*shape)
    zeros = torch.zeros(shape[2])
    for got, wanted in zip(run(linear, x, weight, None, dy), run(linear, x, weight, zeros, dy), strict=False):
        assert torch.equal(got, wanted)


@pytest.mark.needs_native
@settings(max_examples=60)
@given(rows=st.integers(0, 130), inputs=st.integers(1, 600), outputs=st.integers(1, 70),
       random=st.randoms(use_true_random=False))  # fmt: skip
def test_rows_do_not_affect_each_other(rows, inputs, outputs, random):
    x, weight, bias, dy = draw(rows, inputs, outputs)
    y, dx, *_ = run(linear, x, weight, bias, dy)
    chosen = torch.tensor(random.sample(range(rows), random.randint(0, rows)), dtype=torch.int64)
    apart = run(linear, x[chosen], weight, bias, dy[chosen])
    assert torch.equal(apart[0], y[chosen])
    assert torch.equal(apart[1], dx[chosen])


@pytest.mark.needs_native
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_number_of_threads_changes_nothing(shape):
    case, before, runs = draw(*shape), get_num_threads(), []
    try:
        for count in (1, 2, 3, 5):
            set_num_threads(count)
            runs.append(run(linear, *case))
    finally:
        set_num_threads(before)
    for other in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, runs[0], strict=True))


@pytest.mark.needs_native
def test_nan_in_a_row_stays_in_that_row():
    x, weight, bias, dy = draw(50, 40, 37)
    healthy = run(linear, x, weight, bias, dy)
    x[20], dy[20] = torch.nan, torch.nan
    others = torch.arange(50) != 20
    for sick, well in zip(run(linear, x, weight, bias, dy)[:2], healthy, strict=False):
        assert sick[20].isnan().all()
        assert torch.equal(sick[others], well[others])


@pytest.mark.needs_native
@pytest.mark.parametrize("bias", [True, False])
def test_only_wanted_gradients_are_computed(bias):
    x, weight, b, dy = draw(20, 19, 33)
    leaves = [x, weight, *([b] if bias else [])]
    everything = run(linear, x, weight, b if bias else None, dy)[1:]
    for chosen in ([0], [1], [2], [0, 2], [1, 2], [0, 1])[: None if bias else 2]:
        for i, leaf in enumerate(leaves):
            leaf.requires_grad_(i in chosen)
        found = torch.autograd.grad(linear(*leaves), [leaves[i] for i in chosen], dy)
        assert all(torch.equal(g, everything[i]) for i, g in zip(chosen, found, strict=True))


def test_backward_twice():
    x, weight, bias, dy = (leaf.requires_grad_() for leaf in draw(5, 19, 33))
    y = linear(x, weight, bias)
    first = torch.autograd.grad(y, (x, weight, bias), dy, retain_graph=True)
    second = torch.autograd.grad(y, (x, weight, bias), dy)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_gradient_of_a_gradient():
    def penalty(function):
        x, weight, bias, dy = (leaf.requires_grad_() for leaf in draw(5, 3, 4))
        loss = (function(x, weight, bias).tanh() * dy).square().sum()
        first = torch.autograd.grad(loss, (x, weight, bias), create_graph=True)
        return *first, *torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight, bias))

    for got, wanted in zip(penalty(linear), penalty(reference), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["x", "weight", "bias", "dy"])
def test_arrays_that_are_not_contiguous(name):
    case = dict(zip(("x", "weight", "bias", "dy"), draw(20, 19, 33), strict=True))
    strided = case | {name: torch.stack([case[name]] * 2, -1)[..., 0]}
    assert not strided[name].is_contiguous()
    for got, wanted in zip(run(linear, *strided.values()), run(linear, *case.values()), strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_go_to_the_reference(dtype):
    x, weight, bias, _ = (leaf.to(dtype) for leaf in draw(5, 3, 4))
    assert torch.equal(linear(x, weight, bias), reference(x, weight, bias))


@pytest.mark.needs_native
def test_the_defaults_of_pytorch_change_nothing():
    case = draw(5, 19, 33)
    expected, before = run(linear, *case), torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        torch.set_default_device("meta")
        got = run(linear, *case)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(before)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_wrong_shapes_raise_the_error_of_pytorch():
    x, weight, bias, _ = draw(5, 3, 4)
    for wrong in [(x[:, 1:], weight, bias), (x, weight[:, 1:], bias), (x, weight, bias[1:])]:
        with pytest.raises(RuntimeError):
            linear(*wrong)
