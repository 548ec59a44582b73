import math

import numpy as np
import pytest
import torch

from elman.cells import RNN
from elman.doctor.capture import capture
from elman.doctor.lags import Lags, gradients_by_lag
from elman.doctor.truncation import beyond, lost
from elman.sequences import Sequences


def lags(curve, probes=3):
    norms = np.outer(np.arange(1, probes + 1), curve).astype(float)
    return Lags(np.arange(probes), norms, norms)


@pytest.mark.parametrize("measured", [4, 20, 300])
@pytest.mark.parametrize("unrolled", [1, 5, 20, 60])
def test_of_what_fades_by_a_factor_it_is_a_sum_in_closed_form(measured, unrolled):
    r = 0.9
    found = lags(r ** np.arange(measured))
    assert beyond(found, unrolled) == pytest.approx(r**unrolled, rel=1e-9)
    kept = sum((1 - lag / unrolled) * (1 - r) * r**lag for lag in range(unrolled))
    assert lost(found, unrolled) == pytest.approx(1 - kept, rel=1e-9)


def test_a_net_that_forgets_by_a_factor():
    cell = RNN(1, 4, activation="identity").double()
    with torch.no_grad():
        cell.weight_hh.copy_(0.8 * torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0])
    x = Sequences(torch.randn(300, 1, dtype=torch.float64), [150, 150])
    seen = capture(cell, lambda: cell(x)[0].values.sum()).traces[0]
    assert beyond(gradients_by_lag(seen, max_lag=30), 10) == pytest.approx(0.8**10)
    assert beyond(gradients_by_lag(seen, max_lag=30), 50) == pytest.approx(0.8**50)


def test_windows_lose_more_than_their_last_step_does():
    found = lags(0.9 ** np.arange(50.0))
    assert beyond(found, 20) < lost(found, 20) < 1


def test_any_curve_is_summed_as_it_is():
    curve = np.array([1.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    rest = 0.25 / (1 - 0.5)  # it halves over its second half, 2 1 0.5
    assert beyond(lags(curve), 2) == pytest.approx((6.5 + rest) / (11.5 + rest))
    assert lost(lags(curve), 2) == pytest.approx((2.0 + 6.5 + rest) / (11.5 + rest))


@pytest.mark.parametrize("r", [1.0, 1.2, 1e3])
def test_what_does_not_fade_is_lost(r):
    assert beyond(lags(r ** np.arange(60.0)), 50) == 1
    assert lost(lags(r ** np.arange(60.0)), 50) == 1


def test_what_is_gone_at_once_is_not():
    assert beyond(lags(np.array([1.0, 0, 0, 0, 0, 0])), 1) == pytest.approx(0)


def test_steps_without_others_before_them_tell_nothing():
    assert math.isnan(beyond(lags(np.ones(1)), 5))
    assert math.isnan(lost(lags(np.array([1.0, np.nan])), 5))
