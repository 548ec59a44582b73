"""The figures as JSON."""

import json

import numpy as np
import pytest

from elman.doctor.figures import to_json


def test_the_figures_are_complete_plain_data(healthy, failing):
    for found in (healthy, failing()):
        data = json.loads(json.dumps(to_json(found), allow_nan=False))
        assert data["loss"] == 1.0
        assert data["verdicts"][0]["message"] == found.verdicts()[0].message
        [layer] = data["layers"]
        assert layer["gradient_by_lag"] == pytest.approx(found.layers[0].lags.curve, rel=1e-5)
        assert layer["jacobians"]["largest"] == pytest.approx(found.layers[0].jacobians.largest, rel=1e-5)
    assert to_json(healthy)["layers"][0]["gates"]["forget"]["half_life"] == [40.0] * 8
    assert to_json(healthy)["context"]["needed"] == 100
    assert to_json(healthy)["training"]["updates"] == 400


def test_infinity_and_nan(healthy):
    layer = healthy.layers[0]._replace(horizon=np.inf, half_life=np.nan)
    [data] = to_json(healthy._replace(layers=[layer]))["layers"]
    assert (data["horizon"], data["half_life"]) == ("inf", None)
