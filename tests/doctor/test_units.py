import math

import numpy as np
import pytest
import torch

from elman import state as states
from elman.cells import GRU, LSTM, RNN, MinGRU, WindowNet
from elman.doctor import units as module
from elman.doctor.capture import capture
from elman.doctor.units import units
from elman.sequences import Sequences


def batch(cell, lengths=(9, 0, 14, 2)):
    torch.manual_seed(0)
    return Sequences(torch.randn(sum(lengths), cell.input_size), list(lengths))


def trace(cell, x=None):
    x = batch(cell) if x is None else x
    return capture(cell, lambda: (cell(x)[0].values + 1).square().mean()).traces[0]


def plain(activation, units=3):
    """Return a net whose units read the first input and a bias, and not each other."""
    cell = RNN(2, units, activation=activation)
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.weight_ih[:, 0] = 1
        cell.weight_hh.zero_()
        cell.bias.zero_()
    return cell


def test_a_relu_that_is_always_off_is_dead():
    cell = plain("relu")
    with torch.no_grad():
        cell.bias[1] = -100
    assert units(trace(cell)).dead.tolist() == [False, True, False]


@pytest.mark.parametrize(("scale", "dead"), [(0.0, True), (1e-7, True), (1e-5, False)])
def test_a_unit_with_constant_output_is_dead(scale, dead):
    cell = plain("tanh")
    with torch.no_grad():
        cell.weight_ih[2] *= scale
        cell.bias[2] = 0.5
    assert units(trace(cell)).dead.tolist() == [False, False, dead]


def test_a_single_step_has_no_dead_units():
    cell = plain("relu")
    assert not units(trace(cell, Sequences(torch.randn(1, 2), [0, 1]))).dead.any()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "identity"])
def test_saturated_is_the_share_of_steps_near_a_bound(activation):
    cell = plain(activation)
    with torch.no_grad():
        cell.weight_ih[:, 0] = torch.tensor([0.1, 2.0, 50.0])
    x = batch(cell)
    y = cell(x)[0].values.detach().double()
    near = {"tanh": y.abs() > 0.95, "sigmoid": (y - 0.5).abs() > 0.45}.get(activation, torch.zeros(25, 3))
    saturated = units(trace(cell, x)).saturated
    np.testing.assert_allclose(saturated, near.double().mean(0), atol=1e-12)
    if activation in ("tanh", "sigmoid"):
        assert 0 == saturated[0] < saturated[1] < saturated[2]


@pytest.mark.parametrize("make", [LSTM, GRU])
def test_gated_cells_saturate_near_one(make):
    cell = make(2, 3)
    with torch.no_grad():
        cell.bias[:] = 0
        for place in {LSTM: (0, 3, 6, 9), GRU: (6,)}[make]:  # unit 0: written to, kept and shown all the time
            cell.bias[place] = 9
        if make is GRU:
            cell.bias[3] = -9
    saturated = units(trace(cell)).saturated
    assert saturated[0] > 0.5
    assert saturated[1] == saturated[2] == 0


def test_an_unbounded_output_is_not_saturated():
    cell = MinGRU(2, 3)
    with torch.no_grad():
        cell.bias[3:] = 50
    assert not units(trace(cell)).saturated.any()
    cell = WindowNet(2, 3, activation="tanh")
    with torch.no_grad():
        cell.bias[:] = 50
    assert (units(trace(cell)).saturated == 1).all()


@pytest.mark.parametrize("make", [LSTM, RNN, WindowNet])
def test_state_norm_is_the_mean_norm_of_the_whole_state(make):
    cell = make(2, 3)
    x = batch(cell)
    found = units(trace(cell, x)).state_norm
    assert found.shape == (14,)
    for place in range(14):
        rows = np.flatnonzero(x.lengths > place)
        cut = Sequences.from_list([x.to_list()[row][: place + 1] for row in rows])
        _, final = cell(cut)
        norms = torch.cat([leaf.flatten(1) for leaf in states.leaves(final)], 1).norm(dim=1)
        assert found[place] == pytest.approx(norms.mean().item(), rel=1e-5)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.05])
def test_norm_growth_is_that_of_the_state(factor):
    """Rows differ in length and scale, so that the slope of the mean over rows is different."""
    cell = RNN(1, 2, activation="identity")
    with torch.no_grad():
        cell.weight_hh.copy_(factor * torch.eye(2))
        cell.weight_ih.fill_(1)
        cell.bias.zero_()
    x = Sequences(torch.zeros(60, 1), [40, 12, 0, 1, 7])
    x.values[x.offsets[:-1][[0, 1, 3, 4]], 0] = torch.tensor([0.01, 100.0, 5.0, 1.0])
    assert units(trace(cell, x)).norm_growth == pytest.approx(math.log(factor), abs=1e-6)


def test_a_state_that_settles_in_the_first_half_of_its_rows_does_not_grow():
    cell = RNN(1, 1, activation="identity")
    with torch.no_grad():
        for weight, value in zip(cell.parameters(), (1.0, 0.5, 0.0), strict=True):
            weight.fill_(value)
    found = units(trace(cell, Sequences(torch.ones(100, 1), [60, 40])))
    assert found.state_norm[0] < 0.6 * found.state_norm[-1]
    assert abs(found.norm_growth) < 1e-6


def test_norm_growth_of_zero_states_and_short_rows_is_unknown():
    cell = plain("relu")
    with torch.no_grad():
        cell.bias[:] = -100
    assert math.isnan(units(trace(cell)).norm_growth)
    assert math.isnan(units(trace(plain("tanh"), Sequences(torch.randn(3, 2), [1, 1, 1]))).norm_growth)


def test_chunks_do_not_change_the_result(monkeypatch):
    traced = trace(LSTM(2, 3))
    whole = units(traced)
    monkeypatch.setattr(module, "CHUNK", 7)
    for a, b in zip(units(traced), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_state_norm_has_at_most_a_thousand_steps():
    cell = RNN(1, 2)
    assert units(trace(cell, Sequences(torch.randn(1100, 1), [1100]))).state_norm.shape == (1000,)
