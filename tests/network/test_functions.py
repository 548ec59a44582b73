"""Functions that layers share: the memory of arrays that native kernels fill."""

import numpy as np
import pytest

from elman.network.functions import LARGE, address, new


@pytest.mark.needs_native
@pytest.mark.parametrize("columns", [7, LARGE // 3, LARGE // 3 + 1])
def test_a_new_array_has_memory_of_its_own_that_can_be_written(columns):
    first, second = new(3, columns), new(3, columns)
    assert first.shape == (3, columns)
    assert first.dtype == np.float32
    assert first.flags.c_contiguous
    first[:], second[:] = 1, 2
    assert (first == 1).all()
    assert abs(address(first) - address(second)) >= first.nbytes
