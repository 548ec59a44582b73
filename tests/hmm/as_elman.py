"""A pytest plugin: `hmmlearn.hmm` and `hmmlearn.base` are `elman.hmm`, for whatever is imported later."""

import sys

import hmmlearn

from elman import hmm

NAMES = ("GaussianHMM", "CategoricalHMM", "MultinomialHMM", "PoissonHMM", "GMMHMM", "BaseHMM", "ConvergenceMonitor")


def pytest_configure(config):
    hmmlearn.hmm = hmmlearn.base = hmm
    sys.modules["hmmlearn.hmm"] = sys.modules["hmmlearn.base"] = hmm


def pytest_collection_modifyitems(items):
    """Nothing is measured unless it is elman's: every test module that names a model has ours."""
    for module in {item.module for item in items}:
        assert getattr(module, "hmm", hmm) is hmm, module
        for name in NAMES:
            assert getattr(module, name, getattr(hmm, name)) is getattr(hmm, name), (module, name)
