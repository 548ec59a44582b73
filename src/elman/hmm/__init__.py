"""Drop-in replacement for hmmlearn: `from elman import hmm` instead of `from hmmlearn import hmm`.

The classes have hmmlearn's constructors, methods, fitted attributes, `(X, lengths)` arguments, priors and formulas, and
run on elman's kernels. `elman.HMM` has the features that hmmlearn lacks: missing values, driving inputs, restarts, the
k best paths, tagging.
"""

from elman.hmm.base import DECODER_ALGORITHMS, BaseHMM
from elman.hmm.checks import NotFittedError
from elman.hmm.discrete import CategoricalHMM, MultinomialHMM, PoissonHMM
from elman.hmm.gaussian import COVARIANCE_TYPES, GaussianHMM
from elman.hmm.mixture import GMMHMM
from elman.hmm.monitor import ConvergenceMonitor

__all__ = [
    "COVARIANCE_TYPES",
    "DECODER_ALGORITHMS",
    "GMMHMM",
    "BaseHMM",
    "CategoricalHMM",
    "ConvergenceMonitor",
    "GaussianHMM",
    "MultinomialHMM",
    "NotFittedError",
    "PoissonHMM",
]  # fmt: skip
