import math

import numpy as np
import pytest
import torch

from elman import RNN, Sequences
from elman.doctor.capture import capture
from elman.doctor.horizon import growth, half_life, horizon
from elman.doctor.lags import Lags, gradients_by_lag


def lags(curve):
    norms = 7 * np.asarray(curve, np.float64)[None]
    return Lags(np.zeros(1, np.int64), norms, norms)


@pytest.mark.parametrize("half", [0.7, 3.0, 20.0])
def test_what_fades_evenly(half):
    found = lags(0.5 ** (np.arange(51) / half))
    assert half_life(found) == pytest.approx(half)
    assert horizon(found) == pytest.approx(half * math.log2(100), rel=1e-6)  # 133 steps for 20, though 50 were measured
    assert growth(found) == pytest.approx(0.5 ** (1 / half))


def test_between_two_lags():
    assert horizon(lags([1, 0.1, 0.001])) == pytest.approx(1.5)


@pytest.mark.parametrize("curve", [[1, 1, 1, 1, 1], [1, 2, 4, 8, 16], [1, 0.5, 0.5, 0.5, 0.5]])
def test_what_does_not_fade(curve):
    assert horizon(lags(curve)) == math.inf


def test_without_a_past_nothing_can_be_said():
    assert math.isnan(horizon(lags([1])))
    assert math.isnan(horizon(lags(np.zeros(0))))


def test_a_horizon_of_a_tenth_is_nearer():
    found = lags(0.5 ** np.arange(20))
    assert horizon(found, faint=0.1) == pytest.approx(math.log2(10))


@pytest.mark.parametrize(("scale", "expected"), [(1e-3, 0.0), (1e3, math.inf)])
def test_past_what_a_number_holds(scale, expected):
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
