"""The figures as JSON."""

import json

import numpy as np
import pytest

from elman.doctor.figures import to_json


def test_it_is_plain_and_whole(well, sick):
    for found in (well, sick()):
        told = json.loads(json.dumps(to_json(found), allow_nan=False))
        assert told["loss"] == 1.0
        assert told["verdicts"][0]["says"] == found.verdicts()[0].says
        [layer] = told["layers"]
        assert layer["gradient_by_lag"] == pytest.approx(found.layers[0].lags.curve, rel=1e-5)
        assert layer["jacobians"]["largest"] == pytest.approx(found.layers[0].jacobians.largest, rel=1e-5)
    assert to_json(well)["layers"][0]["gates"]["forget"]["half_life"] == [40.0] * 8
    assert to_json(well)["context"]["needed"] == 100
    assert to_json(well)["training"]["updates"] == 400


def test_what_json_has_no_number_for(well):
    layer = well.layers[0]._replace(horizon=np.inf, half_life=np.nan)
    [told] = to_json(well._replace(layers=[layer]))["layers"]
    assert (told["horizon"], told["half_life"]) == ("inf", None)
