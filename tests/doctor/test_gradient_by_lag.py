"""The gradient at every lag against float64 autograd through a loop over the cells of `torch.nn`."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from elman import GRU, LSTM, RNN, Linear, Sequences, Stack
from elman.doctor.capture import capture
from elman.doctor.gradient_by_lag import Lags, gradients_by_lag, growth, half_life, horizon, truncated_share

LENGTHS = (60, 25, 0, 1, 43, 60)
D, H, DELAY = 4, 12, 3


def rows(deviation=1.0):
    generator = torch.Generator().manual_seed(1)
    return Sequences(deviation * torch.randn(sum(LENGTHS), D, generator=generator), LENGTHS)


def loss_of(y, x):
    """Return the loss of each step: the squared error against an input a few steps before, [N]."""
    target = torch.cat([x.new_zeros(DELAY, 1), x[:-DELAY, :1]])
    return (y - target).square().sum(1) / len(x)


def trained(*cells, updates=40):
    torch.manual_seed(0)
    net, x = Stack(*cells, Linear(H, 1)), rows()
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(updates):
        optimiser.zero_grad()
        loss_of(net(x)[0].values, x.values).sum().backward()
        optimiser.step()
    return net


def scaled(net, radius):
    with torch.no_grad():
        weight = net.cells[0].weight_hh
        weight.mul_(radius / torch.linalg.eigvals(weight).abs().max())
    return net


NETS = {
    "lstm": lambda: trained(LSTM(D, H)),
    "gru": lambda: trained(GRU(D, H)),
    "gru of 2014": lambda: trained(GRU(D, H, reset="before")),
    "tanh": lambda: trained(RNN(D, H)),
    "tanh 0.5": lambda: scaled(trained(RNN(D, H)), 0.5),
    "tanh 1.5": lambda: scaled(trained(RNN(D, H)), 1.5),
}


class Before(nn.Module):
    """GRU with the reset gate before the product, which `torch.nn` does not have."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x, h):
        weights = self.cell
        (xr, xz, xn), (wr, wz, wn) = (weights.weight_ih @ x + weights.bias).chunk(3), weights.weight_hh.chunk(3)
        r, z = torch.sigmoid(xr + wr @ h), torch.sigmoid(xz + wz @ h)
        return (1 - z) * torch.tanh(xn + wn @ (r * h)) + z * h


def theirs(cell):
    """Return the same step in float64, by torch alone: (x, state) -> state."""
    cell = deepcopy(cell).double().requires_grad_(False)
    if isinstance(cell, GRU) and cell.reset == "before":
        return Before(cell)
    kind = {RNN: nn.RNNCell, LSTM: nn.LSTMCell, GRU: nn.GRUCell}[type(cell)]
    other = kind(cell.input_size, H).double().requires_grad_(False)
    bias = torch.zeros_like(cell.bias)
    if kind is nn.GRUCell:
        bias[2 * H :] = cell.bias_hn
    other.load_state_dict(
        {"weight_ih": cell.weight_ih, "weight_hh": cell.weight_hh, "bias_ih": cell.bias, "bias_hh": bias}
    )
    return other


def unrolled(net, x):
    """Return the outputs [N, 1], and for every recurrent layer the h of each step, with a gradient of its own, and the
    tensor that the layer above reads."""
    cells, head = [theirs(cell) for cell in list(net)[:-1]], deepcopy(net.cells[-1]).double().requires_grad_(False)
    states, shown, outputs = [[] for _ in cells], [[] for _ in cells], []
    for row in x.to_list():
        carried = [torch.zeros(H).double().requires_grad_() for _ in cells]
        carried = [(h, h * 0) if isinstance(cell, nn.LSTMCell) else h for cell, h in zip(cells, carried, strict=True)]
        for below in row.double():
            for number, cell in enumerate(cells):
                carried[number] = cell(below, carried[number])
                h = carried[number][0] if isinstance(carried[number], tuple) else carried[number]
                states[number].append(h)
                shown[number].append(h * 1)
                below = shown[number][-1]
            outputs.append(below @ head.weight.T + head.bias)
    return torch.stack(outputs), states, shown


def norms(gradients):
    return np.array([float(gradient.norm()) for gradient in gradients])


def lines(found, x):
    """Yield the step, its time in the row, and the norms of each probe."""
    for step, line in zip(found.steps, found.norms, strict=True):
        time = int(x.times[step])
        assert np.isnan(line[time + 1 :]).all()
        yield step, time, line[: time + 1]


def nets_and_types():
    """Parametrize over all nets; one in float32 is fast, those in float64 have tighter tolerances."""
    for number, name in enumerate(NETS):
        yield pytest.param(name, torch.float32, 0.05, marks=pytest.mark.slow if number else ())
        yield name, torch.float64, 1e-8


@pytest.mark.parametrize(("name", "dtype", "tolerance"), [*nets_and_types()])
def test_gradients_equal_those_of_autograd(name, dtype, tolerance):
    net, x = NETS[name]().to(dtype), rows().map(lambda leaf: leaf.to(dtype))
    found = compared(net, x, tolerance)
    assert len(found.steps) == 6


def test_a_gradient_that_explodes():
    net, x = scaled(trained(RNN(D, H)), 2.0), rows(0.05)  # quiet inputs let the matrix rule
    found = compared(net, x, 0.05)
    assert found.curve.max() > 10


def compared(net, x, tolerance):
    (trace,) = capture(net, lambda: loss_of(net(x)[0].values, x.values).sum()).traces
    found = gradients_by_lag(trace, probes=6)
    y, (states,), _ = unrolled(net, x)
    losses = loss_of(y, x.values.double())
    for step, time, line in lines(found, x):
        gradients = torch.autograd.grad(losses[step], states[step - time : step + 1], retain_graph=True)
        np.testing.assert_allclose(line, norms(gradients)[::-1], rtol=tolerance)
    return found


@pytest.mark.parametrize("name", NETS)
def test_a_loss_at_the_end_of_the_rows(name):
    net, x = NETS[name](), rows()
    ends = x.offsets[1:][x.lengths > 0] - 1
    (trace,) = capture(net, lambda: net(x)[0].values[ends].square().sum()).traces
    found = gradients_by_lag(trace)
    assert found.steps.tolist() == sorted(ends)
    y, (states,), _ = unrolled(net, x)
    for h in states:
        h.retain_grad()
    y[ends].square().sum().backward()
    for step, time, line in lines(found, x):
        np.testing.assert_allclose(line, norms(h.grad for h in states[step - time : step + 1])[::-1], rtol=0.05)


@pytest.mark.parametrize("cells", [(LSTM, GRU), (RNN, LSTM)], ids=str)
def test_two_layers(cells):
    net, x = trained(cells[0](D, H), cells[1](H, H)), rows()
    traces = capture(net, lambda: loss_of(net(x)[0].values, x.values).sum()).traces
    y, states, shown = unrolled(net, x)
    loss = loss_of(y, x.values.double()).sum()
    for trace, of_layer, read in zip(traces, states, shown, strict=True):
        found = gradients_by_lag(trace, probes=6)
        for step, time, line in lines(found, x):
            (sent,) = torch.autograd.grad(loss, read[step], retain_graph=True)
            steps = of_layer[step - time : step + 1]
            gradients = torch.autograd.grad(steps[-1], steps, sent, retain_graph=True)
            np.testing.assert_allclose(line, norms(gradients)[::-1], rtol=0.05)


def test_max_lag_cuts_the_curve():
    net, x = trained(GRU(D, H), updates=1), rows()
    (trace,) = capture(net, lambda: loss_of(net(x)[0].values, x.values).sum()).traces
    full, short = gradients_by_lag(trace, probes=6), gradients_by_lag(trace, probes=6, max_lag=10)
    assert short.norms.shape == (6, 11)
    np.testing.assert_array_equal(short.norms, full.norms[:, :11])


def test_gradients_of_the_whole_state():
    """Compare the gradients of both states of an LSTM, by the derivative of its next step."""
    net, x = NETS["lstm"](), rows()
    (trace,) = capture(net, lambda: loss_of(net(x)[0].values, x.values).sum()).traces
    found = gradients_by_lag(trace, probes=3)
    for step, line in zip(found.steps, found.state_norms, strict=True):
        before = [leaf.requires_grad_() for leaf in trace.before(np.array([step]))]
        h, _ = theirs(net.cells[0])(x.values[step : step + 1].double(), tuple(before))
        dh, dc = torch.autograd.grad(h, before, trace.gradient[step : step + 1])
        assert line[0] == pytest.approx(float(trace.gradient[step].norm()))
        assert line[1] == pytest.approx(float(torch.cat([dh, dc]).norm()), rel=1e-6)


def test_the_curve_is_a_geometric_mean():
    net, x = NETS["tanh 0.5"](), rows()
    (trace,) = capture(net, lambda: loss_of(net(x)[0].values, x.values).sum()).traces
    found = gradients_by_lag(trace, probes=6)
    parts = found.norms / found.norms[:, :1]
    assert found.curve[0] == 1
    for lag in (1, 7, 30):
        there = parts[~np.isnan(parts[:, lag]), lag]
        assert found.curve[lag] == pytest.approx(np.prod(there) ** (1 / len(there)), rel=1e-9)


def lags_of(curve):
    norms = 7 * np.asarray(curve, np.float64)[None]
    return Lags(np.zeros(1, np.int64), norms, norms)


@pytest.mark.parametrize("half", [0.7, 3.0, 20.0])
def test_a_curve_that_decays_exponentially(half):
    found = lags_of(0.5 ** (np.arange(51) / half))
    assert half_life(found) == pytest.approx(half)
    assert horizon(found) == pytest.approx(half * math.log2(100), rel=1e-6)  # 133 steps for 20, though 50 were measured
    assert growth(found) == pytest.approx(0.5 ** (1 / half))


def test_a_horizon_between_two_lags():
    assert horizon(lags_of([1, 0.1, 0.001])) == pytest.approx(1.5)


@pytest.mark.parametrize("curve", [[1, 1, 1, 1, 1], [1, 2, 4, 8, 16], [1, 0.5, 0.5, 0.5, 0.5]])
def test_a_curve_that_does_not_decay_has_no_horizon(curve):
    assert horizon(lags_of(curve)) == math.inf


def test_a_single_lag_has_no_horizon():
    assert math.isnan(horizon(lags_of([1])))
    assert math.isnan(horizon(lags_of(np.zeros(0))))


def test_the_fraction_at_the_horizon_can_be_chosen():
    found = lags_of(0.5 ** np.arange(20))
    assert horizon(found, faint=0.1) == pytest.approx(math.log2(10))


@pytest.mark.parametrize(("scale", "expected"), [(1e-3, 0.0), (1e3, math.inf)])
def test_gradients_that_overflow_or_underflow(scale, expected):
    cell = RNN(1, 2, activation="identity")
    with torch.no_grad():
        cell.weight_hh.copy_(scale * torch.eye(2))
        cell.weight_ih.zero_()
    x = Sequences.from_list([torch.zeros(400, 1)])
    (trace,) = capture(cell, lambda: (cell(x)[0].values[-1] + 1).sum()).traces
    found = gradients_by_lag(trace)
    assert horizon(found) == pytest.approx(expected, abs=1)
    assert growth(found) > 1 if scale > 1 else growth(found) < 1
    assert math.isfinite(growth(found))


@pytest.mark.parametrize("measured", [4, 20, 300])
@pytest.mark.parametrize("unrolled", [1, 5, 20, 60])
def test_the_truncated_share_of_an_exponential_is_a_closed_form(measured, unrolled):
    r = 0.9
    found = lags_of(r ** np.arange(measured))
    assert truncated_share(found, unrolled) == pytest.approx(r**unrolled, rel=1e-9)


def test_the_truncated_share_of_a_linear_net():
    cell = RNN(1, 4, activation="identity").double()
    with torch.no_grad():
        cell.weight_hh.copy_(0.8 * torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0])
    x = Sequences(torch.randn(300, 1, dtype=torch.float64), [150, 150])
    captured = capture(cell, lambda: cell(x)[0].values.sum()).traces[0]
    assert truncated_share(gradients_by_lag(captured, max_lag=30), 10) == pytest.approx(0.8**10)
    assert truncated_share(gradients_by_lag(captured, max_lag=30), 50) == pytest.approx(0.8**50)


def test_the_truncated_share_sums_the_measured_curve():
    curve = np.array([1.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    rest = 0.25 / (1 - 0.5)  # it halves over its second half, 2 1 0.5
    assert truncated_share(lags_of(curve), 2) == pytest.approx((6.5 + rest) / (11.5 + rest))


@pytest.mark.parametrize("r", [1.0, 1.2, 1e3])
def test_all_of_a_curve_that_does_not_decay_is_truncated(r):
    assert truncated_share(lags_of(r ** np.arange(60.0)), 50) == 1


def test_nothing_is_truncated_if_the_gradient_is_gone_before():
    assert truncated_share(lags_of(np.array([1.0, 0, 0, 0, 0, 0])), 1) == pytest.approx(0)


def test_the_truncated_share_of_a_single_lag_is_unknown():
    assert math.isnan(truncated_share(lags_of(np.ones(1)), 5))
