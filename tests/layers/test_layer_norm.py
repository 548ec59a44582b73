import pytest
import torch

from elman.layers import LayerNorm
from elman.sequences import Sequences


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_equals_torch(epsilon):
    ours, theirs = LayerNorm(3, epsilon).double(), torch.nn.LayerNorm(3, epsilon).double()
    with torch.no_grad():
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            b.copy_(a.normal_())
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    y = ours.scan(Sequences(x, [2, 0, 4]))[0].values
    assert torch.equal(y, theirs(x))
    weight = torch.randn_like(y)
    gradients = [torch.autograd.grad((out * weight).sum(), [x, *layer.parameters()]) for out, layer in
                 ((y, ours), (theirs(x), theirs))]  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_each_step_has_mean_zero_and_variance_one():
    y = LayerNorm(50).scan(Sequences(5 + 3 * torch.randn(4, 50), [4]))[0].values
    torch.testing.assert_close(y.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_equal_features_stay_finite():
    assert torch.equal(LayerNorm(3).step(torch.full((1, 3), 7.0), ())[0], torch.zeros(1, 3))
