"""Models and data for comparisons of hmmlearn and `elman.hmm`."""

import logging
import warnings

import numpy as np

LENGTHS = [40, 1, 39, 40]
KINDS = ("spherical", "diag", "full", "tied")


def clouds(seed, steps=120, features=2, states=3):
    """Return observations [steps, features] about the centres of states that last ten steps."""
    rng = np.random.default_rng(seed)
    path = np.repeat(rng.integers(states, size=steps // 10), 10)
    return 4 * rng.normal(size=(states, features))[path] + rng.normal(size=(steps, features))


def counts(seed):
    return np.random.default_rng(seed).poisson(np.abs(clouds(seed)))


def symbols(seed):
    return counts(seed)[:, :1] % 4


def draws(seed):
    return np.random.default_rng(seed).multinomial(5, [0.2, 0.3, 0.5], size=120)


def mixture_prior(kind, features=2):
    matrices = kind in ("full", "tied")
    covars = (np.eye(features), 5.0) if matrices else (1.0, 1.0)
    return {"weights_prior": 2.0, "means_prior": 0.1, "means_weight": 1.0,
            "covars_prior": covars[0], "covars_weight": covars[1]}  # fmt: skip


GAUSSIAN_PRIOR = {"means_prior": np.ones((3, 2)), "means_weight": 2.0, "covars_prior": 0.5, "covars_weight": 4.0,
                  "startprob_prior": 2.0, "transmat_prior": np.full((3, 3), 2.0)}  # fmt: skip
CASES = {  # name -> class, settings, data, the attributes that are fitted
    **{f"gaussian {kind}": ("GaussianHMM", {"covariance_type": kind}, clouds, ["means_", "_covars_"])
       for kind in KINDS},
    **{f"gaussian {kind}, priors": ("GaussianHMM", {"covariance_type": kind} | GAUSSIAN_PRIOR, clouds,
                                    ["means_", "_covars_"]) for kind in KINDS},
    **{f"mixture {kind}": ("GMMHMM", {"n_mix": 2, "covariance_type": kind}, clouds, ["means_", "covars_", "weights_"])
       for kind in KINDS},
    **{f"mixture {kind}, priors": ("GMMHMM", {"n_mix": 2, "covariance_type": kind} | mixture_prior(kind), clouds,
                                   ["means_", "covars_", "weights_"]) for kind in KINDS},
    "poisson": ("PoissonHMM", {}, counts, ["lambdas_"]),
    "poisson, priors": ("PoissonHMM", {"lambdas_prior": 2.0, "lambdas_weight": 1.0}, counts, ["lambdas_"]),
    "categorical": ("CategoricalHMM", {}, symbols, ["emissionprob_"]),
    "categorical, priors": ("CategoricalHMM", {"emissionprob_prior": 2.0, "transmat_prior": 3.0}, symbols,
                            ["emissionprob_"]),
    "multinomial": ("MultinomialHMM", {"n_trials": 5}, draws, ["emissionprob_"]),
}  # fmt: skip


def quietly(call, *args, **options):
    """Return the result of a call, with warnings silenced."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*args, **options)
    finally:
        logging.disable(logging.NOTSET)
