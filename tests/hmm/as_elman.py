"""Pytest plugin that replaces `hmmlearn.hmm` and `hmmlearn.base` by `elman.hmm` before the tests are imported."""

import sys

import hmmlearn

from elman import hmm

NAMES = ("GaussianHMM", "CategoricalHMM", "MultinomialHMM", "PoissonHMM", "GMMHMM", "BaseHMM", "ConvergenceMonitor")


def pytest_configure(config):
    hmmlearn.hmm = hmmlearn.base = hmm
    sys.modules["hmmlearn.hmm"] = sys.modules["hmmlearn.base"] = hmm


def pytest_collection_modifyitems(items):
    """Check that every test module that names a model uses elman's."""
    for module in {item.module for item in items}:
        assert getattr(module, "hmm", hmm) is hmm, module
        for name in NAMES:
            assert getattr(module, name, getattr(hmm, name)) is getattr(hmm, name), (module, name)
