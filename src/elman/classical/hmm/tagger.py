"""Tagger: a second-order HMM whose states are the tags (Brants 2000: TnT)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from elman.cell import unroll
from elman.classical.checks import as_sequences, check_names, distribution, one_step_rows, reals
from elman.classical.hmm import em, labelled, trigrams
from elman.classical.hmm.emissions import Emission, Words, make_emission, split_arrays
from elman.classical.hmm.results import Decoded, Filtered
from elman.classical.hmm.trigrams import Trigrams
from elman.classical.model import ClassicalModel
from elman.classical.packed_strings import pack, unpack
from elman.declared_types import Record, field
from elman.nearest import suggests_arguments
from elman.representation import counted
from elman.sequences import Sequences

ORDERS = (1, 2)
PIECE = 20_000  # steps processed at a time, to bound memory


class HMMTagger(ClassicalModel):
    """Tagger of words (or other observations), fitted by counting in rows with known tags::

        p(tag | two previous tags) = l_1 p(tag) + l_2 p(tag | previous tag) + l_3 p(tag | two previous tags)

    All three are relative frequencies; deleted interpolation chooses the weights. `order=1` uses the first two.

    The cell state is the prediction for the next tag and the one before it, so `step` tags a text while it streams in.
    `decode` needs the whole row, and finds the most probable path exactly.

    Args:
        emission: distribution of the observations: `Words()`, the default, which predicts unknown words by shape and
            ending; or `Categorical() Gaussian() ...` for other observations.
        order: 1 or 2, number of previous tags that a tag depends on.
    Shapes:
        x: [B] strings, or other observations of the emission
        state: [B, T + 1, T] probabilities of the last tag (T: none) and the next one
        ->   y: Filtered(probs [B, T], log_prob [B])
    Attributes:
        tags_: [T], sorted. emission_: with its parameters.
        trigrams_: [T + 1, T + 1, T], transition probabilities, T before a row; with `order=1` independent of axis 0.
        weights_: [order + 1], weights of the interpolation.
    Raises:
        TypeError, ValueError: observations or tags are invalid; the message names them.
    Example:
        >>> text = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["the", "cats", "purr"]]
        >>> tagger = HMMTagger().fit(text, 3 * [["DET", "NOUN", "VERB"]])
        >>> tagger.decode([["a", "bird", "sings"]]).states.values.tolist()
        ['DET', 'NOUN', 'VERB']
    """

    tags_: np.ndarray
    trigrams_: np.ndarray
    weights_: np.ndarray
    emission_: Emission

    def __init__(self, emission: Emission | None = None, order: int = 2):
        self.emission = Words() if emission is None else emission
        self.order = order
        if not isinstance(self.emission, Emission):
            raise TypeError(f"HMMTagger: expected an emission, such as Words(), got {emission!r}.")
        if self.emission.drive_size:
            raise ValueError("HMMTagger: expected an emission without a driving input, got one; use HMM.fit_labelled.")
        if order not in ORDERS:
            raise ValueError(f"HMMTagger: expected order to be 1 or 2, got {order!r}.")

    @suggests_arguments
    def fit(self, sequences: Sequences | Iterable[Any], tags: Sequences | Iterable[Any]) -> Self:
        """Fit by counting.

        Args:
            sequences: rows of observations: Sequences, a list of rows, or one array for a single row.
            tags: strings or integers, one per step: Sequences, a list of rows, or an array [N].
        """
        where = "HMMTagger.fit"
        rows = as_sequences(where, sequences, self.emission.columns)
        names, ids = np.unique(self._labels(where, rows, tags), return_inverse=True)
        if not len(names):
            raise ValueError(f"{where}: expected tags, got none: all rows are empty.")
        data = self.emission.read(where, rows)
        emission = self.emission.from_states(where, data, np.eye(len(names))[ids], np.random.default_rng(0))
        found = trigrams.estimate(rows, ids, len(names), self.order)
        self.tags_, self.emission_, self.trigrams_, self.weights_ = names, emission, found.probs, found.weights
        return self

    # The cell.

    def initial_state(self, batch_size: int) -> np.ndarray:
        """Return the distribution of the first tag."""
        chain, size = self._chain("HMMTagger.initial_state"), len(self.tags_)
        state = np.zeros((batch_size, size + 1, size))
        state[:, size] = chain.probs[size, size]
        return state

    def step(self, x: np.ndarray, state: np.ndarray) -> tuple[Filtered, np.ndarray]:
        """Filter one observation of each row; return its tag probabilities, and the prediction for the next step."""
        where = "HMMTagger.step"
        chain = self._chain(where)
        rows = one_step_rows(where, x, self.emission.columns)
        state = self._state(where, state, len(rows))
        y, state = filtered(chain, self._scores(where, rows), state)
        em.impossible(where, rows, y.log_prob)
        return y, state

    def scan(self, sequences: Sequences, state: np.ndarray | None = None) -> tuple[Sequences, np.ndarray]:
        """Filter all rows together, one time step after another."""
        return self._scan("HMMTagger.scan", as_sequences("HMMTagger.scan", sequences, self.emission.columns), state)

    # Inference.

    def log_prob(self, sequences: Sequences | Iterable[Any]) -> np.ndarray:
        """Return the log-probability of each row, summed over all tags, [B]."""
        where = "HMMTagger.log_prob"
        rows = as_sequences(where, sequences, self.emission.columns)
        filtered = self._scan(where, rows)[0].values
        return np.bincount(rows.rows, filtered.log_prob, minlength=len(rows))

    def filter(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the tag probabilities given the observations up to each step: Filtered(probs [N, T], log_prob [N])."""
        return self._scan("HMMTagger.filter", as_sequences("HMMTagger.filter", sequences, self.emission.columns))[0]

    def smooth(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the tag probabilities given whole rows, [N, T]."""
        where = "HMMTagger.smooth"
        rows = as_sequences(where, sequences, self.emission.columns)
        chain, probs = self._chain(where), [np.zeros((0, len(self.tags_)))]
        for piece in pieces(rows):
            found = trigrams.smooth(chain, self.initial_state(len(piece)), self._scores(where, piece), piece)
            possible(where, found.log_prob)
            probs.append(found.probs)
        return rows.with_values(np.concatenate(probs))

    def decode(self, sequences: Sequences | Iterable[Any], method: str = "viterbi") -> Decoded:
        """Return the tags of the best path of each row (`viterbi`), or the best tag of each step (`posterior`).

        Returns:
            Decoded: states, the tags [N] in the form given to `fit`; log_prob [B] of a row and its tags jointly.
        """
        where = "HMMTagger.decode"
        rows = as_sequences(where, sequences, self.emission.columns)
        if method not in ("viterbi", "posterior"):
            raise ValueError(f"{where}: expected method viterbi or posterior, got {method!r}.")
        chain, ids, log_probs = self._chain(where), [np.zeros(0, np.int64)], [np.zeros(0)]
        for piece in pieces(rows):
            scores, start = self._scores(where, piece), self.initial_state(len(piece))
            if method == "viterbi":
                path, log_prob = trigrams.best_path(chain, start, scores, piece)
            else:
                path = trigrams.smooth(chain, start, scores, piece).probs.argmax(1)
                log_prob = trigrams.path_log_prob(chain, scores, piece, path)
            possible(where, log_prob)
            ids.append(path)
            log_probs.append(log_prob)
        return Decoded(rows.with_values(self.tags_[np.concatenate(ids)]), np.concatenate(log_probs))

    def score(self, sequences: Sequences | Iterable[Any], tags: Sequences | Iterable[Any]) -> float:
        """Return the accuracy of `decode` per step."""
        where = "HMMTagger.score"
        rows = as_sequences(where, sequences, self.emission.columns)
        labels = self._labels(where, rows, tags)
        if not len(labels):
            raise ValueError(f"{where}: expected at least one step, got none.")
        return float((self.decode(rows).states.values == labels).mean())

    def _facts(self) -> list[str]:
        known = hasattr(self, "emission_")
        size = [counted(len(self.tags_), "tag")] if known else []
        emission = (self.emission_ if known else self.emission).brief()
        return [*size, emission, f"order {self.order}", *([] if known else ["not fitted"])]

    # Files.

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"order": self.order, "emission": {"kind": type(self.emission).__name__, **self.emission.settings}}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return tags, chain and emission as arrays; `settings` holds the rest of the model."""
        chain = self._chain("HMMTagger.to_arrays")
        own = {"tags": pack(self.tags_), "trigrams": chain.probs, "weights": chain.weights}
        return own | {f"emission.{name}": array for name, array in self.emission_.to_arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """Return the model from its `to_arrays` and `settings`."""
        where, (chain, own) = "HMMTagger.from_arrays", split_arrays(arrays)
        self = cls(**settings | {"emission": make_emission(field(settings, "emission", Record))})
        check_names(where, chain, ["tags", "trigrams", "weights"])
        self.tags_, self.emission_ = unpack(chain["tags"]), self.emission.with_arrays(own)
        size = len(self.tags_)
        if not size or self.emission_.num_states != size:
            raise ValueError(f"{where}: expected an emission of {size} tags, got {self.emission_.num_states}.")
        self.trigrams_ = distribution(where, "trigrams", chain["trigrams"], f"T+1={size + 1} T+1={size + 1} T={size}")
        self.weights_ = distribution(where, "weights", chain["weights"], f"order+1={self.order + 1}")
        return self

    # Internals.

    def _scan(self, where: str, rows: Sequences, state: np.ndarray | None = None) -> tuple[Sequences, np.ndarray]:
        chain = self._chain(where)
        state = self.initial_state(len(rows)) if state is None else self._state(where, state, len(rows))
        scores = rows.with_values(self._scores(where, rows))
        y, last = unroll(lambda now, before: filtered(chain, now, before), scores, state)
        em.impossible(where, rows, y.values.log_prob)
        return y, last

    def _labels(self, where: str, rows: Sequences, tags: Any) -> np.ndarray:
        labels = labelled.labels_of(where, rows, tags)
        if labels.size and labels.dtype.kind not in "iubU":
            raise TypeError(f"{where}: expected tags of integers or strings, got {labels.dtype}.")
        return labels

    def _chain(self, where: str) -> Trigrams:
        if not hasattr(self, "trigrams_"):
            raise ValueError(f"{where}: expected a fitted model, got one without counts; call fit or load first.")
        return Trigrams(self.trigrams_, self.weights_)

    def _scores(self, where: str, rows: Sequences) -> np.ndarray:
        return self.emission_.log_prob(self.emission_.read(where, rows))

    def _state(self, where: str, state: Any, rows: int) -> np.ndarray:
        size = len(self.tags_)
        return reals(where, "state", state, f"B={rows} T+1={size + 1} T={size}")


def filtered(chain: Trigrams, scores: np.ndarray, state: np.ndarray) -> tuple[Filtered, np.ndarray]:
    """Filter one step with log-likelihoods [B, T]."""
    joint, log_prob = trigrams.observe(state, scores)
    return Filtered(joint.sum(1), log_prob), trigrams.advance(chain, joint)


def possible(where: str, log_prob: np.ndarray) -> None:
    """Raise a ValueError unless every row [B] has a possible path."""
    if not np.isfinite(log_prob).all():
        raise ValueError(f"{where}: an observation has probability zero for every tag; `filter` names it.")


def pieces(rows: Sequences) -> Iterator[Sequences]:
    """Yield the rows in parts of about `PIECE` steps."""
    part = rows.offsets[:-1] // PIECE
    sizes = np.diff(np.flatnonzero(np.append(np.diff(part, prepend=-1), 1) != 0))
    yield from rows.split(sizes.tolist())
