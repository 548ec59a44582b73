import re

import numpy as np
import pytest
import torch

from elman.shapes import check


@pytest.mark.parametrize(
    ("shape", "spec"),
    [((3, 4), "N D=4"), ((0, 4), "N D=4"), ((3,), "N"), ((), ""), ((), "..."), ((3, 4, 5), "N ..."), ((3,), "N ..."),
     ((3, 4), "B=3 D=4"), ((3, 2), "B=3 order-1=2")],
)  # fmt: skip
def test_correct_shapes_pass(shape, spec):
    check("here", "x", np.zeros(shape), spec)
    check("here", "x", torch.zeros(shape), spec)


@pytest.mark.parametrize(
    ("shape", "spec", "message"),
    [
        ((160, 12), "N D=16", "LSTM.scan: expected values of shape [N, D=16], got [160, 12]."),
        ((16,), "N D=16", "LSTM.scan: expected values of shape [N, D=16], got [16]."),
        ((2, 3, 16), "N D=16", "LSTM.scan: expected values of shape [N, D=16], got [2, 3, 16]."),
        ((), "N ...", "LSTM.scan: expected values of shape [N, ...], got []."),
        ((5, 4), "B=2 ...", "LSTM.scan: expected values of shape [B=2, ...], got [5, 4]."),
    ],
)
def test_a_wrong_shape_is_one_clear_line(shape, spec, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check("LSTM.scan", "values", np.zeros(shape), spec)
