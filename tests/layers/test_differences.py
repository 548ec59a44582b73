import numpy as np
import pytest
import torch

from elman.layers import Differences
from elman.sequences import Sequences
from elman.testing import check_cell


def test_laws_hold():
    check_cell(Differences(3, torch.tensor([0.5, 1.0, 2.0])))


@pytest.mark.parametrize("shape", [4, (2, 3, 5)])
def test_equals_numpys_difference_along_each_row(shape):
    generator = torch.Generator().manual_seed(0)
    shape = (shape,) if isinstance(shape, int) else shape
    x = Sequences(torch.randn(9, *shape, generator=generator), [4, 0, 5])
    scale = torch.rand(shape[0], generator=generator) + 0.5
    y, _ = Differences(shape, scale).scan(x)
    for row, out in zip(x.to_list(), y.to_list(), strict=True):
        change = np.diff(row.numpy(), axis=0, prepend=row[:1].numpy())
        scaled = change / scale.numpy().reshape(-1, *[1] * (len(shape) - 1))
        np.testing.assert_allclose(out.numpy(), np.concatenate([row.numpy(), scaled], 1), rtol=1e-6)


def test_a_row_continues_from_its_state():
    layer = Differences(1)
    _, state = layer.scan(Sequences(torch.tensor([[1.0], [5.0]]), [2]))
    y, _ = layer.step(torch.tensor([[7.0]]), state)
    assert y.tolist() == [[7.0, 2.0]]


def test_another_shape_raises():
    with pytest.raises(
        ValueError, match=r"Differences.scan: expected values of shape \[N, C=2, H=3, W=5\], got \[4, 2, 3\]"
    ):
        Differences((2, 3, 5)).scan(Sequences(torch.zeros(4, 2, 3), [4]))
