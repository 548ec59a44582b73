"""Dropout in training mode; test_layers checks that evaluation mode changes nothing."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from elman.cells import LSTM
from elman.kernels import native
from elman.layers import Dropout, Linear, Stack, VariationalDropout, set_key
from elman.sequences import Sequences
from elman.testing import laws
from elman.testing.harness import Harness

both = pytest.mark.parametrize("kind", [Dropout, VariationalDropout])


def masks(layer, lengths=(6, 3, 9)):
    """Return which features were kept, row by row: boolean [T, D] each."""
    layer.train()
    y, _ = layer.scan(Sequences(torch.ones(sum(lengths), layer.input_size), lengths))
    return [row != 0 for row in y.to_list()]


@both
@pytest.mark.parametrize("law", [laws.purity, laws.order_of_rows, laws.independent_rows, laws.empty_rows,
                                 laws.scan_equals_stepping, laws.cutting_rows, laws.state_operations])  # fmt: skip
def test_laws_hold_while_training(kind, law, monkeypatch):
    monkeypatch.setattr(torch, "randint", lambda high, shape: torch.arange(*shape))  # the same row numbers each time
    stack = Stack(kind(3, 0.4), LSTM(3, 4), kind(4, 0.6))
    set_key(stack, 5, 17)
    law(Harness(stack.train(), torch.randn(40, 3), np.random.default_rng(0)))


@both
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_each_feature_is_dropped_with_probability_p(kind, p):
    kept = torch.cat(masks(kind(50, p), [1] * 2000)).double()
    sigma = (p * (1 - p) / kept.numel()) ** 0.5
    assert abs(kept.mean() - (1 - p)) < 5 * sigma


@both
def test_expectation_is_kept(kind):
    layer = kind(8, 0.3).train()
    x = torch.arange(-4.0, 4.0)[None] + 0.5
    y = layer.scan(Sequences(x.expand(20_000, 8), [1] * 20_000))[0].values
    torch.testing.assert_close(y.mean(0), x[0], atol=0.1, rtol=0)
    kept = y != 0
    torch.testing.assert_close(y[kept], (x / 0.7).expand(20_000, 8)[kept])


def test_every_step_has_its_own_mask():
    first, *others = masks(Dropout(64, 0.5))
    assert len({tuple(step.tolist()) for step in torch.cat([first, *others])}) == 18


def test_variational_dropout_has_one_mask_per_row():
    rows = masks(VariationalDropout(64, 0.5))
    assert all((row == row[0]).all() for row in rows)
    assert len({tuple(row[0].tolist()) for row in rows}) == 3


@both
def test_a_row_continues_with_its_masks(kind):
    layer = kind(16, 0.5).train()
    x, start = torch.ones(6, 16), layer.initial_state(1)
    whole, _ = layer.scan(Sequences(x, [6]), start)
    first, state = layer.scan(Sequences(x[:2], [2]), start)
    rest, _ = layer.scan(Sequences(x[2:], [4]), state)
    assert torch.equal(torch.cat([first.values, rest.values]), whole.values)


@both
def test_keys_positions_and_updates_have_different_masks(kind):
    stack = Stack(kind(64, 0.5), Linear(64, 64), kind(64, 0.5)).train()
    seen = set()
    for seed in range(3):
        for update in range(3):
            set_key(stack, seed, update)
            for layer in (stack.cells[0], stack.cells[2]):
                torch.manual_seed(0)  # the same row numbers, so that only the key differs
                seen.add(tuple(torch.cat(masks(layer)).flatten().tolist()))
    assert len(seen) == 18


@both
def test_the_same_key_gives_the_same_masks(kind):
    one, other = kind(8, 0.5), kind(8, 0.5)
    for layer in (one, other):
        set_key(layer, 3, 1)
    drawn = []
    for layer in (one, other, copy.deepcopy(one)):
        torch.manual_seed(0)
        drawn.append(torch.cat(masks(layer)))
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


@both
def test_pytorchs_generator_draws_the_row_numbers(kind):
    layer = kind(16, 0.5)
    torch.manual_seed(1)
    first, second = torch.cat(masks(layer)), torch.cat(masks(layer))
    torch.manual_seed(1)
    assert torch.equal(first, torch.cat(masks(kind(16, 0.5))))
    assert not torch.equal(first, second)


@both
def test_evaluation_draws_nothing(kind):
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    layer = kind(8, 0.5).eval()
    layer.scan(Sequences(torch.ones(3, 8), [1, 2]))
    assert layer.initial_state(3).row.tolist() == [0, 1, 2]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], before[1])  # noqa: NPY002


@both
def test_gradients_pass_through_kept_features_only(kind):
    layer = kind(8, 0.25).train()
    x = torch.randn(5, 8, requires_grad=True)
    y = layer.scan(Sequences(x, [5]))[0].values
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, torch.where(y != 0, torch.tensor(1 / 0.75), 0.0))


@both
def test_native_and_reference_give_the_same_bits(kind):
    layer, x = kind(19, 0.3).train(), torch.randn(50, 19, requires_grad=True)
    set_key(layer, 2, 5)
    state, found = layer.initial_state(3), []
    for kernels in (nullcontext(), native.disabled()):
        with kernels:
            y = layer.scan(Sequences(x, [20, 0, 30]), state)[0].values
            (gradient,) = torch.autograd.grad((y * y.detach().cos()).sum(), x)
            found.append((y, gradient))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@both
def test_gradients_of_gradients(kind):
    layer, x = kind(4, 0.5).train(), torch.randn(6, 4, requires_grad=True)
    state = layer.initial_state(2)
    y = layer.scan(Sequences(x.cos(), [4, 2]), state)[0].values
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    torch.testing.assert_close(second, -y)
    many = torch.autograd.grad(y, x, torch.eye(24).view(24, 6, 4), is_grads_batched=True, retain_graph=True)[0]
    torch.testing.assert_close(many.sum(0), gradient)


@both
def test_dtypes_are_preserved(kind):
    for dtype in (torch.float64, torch.bfloat16):
        assert kind(4, 0.5).train().scan(Sequences(torch.ones(3, 4, dtype=dtype), [3]))[0].values.dtype == dtype


@both
@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5])
def test_an_invalid_probability_raises(kind, p):
    with pytest.raises(
        ValueError, match=rf"^{kind.__name__}: expected 0 < p < 1, got {p}; leave it out to drop nothing\.$"
    ):
        kind(4, p)
