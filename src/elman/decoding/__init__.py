"""Decoding: greedy search, sampling and beam search over distributions of the next unit."""

from elman.decoding.beam import Coverage, beam_search
from elman.decoding.constraints import Constraints
from elman.decoding.coverage import coverage_penalty
from elman.decoding.greedy import greedy, sample
from elman.decoding.hypothesis import Hypothesis
from elman.decoding.sampling import Sampling
from elman.decoding.steps import Step, by_stepper

__all__ = [
    "Constraints",
    "Coverage",
    "Hypothesis",
    "Sampling",
    "Step",
    "beam_search",
    "by_stepper",
    "coverage_penalty",
    "greedy",
    "sample",
]
