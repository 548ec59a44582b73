import pytest
import torch

from elman.cells import GRU
from elman.layers import Residual
from elman.sequences import Sequences


def test_adds_its_input():
    cell = GRU(3, 3)
    x = Sequences(torch.randn(5, 3), [2, 3])
    y, state = Residual(cell).scan(x)
    inner, inner_state = cell.scan(x)
    assert torch.equal(y.values, x.values + inner.values)
    assert torch.equal(state, inner_state)


def test_different_input_and_output_sizes_raise():
    with pytest.raises(
        ValueError, match=r"^Residual: expected a cell of equal input and output size, got GRU from 3 to 4\.$"
    ):
        Residual(GRU(3, 4))
