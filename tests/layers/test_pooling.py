import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from elman.cells import GRU
from elman.layers import Bidirectional, Linear, Stack
from elman.layers.pooling import POOLINGS, AttentionPooling, LastPooling, MaxPooling, MeanPooling
from elman.sequences import Sequences
from elman.testing import check_cell

STEPS = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0))  # enough that no row has the same step twice
LENGTHS = [4, 0, 1, 7, 0]
BOTH_WAYS = [("last", 0), ("last", 2), ("mean", 0), ("max", 2), ("attention", 2)]


def batch(lengths=LENGTHS, size=3, dtype=torch.float64, seed=1):
    values = torch.randn(sum(lengths), size, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return Sequences(values.requires_grad_(), lengths)


def make(name, size=3, backward_size=0, dtype=torch.float64):
    torch.manual_seed(0)
    return POOLINGS[name](size, backward_size).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "backward_size"), BOTH_WAYS)
def test_laws_hold(name, backward_size, dtype):
    cell = make(name, 3, backward_size, dtype)
    laws = check_cell(cell, STEPS.to(dtype))
    assert cell.streams == (name != "last" or not backward_size) == ("cutting rows" in laws)


@pytest.mark.parametrize(("name", "backward_size"), BOTH_WAYS)
@settings(max_examples=30)
@given(lengths=st.lists(st.integers(0, 9), max_size=6))
def test_a_pool_is_the_last_value_of_a_scan(name, backward_size, lengths):
    cell, x = make(name, 3, backward_size), batch(lengths)
    y, _ = cell.scan(x)
    pooled = cell.pool(x)
    assert pooled.shape == (len(lengths), 3)
    assert not pooled.isnan().any()
    for row, steps in zip(pooled, y.to_list(), strict=True):
        torch.testing.assert_close(row, steps[-1] if len(steps) else torch.zeros_like(row))


@pytest.mark.parametrize("name", POOLINGS)
def test_the_gradient_of_a_pool_is_that_of_the_last_value_of_a_scan(name):
    cell, x = make(name), batch()
    directions = torch.randn(len(x), 3, dtype=torch.float64)
    inputs = [x.values, *cell.parameters()]
    pooled = torch.autograd.grad((cell.pool(x) * directions).sum(), inputs)
    real = x.lengths > 0
    last = cell.scan(x)[0].values[x.offsets[1:][real] - 1]
    for own, other in zip(pooled, torch.autograd.grad((last * directions[real]).sum(), inputs), strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize("name", POOLINGS)
def test_gradients_are_numeric_twice(name):
    cell, x = make(name), batch([3, 0, 2])
    pool = lambda values: cell.pool(Sequences(values, x.lengths))  # noqa: E731
    assert torch.autograd.gradcheck(pool, (x.values,))
    assert torch.autograd.gradgradcheck(pool, (x.values,))


@pytest.mark.parametrize(
    ("name", "reduce"), [("mean", lambda row: row.mean(0)), ("max", lambda row: row.max(0).values)]
)
def test_equals_torch(name, reduce):
    for dtype in (torch.float32, torch.float64):
        x = batch([5, 1, 300], dtype=dtype)
        theirs = torch.stack([reduce(row) for row in x.to_list()])
        ours = make(name, dtype=dtype).pool(x)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), x.values)[0] for y in (ours, theirs)))


def test_last_pooling_of_a_bidirectional_layer_equals_torchs_final_states():
    torch.manual_seed(0)
    net = Bidirectional(GRU(3, 4), GRU(3, 5))
    y, (forward, backward) = net.scan(batch(dtype=torch.float32))
    pooled = LastPooling(9, 5).pool(y)
    real = y.lengths > 0
    assert torch.equal(pooled[real], torch.cat([forward, backward], -1)[real])
    assert not pooled[~real].any()


def test_the_first_of_equal_maxima_has_the_gradient():
    x = Sequences(torch.tensor([[0.0, 2.0], [1.0, 2.0], [1.0, 2.0], [5.0, 5.0]], requires_grad=True), [3, 0, 1])
    cell = MaxPooling(2)
    for y in (cell.pool(x)[[0, 2]], cell.scan(x)[0].values[[2, 3]]):
        assert y.tolist() == [[1, 2], [5, 5]]
        (gradient,) = torch.autograd.grad(y.sum(), x.values)
        assert gradient.tolist() == [[0, 1], [1, 0], [0, 0], [1, 1]]


def test_nan_reaches_the_output_of_every_pooling():
    values = torch.zeros(5, 3)
    values[1] = torch.nan
    for name in POOLINGS:
        x = Sequences(values, [2, 3])
        pooled = make(name, dtype=torch.float32).pool(x)
        assert pooled[0].isnan().all(), name
        assert pooled[1].isfinite().all(), name
    invalid = Sequences(values.requires_grad_(), [2, 3])
    assert MaxPooling(3).scan(invalid)[0].values[1].isnan().all()
    MaxPooling(3).pool(invalid).sum().backward()


def test_attention_is_a_softmax_over_each_row():
    """Compare attention weights and outputs with the equations of Yang et al. (2016) in PyTorch's layers."""
    cell, x = make("attention"), batch()
    hidden = nn.Linear(3, 128, dtype=torch.float64)
    hidden.load_state_dict(cell.hidden.state_dict())
    weights = Sequences(cell.attention_weights(x), x.lengths).to_list()
    for pooled, row, own in zip(cell.pool(x), x.to_list(), weights, strict=True):
        theirs = (hidden(row).tanh() @ cell.query[0]).softmax(0)
        torch.testing.assert_close(own, theirs)
        torch.testing.assert_close(pooled, theirs @ row)


def test_attention_with_scores_beyond_exponentials():
    cell = make("attention", dtype=torch.float32)
    with torch.no_grad():
        cell.query.mul_(1e4)
    x = batch([50, 3], dtype=torch.float32)
    y, state = cell.scan(x)
    assert state.largest.abs().max() > 1000
    assert y.values.isfinite().all()
    torch.testing.assert_close(cell.pool(x), y.values[[49, 52]])
    (gradient,) = torch.autograd.grad(cell.pool(x).sum(), x.values)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", POOLINGS)
def test_pools_are_bitwise_equal_for_any_number_of_threads_and_other_rows(name):
    x = batch([700, 0, 1, 1300], 40, torch.float32)
    cell, kept, found = make(name, 40, 10, torch.float32), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            pooled = cell.pool(x)
            found += [pooled, *torch.autograd.grad(pooled.sum(), x.values)]
    finally:
        torch.set_num_threads(kept)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    torch.testing.assert_close(cell.pool(x.select([3, 2])), found[0][[3, 2]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_stack_streams_its_class_probabilities(name):
    net = Stack(GRU(2, 3), make(name, dtype=torch.float32), Linear(3, 4))
    x = batch([6, 2], 2, torch.float32)
    y, _ = net.scan(x)
    for row, steps in zip(x.to_list(), y.to_list(), strict=True):
        state = net.initial_state(1)
        for one, expected in zip(row, steps, strict=True):
            logits, state = net.step(one[None], state)
            torch.testing.assert_close(logits[0], expected)


@pytest.mark.parametrize("name", POOLINGS)
def test_bad_input(name):
    kind = POOLINGS[name].__name__
    with pytest.raises(ValueError, match=rf"^{kind}: expected backward_size from 0 to 3, got 4\.$"):
        POOLINGS[name](3, 4)
    cell = make(name, dtype=torch.float32)
    with pytest.raises(ValueError, match=rf"^{kind}\.pool: expected values of shape \[N, D=3\], got \[2, 4\]\.$"):
        cell.pool(Sequences(torch.zeros(2, 4), [2]))
    with pytest.raises(ValueError, match=rf"^{kind}\.step: expected x of shape \[B, D=3\], got \[2, 4\]\.$"):
        cell.step(torch.zeros(2, 4), cell.initial_state(2))
    with pytest.raises(TypeError, match=rf"^{kind}\.scan: expected values of torch.float32, like the model, got"):
        cell.scan(Sequences(torch.zeros(2, 3, dtype=torch.float64), [2]))


def test_a_long_stream_keeps_its_count():
    cell = MeanPooling(1)
    state = cell.initial_state(1)._replace(steps=torch.tensor([2**24]), sum=torch.tensor([[2.0**24]]))
    _, state = cell.step(torch.ones(1, 1), state)
    assert state.steps.item() == 2**24 + 1


def test_attention_size():
    assert AttentionPooling(3, attention_size=7).query.shape == (1, 7)
    assert np.prod(AttentionPooling(3, attention_size=7).hidden.weight.shape) == 21
