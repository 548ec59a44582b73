"""Hidden Markov models and their emission distributions."""

from elman.classical.hmm.emissions import Categorical, Emission, Gaussian, GaussianMixture, Poisson, Words
from elman.classical.hmm.inputs import Driven
from elman.classical.hmm.model import HMM
from elman.classical.hmm.results import Decoded, Filtered, Sample, StateForecast
from elman.classical.hmm.tagger import HMMTagger

__all__ = ["HMM", "Categorical", "Decoded", "Driven", "Emission", "Filtered", "Gaussian", "GaussianMixture",
           "HMMTagger", "Poisson", "Sample", "StateForecast", "Words"]  # fmt: skip
