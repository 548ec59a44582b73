import math

import pytest
import torch
from torch import nn

from elman import GRU, LSTM, RNN, Bidirectional, Embedding, Linear, OutputFeedback, Sequences, Stack, WindowNet
from elman.cells.module import CellModule
from elman.doctor.capture import capture
from elman.doctor.gradient_by_lag import gradients_by_lag


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def rows(*lengths, size=3):
    return Sequences.from_list([torch.randn(length, size) for length in lengths])


def test_traces_of_a_stack_have_its_inputs_and_states():
    net, x = Stack(LSTM(3, 5), GRU(5, 4), Linear(4, 2)), rows(7, 0, 3)
    captured = capture(net, lambda: net(x)[0].values.square().sum())
    first, second = captured.traces
    assert [first.name, second.name] == ["cells.0", "cells.1"]
    torch.testing.assert_close(first.x.values.float(), x.values)
    y, _ = net.cells[0](x)
    torch.testing.assert_close(first.after.h.float(), y.values)
    torch.testing.assert_close(second.x.values.float(), y.values)
    assert captured.loss == pytest.approx(net(x)[0].values.square().sum().item(), rel=1e-5)


def test_the_direct_gradient_excludes_the_cell_itself():
    net, x = Stack(RNN(3, 5), Linear(5, 1)), rows(6)
    (trace,) = capture(net, lambda: net(x)[0].values[-1].sum()).traces
    torch.testing.assert_close(trace.gradient[-1].float(), net.cells[1].weight[0])
    assert not trace.gradient[:-1].any()


def test_a_gradient_enters_through_the_final_state_too():
    cell, x = LSTM(3, 5), rows(6, 2)
    (trace,) = capture(cell, lambda: cell(x)[1].c.sum()).traces
    assert not trace.gradient.any()
    assert not trace.final_gradient.h.any()
    assert trace.final_gradient.c.eq(1).all()
    lags = gradients_by_lag(trace)
    assert lags.steps.tolist() == [5, 7]


def test_rows_begin_at_the_given_state():
    cell, x = LSTM(3, 5), rows(4, 2)
    _, state = cell(x)
    (trace,) = capture(cell, lambda: cell(x, state)[0].values.sum()).traces
    torch.testing.assert_close(trace.initial.c.float(), state.c)
    y, _ = cell(x, state)
    torch.testing.assert_close(trace.after.h.float(), y.values)


def test_calls_of_one_cell_are_rows_of_one_trace():
    cell, x = GRU(3, 5), rows(4, 2)
    captured = capture(cell, lambda: cell(x)[0].values.sum() + cell(rows(3))[0].values.sum())
    (trace,) = captured.traces
    assert trace.x.lengths.tolist() == [4, 2, 3]


def test_both_directions_have_traces_and_the_second_is_reversed():
    net, x = Bidirectional(RNN(3, 4), RNN(3, 4)), rows(5, 2)
    forward, backward = capture(net, lambda: net(x)[0].values.sum()).traces
    assert [forward.name, backward.name] == ["forward_cell", "backward_cell"]
    torch.testing.assert_close(backward.x.values.float(), x.reverse().values)


class Mine(CellModule):
    """Cell of the user, written as one step."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 3
        self.keep = nn.Parameter(torch.tensor(0.5))

    def initial_state(self, batch_size):
        return self.zeros(batch_size, 3)

    def step(self, x, state):
        h = self.keep * state + x
        return h, h


def test_a_cell_of_your_own_is_captured():
    cell, x = Mine(), rows(9)
    (trace,) = capture(cell, lambda: cell(x)[0].values[-1].sum()).traces
    curve = gradients_by_lag(trace).curve
    torch.testing.assert_close(torch.from_numpy(curve), 0.5 ** torch.arange(9.0).double())


class Counting(CellModule):
    """Cell whose state has an integer leaf and a leaf [B]."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 3
        self.keep = nn.Parameter(torch.tensor(0.5))

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, dtype=torch.int64), self.zeros(batch_size, 3), self.zeros(batch_size)

    def step(self, x, state):
        count, h, total = state
        h = self.keep * h + x + 0 * total[:, None]
        return h, (count + 1, h, total + h.sum(1))


def test_an_integer_in_the_state_stays_one():
    cell, x = Counting(), rows(9, 4)
    (trace,) = capture(cell, lambda: cell(x)[0].values[8].sum()).traces
    count, _, total = trace.after
    assert count.tolist() == [*range(1, 10), *range(1, 5)]
    assert total.dtype is torch.float64
    torch.testing.assert_close(torch.from_numpy(gradients_by_lag(trace).curve), 0.5 ** torch.arange(9.0).double())


class Stateless(CellModule):
    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 3
        self.weight = nn.Parameter(torch.ones(3))

    def initial_state(self, batch_size):
        return ()

    def step(self, x, state):
        return x * self.weight, state


@pytest.mark.parametrize("cell", [Stateless(), WindowNet(3, 3, window=1)], ids=lambda cell: type(cell).__name__)
def test_a_cell_without_state_is_skipped(cell):
    net, x = Stack(cell, RNN(3, 5)), rows(4, 2)
    captured = capture(net, lambda: net(x)[0].values.sum())
    assert [trace.name for trace in captured.traces] == ["cells.1"]
    assert captured.skipped == {"cells.0": "it carries no state from step to step"}


@pytest.mark.parametrize("training", [True, False])
def test_the_model_does_not_change(training):
    net, x = Stack(LSTM(3, 5), GRU(5, 4)).train(training), rows(7)
    net.cells[1].eval()
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    generator = torch.get_rng_state()
    modes = [module.training for module in net.modules()]

    def loss():
        torch.rand(3)
        return net(x)[0].values.sum()

    capture(net, loss)
    assert torch.equal(generator, torch.get_rng_state())
    assert modes == [module.training for module in net.modules()]
    for name, weight in net.named_parameters():
        assert torch.equal(before[name], weight)
        assert weight.requires_grad
        assert weight.grad is None
    assert not any("scan" in module.__dict__ for module in net.modules())


def test_an_error_in_the_loss_leaves_the_model_as_it_was():
    net = Stack(LSTM(3, 5), GRU(5, 4))
    with pytest.raises(ZeroDivisionError):
        capture(net, lambda: 1 / 0)
    assert not any("scan" in module.__dict__ for module in net.modules())
    assert net.training


def test_a_cell_that_is_stepped_is_skipped():
    net = Stack(Embedding(5, 3), OutputFeedback(Stack(LSTM(3 + 2, 4), Linear(4, 2))), GRU(2, 3))
    ids = Sequences(torch.tensor([1, 2, 3]), [3])
    captured = capture(net, lambda: net(ids)[0].values.sum())
    assert [trace.name for trace in captured.traces] == ["cells.2"]
    assert list(captured.skipped) == ["cells.1.cell.cells.0"]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda y: y.values, "scalar tensor, got a Tensor"),
        (lambda y: 3.0, "got a float"),
        (lambda y: y.values.sum().detach(), "without a gradient"),
        (lambda y: torch.ones((), requires_grad=True), "without a gradient"),
    ],
)
def test_an_invalid_loss_is_an_error(loss, message):
    cell, x = RNN(3, 4), rows(3)
    with pytest.raises(ValueError, match=message):
        capture(cell, lambda: loss(cell(x)[0]))


def test_a_model_without_a_recurrence_is_an_error():
    with pytest.raises(ValueError, match="Linear, which has no cell of elman"):
        capture(nn.Linear(3, 2), lambda: torch.zeros((), requires_grad=True))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_has_no_trace(value):
    cell, x = RNN(3, 4), rows(3)
    captured = capture(cell, lambda: cell(x)[0].values.sum().abs() * value)
    assert not captured.traces
    assert not math.isfinite(captured.loss)
