"""The face for people who come from hmmlearn: `from elman import hmm` in place of `from hmmlearn import hmm`.

Its constructors, methods, fitted attributes and `(X, lengths)`, its priors and its formulas, on elman's kernels.
`elman.HMM` has what is not hmmlearn's: missing values, driving inputs, restarts, k best paths, tagging.
"""

from elman.hmm.base import DECODER_ALGORITHMS, BaseHMM
from elman.hmm.covars import COVARIANCE_TYPES
from elman.hmm.gaussian import GaussianHMM
from elman.hmm.inputs import NotFittedError
from elman.hmm.mixture import GMMHMM
from elman.hmm.monitor import ConvergenceMonitor
from elman.hmm.poisson import PoissonHMM
from elman.hmm.symbols import CategoricalHMM, MultinomialHMM

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
