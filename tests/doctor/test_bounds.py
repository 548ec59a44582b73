import math

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

from elman import GRU, LSTM, RNN, MinGRU, Sequences
from elman.cells.rnn import ACTIVATIONS
from elman.doctor.bounds import bound
from elman.doctor.capture import capture
from elman.doctor.jacobians import jacobians

D, H = 3, 5


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def trace_of(cell, scale=1.0, lengths=(20, 20)):
    x = Sequences(torch.randn(sum(lengths), D) * scale, lengths)
    (trace,) = capture(cell, lambda: cell(x)[0].values.square().sum()).traces
    return trace


def rnn(weight, activation="tanh"):
    cell = RNN(D, len(weight), activation=activation)
    with torch.no_grad():
        cell.weight_hh.copy_(torch.as_tensor(weight))
    return cell


def test_norm_and_radius():
    found = bound(trace_of(rnn([[0.5, 4.0], [0.0, 0.25]])))
    assert found.spectral_radius == pytest.approx(0.5)
    # The squares of the singular values have the sum of the squares, and the square of the determinant as product.
    total, product = 0.5**2 + 4**2 + 0.25**2, (0.5 * 0.25) ** 2
    assert found.spectral_norm**2 == pytest.approx(total / 2 + math.sqrt(total**2 / 4 - product))
    assert found.per_gate == {}


def test_the_radius_of_a_rotation_counts_its_complex_eigenvalues():
    found = bound(trace_of(rnn([[0.0, -0.75], [0.75, 0.0]])))
    assert [found.spectral_radius, found.spectral_norm] == pytest.approx([0.75, 0.75])


@pytest.mark.parametrize(("activation", "slope"), [("tanh", 1), ("sigmoid", 0.25), ("relu", 1), ("identity", 1)])
def test_slopes(activation, slope):
    found = bound(trace_of(rnn(np.eye(H) * 0.8, activation)))
    assert found.slope == slope
    assert found.factor == pytest.approx(0.8 * slope)
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(ACTIVATIONS[activation](x).sum(), x)
    assert slopes.max() == pytest.approx(slope)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "identity"])
def test_measured_gradients_stay_within_the_bound(activation):
    trace = trace_of(rnn(torch.randn(H, H) / 2, activation))
    found, products = bound(trace), jacobians(trace)
    assert (products.largest <= found.factor**products.lags * (1 + 1e-9)).all()


def test_a_linear_net_with_an_orthogonal_matrix_reaches_the_bound():
    trace = trace_of(rnn(np.linalg.qr(np.random.default_rng(0).standard_normal((H, H)))[0], "identity"))
    np.testing.assert_allclose(jacobians(trace).largest, bound(trace).factor ** jacobians(trace).lags, rtol=1e-5)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (LSTM(D, H), ["input", "forget", "candidate", "output"]),
        (LSTM(D, H, forget_gate=False), ["input", "candidate", "output"]),
        (GRU(D, H), ["reset", "update", "candidate"]),
    ],
)
def test_gates_by_name(cell, names):
    with torch.no_grad():
        cell.weight_hh.copy_(torch.randn_like(cell.weight_hh))
    found = bound(trace_of(cell))
    parts = np.split(cell.weight_hh.detach().numpy(), len(names))
    assert list(found.per_gate) == names
    assert list(found.per_gate.values()) == pytest.approx([np.linalg.norm(part, 2) for part in parts], rel=1e-5)
    assert found.spectral_norm == max(found.per_gate.values())
    assert found.spectral_radius == pytest.approx(
        max(np.abs(np.linalg.eigvals(part)).max() for part in parts), rel=1e-5
    )
    assert found.slope == 1


def test_the_weights_do_not_bound_an_lstm():
    assert math.isnan(bound(trace_of(LSTM(D, H))).factor)


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_no_step_of_a_gru_is_above_its_bound(reset, scale):
    cell = GRU(D, H, reset=reset).double()
    with torch.no_grad():
        for weight in cell.parameters():
            weight.copy_(torch.randn_like(weight) * scale)
    factor = bound(trace_of(cell.float())).factor
    cell.double().requires_grad_(False)
    h, x = (torch.rand(500, H).double() * 2 - 1).sign(), 3 * torch.randn(500, D).double()
    h[::2] *= torch.rand(250, H)
    steps = jacobian(lambda h: cell.step(x, h)[0].sum(0), h).permute(1, 0, 2)  # [B, H, H]
    assert 0.2 * max(1, factor / 20) < torch.linalg.matrix_norm(steps, 2).max() <= factor


@pytest.mark.parametrize(
    ("reset", "gains", "biases", "h", "b_hn"),
    [
        # Gains of the reset gate, the forget gate and the candidate; biases that put each where its slope is largest.
        ("after", (0.0, 10.0, 0.0), (0.0, -10.0, -20.0), 1.0, 0.0),  # h and n as far apart as can be, z at 1/2
        ("after", (10.0, 0.0, 0.0), (0.0, -20.0, -5.0), 0.0, 10.0),  # r at 1/2, and it lets much through
        ("before", (10.0, 0.0, 10.0), (-10.0, -20.0, -5.0), 1.0, 0.0),
    ],
)
def test_the_bound_of_a_gru_is_not_far_above(reset, gains, biases, h, b_hn):
    cell = GRU(D, H, reset=reset)
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.weight_hh.copy_(torch.cat([gain * torch.eye(H) for gain in gains]))
        cell.bias.copy_(torch.tensor(biases).repeat_interleave(H))
        if reset == "after":
            cell.bias_hn.fill_(b_hn)
    factor = bound(trace_of(cell)).factor
    step = jacobian(lambda state: cell.step(torch.zeros(1, D), state)[0][0], torch.full((1, H), h))[:, 0]
    assert 0.8 * factor < torch.linalg.matrix_norm(step, 2) <= factor


def test_a_gru_stays_between_the_bounds_of_its_state():
    trace = trace_of(GRU(D, H), 10.0)
    assert trace.after.abs().max() < 1
    assert jacobians(trace).largest[0] <= bound(trace).factor


def test_a_cell_without_recurrent_matrix_has_no_bound():
    assert bound(trace_of(MinGRU(D, H))) is None
