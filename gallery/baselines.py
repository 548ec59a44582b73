"""Baselines of the programs for series and video: one hidden Markov model per class, and a bag of steps."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.vq import kmeans2, vq

from elman.classical import HMM, BagOfWords
from elman.classical.hmm import Gaussian
from elman.sequences import Sequences

Rows = Sequence[np.ndarray]  # [T, D] each
FLOOR = 1e-2  # lowest variance of a state, as a share of that of its class


def hmm_accuracy(rows: Rows, labels: np.ndarray, test: Rows, test_labels: np.ndarray, states: int) -> float:
    """Return the accuracy of choosing the class whose HMM gives the highest likelihood (Rabiner 1989)."""
    classes, given = np.unique(labels), _sequences(test)
    found = []
    for label in classes:
        model = HMM(states, Gaussian(floor=FLOOR), max_iterations=50)
        own = [row for row, its in zip(rows, labels, strict=True) if its == label]
        found.append(model.fit(_sequences(own)).log_prob(given))
    return float((classes[np.argmax(found, 0)] == test_labels).mean())


def bag_of_steps(rows: Rows, labels: np.ndarray, test: Rows, test_labels: np.ndarray, words: int = 200) -> float:
    """Return the accuracy of a bag of steps and pairs of steps, each quantised to the nearest of `words` centres."""
    steps = np.concatenate(rows)
    words = min(words, len(steps))
    centres, _ = kmeans2(steps, words, minit="++", rng=0)

    def ids(some: Rows) -> Sequences:
        return Sequences.from_list([vq(row, centres)[0].astype(np.int64) for row in some])

    return BagOfWords(vocabulary_size=words, ngrams=2, l2=2.0).fit(ids(rows), labels).score(ids(test), test_labels)


def _sequences(rows: Rows) -> Sequences:
    return Sequences.from_list([np.asarray(row, np.float64) for row in rows])
