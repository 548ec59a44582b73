"""A stack accepts pointwise layers of PyTorch, shares their weights, and computes what they compute."""

import numpy as np
import pytest
import torch
from torch import nn

import elman
from elman import Sequences, Stack
from elman.layers import Reversed
from elman.testing import check_cell


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 5),
        nn.Linear(3, 5, bias=False),
        nn.LayerNorm(3),
        nn.LayerNorm(3, elementwise_affine=False),
        nn.LayerNorm(3, bias=False),
        nn.ReLU(),
        nn.GELU(),
        nn.Identity(),
        nn.Dropout(0.0),
        nn.Dropout(0.5),
    ],
)
def test_a_layer_of_pytorch_computes_what_it_computes_alone(module):
    torch.manual_seed(0)
    cell = elman.GRU(2, 3)
    net = Stack(cell, module).eval()
    x = Sequences(torch.randn(7, 2), [3, 4])
    torch.testing.assert_close(net(x)[0].values, module.eval()(cell(x)[0].values))
    assert {id(weight) for weight in module.parameters()} <= {id(weight) for weight in net.parameters()}
    check_cell(net)


def test_layers_before_the_first_cell():
    table = nn.Embedding(9, 4)
    net = Stack(table, nn.Dropout(0.2), nn.Tanh(), elman.LSTM(4, 3), nn.Linear(3, 2))
    assert (net.input_size, net.output_size, net.step_axes) == (9, 2, 0)
    assert net.cells[0].weight is table.weight
    assert Stack(nn.ReLU(), elman.GRU(4, 3)).input_size == 4


def test_a_stack_of_pytorch_layers_runs_in_the_stepper():
    net = Stack(nn.Embedding(9, 4), elman.LSTM(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)).eval()
    stepper = net.stepper()
    stepper.input[...] = 5
    stepper()
    expected, _ = net.step(torch.tensor([5]), net.initial_state(1))
    np.testing.assert_allclose(stepper.output, expected.detach().numpy(), rtol=1e-5)


def test_no_random_number_is_drawn():
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    table, linear = nn.Embedding.from_pretrained(torch.zeros(9, 4)), nn.Linear(4, 2)
    torch.manual_seed(0)
    Stack(table, linear)
    assert torch.rand(()) == expected


class Smoother(elman.Cell):
    """Cell of NumPy."""

    input_size = output_size = 2

    def initial_state(self, batch_size):
        return np.zeros((batch_size, 2))

    def step(self, x, state):
        y = 0.8 * state + 0.2 * x
        return y, y


class SmootherOfTensors(Smoother, nn.Module):
    """Cell of PyTorch that is not a `CellModule`."""

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 2)


@pytest.mark.parametrize("cell", [Smoother(), SmootherOfTensors()])
def test_a_cell_that_is_not_a_module_of_elman_satisfies_the_laws_and_is_refused_in_layers(cell):
    check_cell(cell)
    for layer in (elman.Residual, Reversed, elman.OutputFeedback, lambda cell: elman.Bidirectional(cell, cell),
                  lambda cell: elman.WeightDrop(cell, 0.5)):  # fmt: skip
        with pytest.raises(TypeError, match=rf"got .*{type(cell).__name__} as cell 0; inherit from elman\.cells"):
            layer(cell)


def test_wrappers_accept_layers_of_pytorch():
    linear, x = nn.Linear(4, 4), torch.randn(2, 3, 4)
    torch.testing.assert_close(elman.Residual(linear)(x)[0], x + linear(x))
    torch.testing.assert_close(Reversed(linear)(x)[0], linear(x))
    torch.testing.assert_close(elman.Bidirectional(linear, linear)(x)[0], torch.cat([linear(x)] * 2, -1))


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ((nn.LSTM(3, 4),), r"got torch\.nn\.modules\.rnn\.LSTM as cell 0; write elman\.LSTM\(3, 4\)\."),
        ((elman.GRU(3, 4), nn.RNN(4, 5)), r"as cell 1; write elman\.RNN\(4, 5\)"),
        ((elman.GRU(3, 4), nn.BatchNorm1d(4)), r"BatchNorm1d as cell 1; apply it to the output with y\.map"),
        ((nn.ReLU(),), "ReLU as cell 0; put it after a layer that has a size"),
        ((elman.GRU(3, 4), torch.relu), "as cell 1; apply it to the output"),
        ((nn.LSTMCell(3, 4),), r"LSTMCell as cell 0; write elman\.LSTM\(3, 4\)\."),
        ((elman.GRU(3, 4), elman.LSTM), r"got the class LSTM as cell 1; give an instance: LSTM\(\.\.\.\)\."),
        ((Smoother(), elman.Linear(2, 1)), r"Smoother as cell 0; inherit from elman\.cells\.CellModule in place of"),
        ((elman.GRU(3, 2), SmootherOfTensors()), r"SmootherOfTensors as cell 1; inherit from elman\.cells\.CellModule"),
    ],
)
def test_other_modules_raise(modules, message):
    with pytest.raises(TypeError, match=f"^Stack: expected cells, layers of elman, or pointwise layers.*{message}"):
        Stack(*modules)


@pytest.mark.parametrize(
    "module",
    [
        nn.RNN(3, 4, nonlinearity="relu"),
        nn.LSTM(3, 5, num_layers=2, bidirectional=True, dropout=0.2, proj_size=2),
        nn.GRU(3, 4, num_layers=3),
    ],
)
def test_the_line_for_a_recurrent_layer_has_its_layers_and_directions(module):
    with pytest.raises(TypeError) as error:
        Stack(module)
    line = str(error.value).partition("write ")[2].rstrip(".")
    made = eval(line, {"elman": elman})
    ways = 1 + module.bidirectional
    assert (made.input_size, made.output_size) == (3, ways * (module.proj_size or module.hidden_size))
    assert sum(hasattr(part, "weight_hh") for part in made.modules()) == ways * module.num_layers
