import numpy as np
import pytest
import torch

from elman.cells import GRU, RNN
from elman.layers import Bidirectional, Linear, OutputFeedback, Stack
from elman.sequences import Sequences


def test_jordan_net_reads_its_previous_output():
    torch.manual_seed(0)
    net = OutputFeedback(Stack(RNN(3 + 2, 4, "sigmoid"), Linear(4, 2))).double()
    hidden, out = (cell for cell in net.cell)
    assert (net.input_size, net.output_size) == (3, 2)
    x = torch.randn(6, 3, dtype=torch.float64)
    y, _ = net.scan(Sequences(x, [6]))
    w, u, b, v, a = (weight.detach().numpy() for weight in
                     (hidden.weight_ih, hidden.weight_hh, hidden.bias, out.weight, out.bias))  # fmt: skip
    h, wrote = np.zeros(4), np.zeros(2)
    for now, got in zip(x.numpy(), y.values.detach().numpy(), strict=True):
        h = 1 / (1 + np.exp(-(w @ np.concatenate([now, wrote]) + u @ h + b)))
        wrote = v @ h + a
        np.testing.assert_allclose(got, wrote, atol=1e-12)


def test_a_linear_map_of_its_past_is_an_autoregression():
    net = OutputFeedback(Linear(2, 1))
    with torch.no_grad():
        net.cell.weight.copy_(torch.tensor([[1.0, 0.5]]))
    y, state = net.scan(Sequences(torch.tensor([[1.0], [0.0], [0.0]]), [3]))
    assert y.values.flatten().tolist() == [1, 0.5, 0.25]
    assert state[1].item() == 0.25


def test_an_input_size_that_leaves_no_room_for_an_input_raises():
    with pytest.raises(
        ValueError, match=r"^OutputFeedback: expected a cell with an input size above its output size 4, got "
    ):
        OutputFeedback(GRU(4, 4))


def test_a_cell_without_a_step_raises():
    with pytest.raises(
        ValueError, match=r"^OutputFeedback: expected a cell with a step, got one that needs whole sequences\.$"
    ):
        OutputFeedback(Bidirectional(GRU(5, 1), GRU(5, 1)))
