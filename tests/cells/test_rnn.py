import pytest
import torch

from elman.cells import RNN


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("init", ["orthogonal", "identity", "pytorch"])
def test_equals_torch(activation, init, check_against_torch):
    torch.manual_seed(0)
    ours, theirs = RNN(3, 4, activation, init).double(), torch.nn.RNN(3, 4, nonlinearity=activation).double()
    with torch.no_grad():
        ours.bias.copy_(torch.randn(4) / 4)
        theirs.weight_ih_l0.copy_(ours.weight_ih)
        theirs.weight_hh_l0.copy_(ours.weight_hh)
        theirs.bias_hh_l0.copy_(torch.randn(4))
        theirs.bias_ih_l0.copy_(ours.bias - theirs.bias_hh_l0)  # torch has two biases that only ever act as their sum
    check_against_torch(ours, theirs, {
        "weight_ih": lambda g: g["weight_ih_l0"],
        "weight_hh": lambda g: g["weight_hh_l0"],
        "bias": lambda g: g["bias_ih_l0"],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("activation", "function"),
    [("tanh", torch.tanh), ("sigmoid", torch.sigmoid), ("relu", lambda x: x.clamp(min=0)), ("identity", lambda x: x)],
)
def test_the_activation_is_the_named_function(activation, function):
    cell = RNN(2, 3, activation)
    x, h = torch.randn(4, 2), torch.randn(4, 3)
    y, state = cell.step(x, h)
    torch.testing.assert_close(y, function(x @ cell.weight_ih.T + h @ cell.weight_hh.T + cell.bias))
    assert torch.equal(y, state)


def test_a_linear_net_is_a_sum_over_earlier_inputs():
    cell = RNN(2, 3, "identity").double()
    x = torch.randn(5, 2, dtype=torch.float64)
    h = torch.zeros(1, 3, dtype=torch.float64)
    for t in range(5):
        _, h = cell.step(x[t : t + 1], h)
    powers = [torch.matrix_power(cell.weight_hh, 4 - t) @ cell.weight_ih @ x[t] for t in range(5)]
    torch.testing.assert_close(h[0], torch.stack(powers).sum(0))


def test_parameters():
    shapes = {name: list(weight.shape) for name, weight in RNN(3, 4).named_parameters()}
    assert shapes == {"weight_ih": [4, 3], "weight_hh": [4, 4], "bias": [4]}


def test_an_unknown_activation_names_the_known_ones():
    with pytest.raises(
        ValueError, match="RNN: expected activation to be one of tanh, sigmoid, relu, identity, got 'tanhh'"
    ):
        RNN(3, 4, "tanhh")
