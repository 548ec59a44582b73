"""Published figures, and those of statsmodels, for fitted models."""

import numpy as np
import pytest

from elman.classical.lds import local_level


def test_nile_by_maximum_likelihood_equals_the_published_fit(nile):
    """Durbin and Koopman (2012), section 2.10: variances 15098.5 and 1469.2, -632.5456 over the 99 innovations."""
    model = local_level().fit([nile], restarts=1)
    assert model.variances_["noise"] == pytest.approx(15098.5, abs=0.1)
    assert model.variances_["level"] == pytest.approx(1469.2, abs=0.1)
    assert model.log_prob([nile])[0] == pytest.approx(-632.5456, abs=5e-5)
    assert model.history_.max() == pytest.approx(-632.5456, abs=5e-5)
    assert model.converged_


def test_nile_by_em_reaches_the_optimum(nile):
    """Check that EM stays at the optimum, and converges to it."""
    best = local_level(level=1469.2, noise=15098.5).fit([nile], ["level", "noise"], method="em", max_iterations=2)
    assert best.history_ == pytest.approx(-632.5456, abs=5e-5)
    assert best.variances_["level"] == pytest.approx(1469.2, rel=1e-4)
    model = local_level(level=1000.0, noise=20000.0).fit([nile], ["level", "noise"], method="em", max_iterations=20)
    assert (np.diff(model.history_) > 0).all()
    assert model.history_[-1] == pytest.approx(-632.5456, abs=0.05)
