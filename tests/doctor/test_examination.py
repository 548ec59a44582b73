import math

import pytest
import torch

from elman import LSTM, Sequences
from elman.doctor import examine
from elman.doctor.heatmaps import heatmaps


@pytest.mark.parametrize(
    "options", [{"zoneout_h": 0.1, "zoneout_c": 0.3}, {"layer_norm": True}, {"projection_size": 3, "peephole": True}]
)
def test_an_lstm_with_options(options):
    torch.manual_seed(0)
    cell, x = LSTM(3, 5, **options), Sequences(torch.randn(30, 3), [20, 10])
    found = examine(cell, lambda: cell.scan(x)[0].values.square().mean())
    (layer,) = found.layers
    assert layer.horizon > 0
    assert set(layer.gates) == {"input", "forget", "output"}
    assert "LSTM(3 -> " in found.summary()
    assert "forget gate" in "".join(heatmaps(found))


def test_without_products_of_jacobians(tmp_path):
    net, x = torch.nn.LSTM(3, 4), torch.randn(5, 2, 3)
    found = examine(net, lambda: net(x)[0].square().mean(), trajectories=0)
    (layer,) = found.layers
    assert len(layer.jacobians.lags) == len(layer.jacobians.lyapunov) == 0
    assert layer.horizon > 0
    assert "LSTM" in found.summary()
    found.save(tmp_path / "report.html")
    found.save(tmp_path / "report.png")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_is_a_verdict(value, tmp_path):
    net, x = torch.nn.GRU(3, 4), torch.randn(5, 2, 3)
    found = examine(net, lambda: net(x)[0].square().mean() * value)
    assert not math.isfinite(found.loss)
    assert [verdict.rule for verdict in found.verdicts()] == ["non-finite"]
    assert "The loss is" in found.summary()
    found.save(tmp_path / "report.html")
    assert "The loss is" in (tmp_path / "report.html").read_text()
