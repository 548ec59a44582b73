import numpy as np
import pytest
import torch

from elman.layers import Deviations
from elman.sequences import Sequences
from elman.testing import check_cell


def test_laws_hold():
    check_cell(Deviations(3))


@pytest.mark.parametrize("shape", [4, (2, 3, 5)])
def test_equals_numpys_difference_to_the_running_mean(shape):
    generator = torch.Generator().manual_seed(0)
    x = Sequences(torch.randn(9, *np.atleast_1d(shape).tolist(), generator=generator), [4, 0, 5])
    y, state = Deviations(shape).scan(x)
    for row, out in zip(x.to_list(), y.to_list(), strict=True):
        for step in range(len(row)):
            expected = row[step].numpy() - row[: step + 1].numpy().mean(0)
            np.testing.assert_allclose(out[step].numpy(), expected, atol=1e-6)
    assert state.steps.tolist() == [4, 0, 5]


def test_a_constant_is_removed():
    x = Sequences(torch.arange(6.0)[:, None], [6])
    moved = x.map(lambda values: values + 32)
    torch.testing.assert_close(Deviations(1).scan(moved)[0].values, Deviations(1).scan(x)[0].values)


def test_another_shape_raises():
    with pytest.raises(ValueError, match=r"Deviations.scan: expected values of shape \[N, C=2, H=3, W=5\]"):
        Deviations((2, 3, 5)).scan(Sequences(torch.zeros(4, 2, 3), [4]))
