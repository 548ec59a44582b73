"""EM: it never lowers its objective, and always returns a valid model."""

import numpy as np
import pytest

from elman.classical.hmm import Gaussian, GaussianMixture

from .random_problems import random_problem


def check_never_lower(seed):
    model, rows, description = random_problem(seed)
    model.fit(rows)
    history = model.history_
    assert np.isfinite(history).all(), description
    assert (np.diff(history) >= -1e-9 * (1 + np.abs(history[1:]))).all(), (description, np.diff(history).min())
    for name, array in model.to_arrays().items():
        assert np.isfinite(array).all(), (description, name)
    np.testing.assert_allclose(model.transition_.sum(1), 1, atol=1e-12, err_msg=description)
    emission = model.emission_
    gaussian = emission.gaussian_ if isinstance(emission, GaussianMixture) else emission
    if isinstance(gaussian, Gaussian):
        np.linalg.cholesky(gaussian.covariances)
        assert (np.linalg.eigvalsh(gaussian.covariances) > 0).all(), description


@pytest.mark.parametrize("part", range(4))
def test_em_never_lowers_likelihood_and_prior(part):
    for seed in range(part * 12, part * 12 + 12):
        check_never_lower(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_em_never_lowers_likelihood_and_prior_on_two_thousand_problems(part):
    for seed in range(1000 + part * 100, 1100 + part * 100):
        check_never_lower(seed)
