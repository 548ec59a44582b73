import torch

from elman.layers import Linear
from elman.sequences import Sequences


def test_equals_torch():
    ours, theirs = Linear(3, 2).double(), torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        ours.bias.normal_()
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    y = ours.scan(Sequences(x, [2, 0, 4]))[0].values
    assert torch.equal(y, theirs(x))
    weight = torch.randn_like(y)
    gradients = [torch.autograd.grad((out * weight).sum(), [x, *layer.parameters()]) for out, layer in
                 ((y, ours), (theirs(x), theirs))]  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_initial_weights_are_small_and_the_bias_is_zero():
    layer = Linear(30, 20)
    bound = (6 / 50) ** 0.5  # Glorot's
    assert bound / 2 < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
