"""Products of Jacobians against closed forms, and against autograd through steps that are written out."""

import numpy as np
import pytest
import torch
from torch import nn

from elman import GRU, LSTM, RNN, MinGRU, Sequences, WindowNet
from elman.cells.module import CellModule
from elman.doctor import directions
from elman.doctor import jacobians as module
from elman.doctor.capture import capture
from elman.doctor.jacobians import jacobians

D, H = 3, 5


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def trace_of(cell, lengths=(20,), state=None):
    """Return the trace of a cell with the loss at the last steps of its rows."""
    cell = cell.double()
    x = Sequences(torch.randn(sum(lengths), cell.input_size).double(), lengths)
    ends = x.offsets[1:][x.lengths > 0] - 1
    (trace,) = capture(cell, lambda: cell(x, state)[0].values[ends].square().sum()).traces
    return trace


def linear(weight):
    """Return the net h = x + W h: every Jacobian is W."""
    cell = RNN(D, len(weight), activation="identity").double()
    with torch.no_grad():
        cell.weight_hh.copy_(torch.as_tensor(weight))
    return cell


def powers_of(weight, lags):
    return [np.linalg.svd(np.linalg.matrix_power(weight, lag), compute_uv=False) for lag in lags]


def blocks(trace, last, lag):
    """Return d leaf_t / d leaf_{t-l} of each leaf of the state, by torch.autograd.functional: [n, n] each."""
    before = trace.before(np.array([last - lag + 1]))
    leaves = before if isinstance(before, tuple) else (before,)

    def run(*numbers):
        state = type(before)(*numbers) if isinstance(before, tuple) else numbers[0]
        for step in range(last - lag + 1, last + 1):
            _, state = trace.cell.step(trace.x.values[step : step + 1], state)
        return state

    found = torch.autograd.functional.jacobian(run, leaves)
    found = found if isinstance(before, tuple) else (found,)
    return [
        part[number].reshape(leaf.numel(), -1).numpy()
        for number, (part, leaf) in enumerate(zip(found, leaves, strict=True))
    ]


def test_a_linear_net_has_the_powers_of_its_matrix():
    weight = np.random.default_rng(0).standard_normal((H, H)) / 2
    found = jacobians(trace_of(linear(weight)))
    assert found.lags.tolist() == [1, 2, 4, 8, 16, 20]
    expected = powers_of(weight, found.lags)
    np.testing.assert_allclose(found.largest, [values[0] for values in expected], rtol=1e-10)
    resolved = np.array([values[-1] > 1e-11 * values[0] for values in expected])
    np.testing.assert_allclose(
        found.smallest[resolved], np.array([values[-1] for values in expected])[resolved], rtol=1e-4
    )
    assert resolved[:3].all()
    assert found.exact
    assert found.cell_largest is found.cell_smallest is found.forget_product is None


def test_singular_values_below_the_resolution_are_nan():
    found = jacobians(trace_of(linear(np.array([[1.0, 0.3], [0.0, 1e-5]]))))
    assert found.smallest[:2] == pytest.approx([np.linalg.svd([[1.0, 0.3], [0.0, 1e-5]])[1][-1], 1e-10], rel=0.1)
    assert np.isnan(found.smallest[2:]).all()


def test_exponents_of_an_orthogonal_matrix_are_zero():
    weight = np.linalg.qr(np.random.default_rng(0).standard_normal((H, H)))[0]
    found = jacobians(trace_of(linear(weight), (50,)))
    np.testing.assert_allclose(found.lyapunov, np.zeros(H), atol=1e-12)
    np.testing.assert_allclose(found.largest, 1, rtol=1e-12)
    np.testing.assert_allclose(found.smallest, 1, rtol=1e-12)


def test_exponents_of_a_diagonal_matrix_are_its_logarithms():
    rates = np.array([0.3, 1.2, 0.05, 0.8])
    found = jacobians(trace_of(linear(np.diag(rates)), (100,)))
    np.testing.assert_allclose(found.lyapunov, np.sort(np.log(rates))[::-1], atol=1e-3)
    assert found.largest[-1] == pytest.approx(1.2**100)


def test_exponents_are_those_of_the_eigenvalues():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    upper = np.diag([1.1, 0.7, 0.4, 0.2]) + np.triu(np.ones((4, 4)), 1) / 2
    found = jacobians(trace_of(linear(turn @ upper @ turn.T), (200,)), steps=200)
    np.testing.assert_allclose(found.lyapunov, np.log([1.1, 0.7, 0.4, 0.2]), atol=1e-2)


def test_the_sum_of_exponents_is_the_mean_log_determinant():
    trace = trace_of(GRU(D, H), (40,))
    found = jacobians(trace)
    counted = range(39 - 10 + 1)  # the first quarter, from the end, is not counted
    logs = [np.linalg.slogdet(blocks(trace, step, 1)[0])[1] for step in counted]
    assert found.lyapunov.sum() == pytest.approx(np.mean(logs), rel=1e-8)
    assert (np.diff(found.lyapunov) <= 0).all()


@pytest.mark.parametrize("cell", [RNN, GRU, LSTM, MinGRU])
def test_blocks_equal_those_of_autograd(cell):
    trace = trace_of(cell(D, H), (17,))
    found = jacobians(trace)
    assert found.lags.tolist() == [1, 2, 4, 8, 16, 17]
    kinds = [(found.largest, found.smallest), (found.cell_largest, found.cell_smallest)]
    for place, lag in enumerate(found.lags):
        parts = blocks(trace, 16, lag)
        for part, (largest, smallest) in zip(parts, kinds, strict=False):
            values = np.linalg.svd(part, compute_uv=False)
            assert largest[place] == pytest.approx(values[0], rel=1e-9)
            if values[-1] > 1e-11 * values[0]:
                assert smallest[place] == pytest.approx(values[-1], rel=1e-2)
    assert (found.cell_largest is None) == (cell is not LSTM)


def test_the_forget_product_of_an_lstm():
    cell = LSTM(D, H)
    trace = trace_of(cell, (30,))
    found = jacobians(trace)
    h = torch.cat([trace.initial.h, trace.after.h[:-1]])
    weights = [weight.detach()[H : 2 * H] for weight in (cell.weight_ih, cell.weight_hh, cell.bias)]
    gates = torch.sigmoid(trace.x.values @ weights[0].T + h @ weights[1].T + weights[2]).numpy()
    products = np.cumprod(gates[::-1], 0)
    np.testing.assert_allclose(found.forget_product, [1, *np.exp(np.log(products).mean(1))], rtol=1e-10)


def test_the_forget_product_of_a_min_gru_is_its_whole_jacobian():
    trace = trace_of(MinGRU(D, H), (12,))
    found = jacobians(trace)
    diagonal = np.abs(np.diagonal(blocks(trace, 11, 12)[0]))
    assert found.forget_product[12] == pytest.approx(np.exp(np.log(diagonal).mean()), rel=1e-9)
    assert found.smallest[-1] < found.forget_product[12] < found.largest[-1]


def test_without_a_forget_gate_the_product_is_one():
    found = jacobians(trace_of(LSTM(D, H, forget_gate=False), (12,)))
    assert found.forget_product.tolist() == [1] * 13


def test_geometric_means_over_the_rows_that_reach_a_lag():
    trace = trace_of(GRU(D, H), (9, 0, 17, 1, 4))
    found = jacobians(trace)  # the oldest half of the four ends, and no fewer than four
    assert found.lags.tolist() == [1, 2, 4, 8, 16, 17]
    ends = {9: 8, 17: 25, 1: 26, 4: 30}
    for place, lag in enumerate(found.lags):
        there = [np.linalg.norm(blocks(trace, end, lag)[0], 2) for length, end in ends.items() if length >= lag]
        assert found.largest[place] == pytest.approx(np.exp(np.mean(np.log(there))), rel=1e-9)
        kept = np.exp(np.mean([np.log(_kept(trace, end, lag)) for length, end in ends.items() if length >= lag]))
        assert found.forget_product[lag] == pytest.approx(kept, rel=1e-9)


def _kept(trace, end, lag):
    steps = np.arange(end - lag + 1, end + 1)
    gates = trace.cell.gate_activations(trace.cell.project(trace.x.values[steps]), trace.before(steps))
    return gates[trace.cell.memory_gate].prod(0).log().mean().exp().item()


def test_the_number_of_trajectories_and_steps():
    trace = trace_of(RNN(D, H), (30, 30, 30))
    found = jacobians(trace, trajectories=1, steps=7)
    assert found.lags.tolist() == [1, 2, 4, 7]
    assert found.largest[-1] == pytest.approx(np.linalg.norm(blocks(trace, 29, 7)[0], 2), rel=1e-9)


def test_a_given_initial_state_is_used():
    trace = trace_of(RNN(D, H), (1,), torch.randn(1, H).double())
    found = jacobians(trace)
    assert found.lags.tolist() == [1]
    assert found.largest[0] == pytest.approx(np.linalg.norm(blocks(trace, 0, 1)[0], 2))


def test_a_nilpotent_matrix_leaves_zero():
    found = jacobians(trace_of(linear(np.zeros((H, H)))))
    assert not found.largest.any()
    assert not found.smallest.any()
    assert (found.lyapunov == -np.inf).all()


def test_lost_directions_are_zero_and_not_noise():
    cell = WindowNet(D, H, window=4)  # it forgets the oldest of three inputs at each step
    found = jacobians(trace_of(cell, (10,)))
    assert found.lags.tolist() == [1, 2, 4, 8, 10]
    assert found.largest.tolist() == [1, 1, 0, 0, 0]
    assert not found.smallest.any()
    assert (found.lyapunov[-D:] == -np.inf).all()


def test_dead_units_pass_no_gradient():
    cell = RNN(D, H, activation="relu")
    with torch.no_grad():
        cell.bias[0] = -1000
    assert not jacobians(trace_of(cell)).smallest.any()


def test_products_beyond_the_range_of_float64():
    rates = np.array([1e-5, 1e-7])
    found = jacobians(trace_of(linear(np.diag(rates)), (100,)))
    np.testing.assert_allclose(found.lyapunov, np.log(rates), rtol=1e-6)
    assert found.largest[:6] == pytest.approx([1e-5, 1e-10, 1e-20, 1e-40, 1e-80, 1e-160])
    assert found.largest[-1] == pytest.approx(np.finfo(np.float64).tiny)
    trace = trace_of(linear(np.eye(2)), (100,))
    trace.cell.weight_hh.copy_(torch.diag(torch.from_numpy(1 / rates)))  # which acts the same, whatever the states are
    found = jacobians(trace)
    assert found.largest[-1] == pytest.approx(np.finfo(np.float64).max)
    np.testing.assert_allclose(found.lyapunov, -np.log(rates)[::-1], rtol=1e-6)


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_estimates_are_close_to_exact_products(cell, monkeypatch):
    trace = trace_of(cell(D, 24, init="pytorch"), (17, 9))
    whole = jacobians(trace)
    monkeypatch.setattr(module, "DENSE", 1)
    found = jacobians(trace)
    assert whole.exact
    assert not found.exact
    assert np.isnan(found.smallest).all()
    kinds = ["largest", "cell_largest"] if cell is LSTM else ["largest"]
    for ours, theirs in ((getattr(found, kind), getattr(whole, kind)) for kind in kinds):
        assert (ours <= theirs * (1 + 1e-9)).all()
        np.testing.assert_allclose(ours, theirs, rtol=0.05)
    np.testing.assert_array_equal(found.lyapunov, whole.lyapunov)
    np.testing.assert_array_equal(found.forget_product, whole.forget_product)


def test_a_large_net_is_estimated():
    weight = torch.randn(600, 600).double() / 600**0.5
    found = jacobians(trace_of(linear(weight), (6,)))
    assert not found.exact
    expected = [values[0] for values in powers_of(weight.numpy(), found.lags)]
    np.testing.assert_allclose(found.largest, expected, rtol=0.1)
    assert len(found.lyapunov) == 64


def test_forward_and_backward_products_agree():
    trace = trace_of(LSTM(D, H), (4, 6))
    steps = np.array([2, 4, 9])  # the second starts a row
    rows, columns = torch.randn(2, 3, 2 * H).double(), torch.randn(2, 3, 2 * H).double()
    ours = (directions.backward(trace, steps, rows) * columns).sum(2)
    torch.testing.assert_close(ours, (directions.forward(trace, steps, columns) * rows).sum(2))


class Counting(CellModule):
    """Cell whose state has an integer leaf, and a leaf that never changes."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = D
        self.keep = nn.Parameter(torch.full((D,), 0.5))

    def initial_state(self, batch_size):
        count = torch.zeros(batch_size, dtype=torch.int64)
        return count, self.zeros(batch_size, D), self.zeros(batch_size, 2)

    def step(self, x, state):
        count, h, fixed = state
        h = self.keep * h / (count + 1)[:, None] + x
        return h, (count + 1, h, fixed)


def test_a_cell_of_your_own_with_an_integer_in_its_state():
    found = jacobians(trace_of(Counting(), (4,)))
    np.testing.assert_allclose(found.largest, [0.5 / 4, 0.25 / 12, 0.0625 / 24], rtol=1e-12)
    np.testing.assert_allclose(found.cell_largest, 1)
    np.testing.assert_allclose(found.lyapunov[:2], 0, atol=0.01)


def test_without_direct_loss_the_longest_rows_are_used():
    trace = trace_of(GRU(D, H), (9, 17))
    silent = trace._replace(gradient=torch.zeros_like(trace.gradient))
    np.testing.assert_allclose(jacobians(silent).largest, jacobians(trace).largest)


def test_no_steps_and_no_state():
    empty = trace_of(GRU(D, H), (3,))._replace(x=Sequences(torch.zeros(0, D).double(), [0]), after=torch.zeros(0, H))
    empty = empty._replace(gradient=torch.zeros(0, H).double())
    for trace in (empty, trace_of(GRU(D, H))._replace(initial=(), after=())):
        found = jacobians(trace)
        assert len(found.lags) == len(found.largest) == len(found.lyapunov) == 0


def test_the_random_generator_does_not_change():
    trace, generator = trace_of(RNN(D, H)), torch.get_rng_state()
    first, again = jacobians(trace), jacobians(trace)
    assert torch.equal(generator, torch.get_rng_state())
    np.testing.assert_array_equal(first.lyapunov, again.lyapunov)
