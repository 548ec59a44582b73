"""Functions in NumPy that have the values of SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special as scipy

from elman.classical import special

LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3) | st.just(-np.inf))
PROBS = arrays(np.float64, (3, 4), elements=st.floats(0, 1) | st.just(0.0))


@given(LOGITS)
def test_softmax(logits):
    logits[:, 1] = 0.5  # each row allows one
    with np.errstate(under="ignore"):
        np.testing.assert_allclose(special.softmax(logits), scipy.softmax(logits, axis=-1), rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(special.log_softmax(logits), scipy.log_softmax(logits, axis=-1), rtol=1e-12)


@given(PROBS, PROBS)
def test_xlogy(x, y):
    np.testing.assert_allclose(special.xlogy(x, y), scipy.xlogy(x, y), rtol=1e-12)
    np.testing.assert_allclose(special.xlogy(0.0, y), np.zeros((3, 4)))


@pytest.mark.parametrize("shape", [(0,), (5,), (20, 3)])
def test_log_factorial(shape):
    counts = np.random.default_rng(0).integers(0, 10_000, shape)
    for numbers in (counts, counts.astype(np.float64)):
        np.testing.assert_allclose(special.log_factorial(numbers), scipy.gammaln(counts + 1), rtol=1e-13)
