"""The summary for a terminal."""

import numpy as np

from elman.doctor.gradient_by_lag import Lags


def test_a_healthy_model(healthy):
    lines = healthy.summary().splitlines()
    assert str(healthy) == healthy.summary()
    assert 8 <= len(lines) <= 25
    assert lines[0] == "loss 1"
    assert lines[2].startswith("HEALTHY   No problem found: the gradient reaches 45 steps")
    [row] = [line for line in lines if line.startswith("cells.1")]
    assert row.split()[:4] == ["cells.1", "LSTM(4", "->", "8)"]
    assert "45" in row.split()
    assert "x 0.900" in row
    assert "forget 0 5" in row
    assert "loss by steps of context: 1: 3, 2: 2, 4: 1.5, 8: 1.25, 16: 1.05, 100: 1" in lines
    assert any(line.startswith("training: 400 updates") and line.endswith("clipped in 0%") for line in lines)


def test_a_remedy_follows_its_verdict(failing):
    lines = failing().summary().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("FAILING"))
    assert any(line.strip() == "-> --set cell=lstm, or --set cell.init=identity" for line in lines[at : at + 4])
    assert max(map(len, lines)) <= 150


def test_unknown_values_are_dashes(healthy):
    layer = healthy.layers[0]._replace(
        gates={}, half_life=np.nan, lags=Lags(np.array([9]), np.ones((1, 9)), np.ones((1, 9)))
    )
    text = healthy._replace(layers=[layer], skipped={"other": "the loss does not scan it"}, context=None).summary()
    assert "no end" in text
    assert "other: not examined: the loss does not scan it." in text
