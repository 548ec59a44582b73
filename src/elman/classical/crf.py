"""A linear-chain conditional random field (Lafferty, McCallum and Pereira 2001)."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import integers
from elman.classical.crf_likelihood import (
    Ends,
    Weights,
    check_scores,
    check_weights,
    log_starts,
    negative_log_likelihood,
    path_log_weight,
    place,
    require_paths,
    with_end,
)
from elman.classical.model import ClassicalModel
from elman.classical.tag_schemes import Allowed
from elman.kernels import semiring_scan
from elman.rows import one_step_each
from elman.sequences import Sequences
from elman.shapes import check

Chain = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # what the kernel asks for


class Filtered(NamedTuple):
    """What is known of the tag of a step from the scores up to it."""

    probs: np.ndarray  # [..., K] of the row as if it ended here, whatever it ends with
    log_prob: np.ndarray  # [...] by which this step makes the log-partition grow


class Decoded(NamedTuple):
    """The tags of rows."""

    tags: Sequences  # [N] int64; [N, k] of the k best rows of tags, best first, -1 where a row has fewer
    log_prob: np.ndarray  # [B] of a row's tags given its scores; [B, k], -inf where there are fewer


class CRF(ClassicalModel):
    """Tags from scores, all tags of a row at once::

        p(y | x) = exp(start[y1] + x1[y1] + sum_t (transitions[y(t-1), yt] + xt[yt]) + end[yT]) / Z(x)

    `x` are scores of the tags at each step, of any other model; Z(x) is the sum over all rows of tags. Zero weights say
    that all orders of tags are alike, and -inf that one is forbidden: until `fit`, or without `from_parameters`, a CRF
    knows what `allowed` forbids, and nothing else.

    The belief of its stream: the *joint* weight of the inputs and the tags so far, which no later input and no end has
    touched. So `Filtered.probs` are the probabilities of the step's tag if the row ended there and might end with any
    tag; `Filtered.log_prob` is log Z(x1 .. xt) - log Z(x1 .. x(t-1)), such ends in both, and a row's add up to its
    log-partition without `end`. It is no log-probability: scores are not normalised, so it may be positive. The state
    is the log-weight of each tag at the next step before its scores are known, less what the steps have added so far.

    Args:
        num_tags: K.
        allowed: which tags may follow which, begin and end a row, as `tag_schemes.allowed` says it; None: any.
        l2: what `fit` weighs the squares of the weights by, halved; above 0, or a transition that never occurs may
            have a weight without bounds.
        max_iterations: of L-BFGS, in `fit`.
    Shapes:
        x: scores [B, K], -inf where a tag is impossible   state: log-weights [B, K]
        ->   y: Filtered(probs [B, K], log_prob [B])
    Attributes:
        transitions_: [K, K] from, to.
        start_, end_: [K].
    Raises:
        TypeError: scores are not float64, tags are not integers.
        ValueError: a shape is another; scores are NaN or infinite; tags lie outside 0 to K - 1; every path of a row is
            forbidden.
    Example:
        >>> from elman.classical.tag_schemes import allowed
        >>> crf = CRF(3, allowed(["O", "B-PER", "I-PER"], "BIO"))
        >>> scores = Sequences.from_list([np.log([[0.4, 0.2, 0.4], [0.2, 0.2, 0.6]])])
        >>> crf.decode(scores).tags.values
        array([1, 2])
        >>> crf.marginals(scores).values.round(3)
        array([[0.444, 0.556, 0.   ],
               [0.333, 0.333, 0.333]])
    """

    def __init__(self, num_tags: int, allowed: Allowed | None = None, l2: float = 1.0, max_iterations: int = 200):
        self.num_tags, self.allowed, self.l2, self.max_iterations = num_tags, allowed, l2, max_iterations
        for name in ("num_tags", "max_iterations"):
            given = getattr(self, name)
            if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 1:
                raise ValueError(f"CRF: expected {name} to be an int of at least 1, got {given!r}.")
        if not l2 >= 0:
            raise ValueError(f"CRF: expected l2 of at least 0, got {l2}.")
        free = Weights(np.zeros((num_tags, num_tags)), np.zeros(num_tags), np.zeros(num_tags))
        self._set("CRF", free)

    @classmethod
    def from_parameters(
        cls, transitions: Any, start: Any = None, end: Any = None, allowed: Allowed | None = None
    ) -> Self:
        """A CRF of given weights: [K, K], [K] and [K], zeros where left out, -inf where forbidden.

        Example:
            >>> CRF.from_parameters(np.array([[0.0, 1.0], [-np.inf, 0.0]])).start_
            array([0., 0.])
        """
        transitions = np.asarray(transitions)
        check("CRF.from_parameters", "transitions", transitions, "K K")
        model = cls(len(transitions), allowed)
        zeros = np.zeros(len(transitions))
        model._set("CRF.from_parameters", Weights(transitions, zeros if start is None else np.asarray(start),
                                               zeros if end is None else np.asarray(end)))  # fmt: skip
        return model

    def fit(self, scores: Sequences, tags: Any) -> "CRF":
        """The weights that make `tags` [N] most probable, given scores that stay as they are (L-BFGS; it is convex).

        To train what makes the scores together with the weights, use `elman.losses.CRFLoss`.

        Raises:
            RuntimeError: it does not converge in `max_iterations`.
        """
        where = "CRF.fit"
        x = self._scores(where, scores)
        tags = integers(where, "tags", tags, f"N={len(x)}", below=self.num_tags)
        free = np.concatenate([np.isfinite(array).ravel() for array in self._weights])

        def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
            weights = self._unravel(vector, free)
            loss, gradients = negative_log_likelihood(where, x, tags, scores.lengths, weights)
            assert gradients is not None
            slope = np.concatenate([array.ravel() for array in gradients.weights])[free]
            return loss + 0.5 * self.l2 * float(vector @ vector), slope + self.l2 * vector

        from scipy.optimize import minimize

        begin = np.concatenate([array.ravel() for array in self._weights])[free]
        options = {"maxiter": self.max_iterations, "ftol": 1e-12, "gtol": 1e-6 * max(1, len(x))}
        found = minimize(objective, begin, jac=True, method="L-BFGS-B", options=options)
        if not found.success:
            raise RuntimeError(f"{where}: no convergence in {found.nit} iterations ({found.message.strip()}); give "
                               "larger max_iterations or l2.")  # fmt: skip
        self._set(where, self._unravel(found.x, free))
        return self

    def initial_state(self, batch_size: int) -> np.ndarray:
        """The start weights of every row, [B, K]."""
        return log_starts(self._weights, batch_size)

    def step(self, x: np.ndarray, state: np.ndarray) -> tuple[Filtered, np.ndarray]:
        """The scores of one step of each row, [B, K] -> (Filtered(probs [B, K], log_prob [B]), state [B, K])."""
        x = self._scores("CRF.step", Sequences(x, one_step_each(len(x))))
        check("CRF.step", "state", state, f"B={len(x)} K={self.num_tags}")
        joint = state + x
        log_prob = np.logaddexp.reduce(joint, axis=1)
        self._require_steps("CRF.step", log_prob, np.ones(len(x), np.int64))
        log_probs = joint - log_prob[:, None]
        return Filtered(np.exp(log_probs), log_prob), self._predict(log_probs)

    def scan(self, sequences: Sequences, state: np.ndarray | None = None) -> tuple[Sequences, np.ndarray]:
        """All steps of all rows in one call of the kernel."""
        x, lengths = self._scores("CRF.scan", sequences), sequences.lengths
        state = self.initial_state(len(sequences)) if state is None else state
        check("CRF.scan", "state", state, f"B={len(sequences)} K={self.num_tags}")
        probs, log_prob, _ = semiring_scan.forward(state, self.transitions_[None], x, lengths)
        self._require_steps("CRF.scan", log_prob, lengths)
        ends, final = Ends.of(lengths), state.copy()
        last = probs[ends.last]
        vanished = ends.rows[(last == 0).any(1)]  # forbidden, or possible and too small: a sum of logs can tell
        with np.errstate(divide="ignore"):
            final[ends.rows] = self._predict(np.log(last))
        if len(vanished):
            final[vanished] = super().scan(sequences.select(vanished), state[vanished])[1]
        return Sequences(Filtered(probs, log_prob), lengths), final

    def log_partition(self, sequences: Sequences) -> np.ndarray:
        """log Z(x) of each row, [B]; 0 of an empty one."""
        return self._log_partition("CRF.log_partition", self._chain("CRF.log_partition", sequences))

    def log_prob(self, sequences: Sequences, tags: Any) -> np.ndarray:
        """log p(y | x) of each row, [B], of tags [N]; -inf where they are forbidden."""
        where = "CRF.log_prob"
        chain = self._chain(where, sequences)
        tags = integers(where, "tags", tags, f"N={sequences.num_steps}", below=self.num_tags)
        ends = Ends.of(sequences.lengths)
        gain = path_log_weight(chain[2], tags, self._weights, ends)
        log_prob = -self._log_partition(where, chain)
        log_prob[ends.rows] += np.add.reduceat(gain, ends.first) if len(ends.first) else 0
        return log_prob

    def marginals(self, sequences: Sequences) -> Sequences:
        """The probability of each tag at each step given the whole row, [N, K]."""
        posterior = semiring_scan.forward_backward(*self._chain("CRF.marginals", sequences))
        require_paths("CRF.marginals", posterior.log_prob)
        return sequences.with_values(posterior.probs)

    def pairwise(self, sequences: Sequences) -> Sequences:
        """The probability of each pair of tags at a step and the next, [N, K, K]; zeros at the last step of a row."""
        start, transitions, x, lengths = self._chain("CRF.pairwise", sequences)
        each = np.ascontiguousarray(np.broadcast_to(transitions, (len(x), self.num_tags, self.num_tags)))
        posterior = semiring_scan.forward_backward(start, each, x, lengths, per_step=True)
        require_paths("CRF.pairwise", posterior.log_prob)
        return Sequences(posterior.transitions, lengths)

    def decode(self, sequences: Sequences, method: str = "viterbi", k: int = 1) -> Decoded:
        """The most probable tags of each row (`viterbi`), the k most probable, or those of each step (`posterior`).

        The last have the fewest wrong tags to expect, and may be in an order that is forbidden.
        """
        where = "CRF.decode"
        if method == "posterior" and k == 1:
            tags = self.marginals(sequences).values.argmax(1)
            return Decoded(sequences.with_values(tags), self.log_prob(sequences, tags))
        if method != "viterbi":
            raise ValueError(f"{where}: expected method viterbi, or posterior with k=1, got {method!r} with k={k}.")
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"{where}: expected k to be an int of at least 1, got {k!r}.")
        chain = self._chain(where, sequences)
        log_partition = self._log_partition(where, chain)
        paths = semiring_scan.best_path(*chain, k=k)
        tags, log_prob = paths.states.T, (paths.log_prob - log_partition).T
        if k == 1:
            return Decoded(sequences.with_values(tags[:, 0]), log_prob[:, 0])
        return Decoded(sequences.with_values(tags.copy()), log_prob.copy())

    def sample(self, sequences: Sequences, num_samples: int = 1, seed: int = 0) -> np.ndarray:
        """Rows of tags drawn from p(y | x), [S, N]."""
        chain = self._chain("CRF.sample", sequences)
        uniforms = np.random.default_rng(seed).random((num_samples, sequences.num_steps))
        self._log_partition("CRF.sample", chain)
        return semiring_scan.sample_paths(*chain, uniforms=uniforms)

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given; `allowed` is in the weights, which are -inf where it forbids."""
        return {"num_tags": self.num_tags, "l2": self.l2, "max_iterations": self.max_iterations}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The weights."""
        return self._weights._asdict()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """The model whose `to_arrays` and `settings` these are."""
        if set(arrays) != set(Weights._fields):
            raise ValueError(f"CRF.from_arrays: expected arrays {', '.join(Weights._fields)}, got {sorted(arrays)}; "
                             "these are those of another model.")  # fmt: skip
        model = cls(**settings)
        model._set("CRF.from_arrays", Weights(**arrays))
        free = Allowed(*(np.isfinite(array) for array in model._weights))
        model.allowed = None if all(array.all() for array in free) else free
        return model

    @property
    def _weights(self) -> Weights:
        return Weights(self.transitions_, self.start_, self.end_)

    def _set(self, where: str, weights: Weights) -> None:
        """Keep float64 copies of weights of the right shapes, -inf where `allowed` forbids."""
        kept = []
        for name, array in weights._asdict().items():
            spec = f"K={self.num_tags} K={self.num_tags}" if name == "transitions" else f"K={self.num_tags}"
            mask = np.ones(array.shape, bool) if self.allowed is None else getattr(self.allowed, name)
            check(where, name, array, spec)
            check(where, f"allowed.{name}", mask, spec)
            if array.dtype != np.float64:
                raise TypeError(f"{where}: expected {name} of float64, got {array.dtype}; convert it with "
                                ".astype(np.float64).")  # fmt: skip
            kept.append(np.where(mask, array, -np.inf))
        check_weights(where, Weights(*kept))
        self.transitions_, self.start_, self.end_ = kept

    def _unravel(self, vector: np.ndarray, free: np.ndarray) -> Weights:
        """The weights from those that are free, one after another."""
        every = np.full(len(free), -np.inf)
        every[free] = vector
        transitions, start, end = np.split(every, [self.num_tags**2, self.num_tags**2 + self.num_tags])
        return Weights(transitions.reshape(self.num_tags, self.num_tags), start, end)

    def _scores(self, where: str, sequences: Sequences) -> np.ndarray:
        """Scores that are what they should be: float64 [N, K], finite or -inf."""
        if not isinstance(sequences, Sequences):
            got = type(sequences).__name__
            raise TypeError(f"{where}: expected Sequences of scores, got {got}; use Sequences.from_list([x]).")
        x = np.asarray(sequences.values)
        check(where, "scores", x, f"N={sequences.num_steps} K={self.num_tags}")
        if x.dtype != np.float64:
            raise TypeError(
                f"{where}: expected scores of float64, got {x.dtype}; convert them with .astype(np.float64)."
            )
        check_scores(where, x, sequences.lengths)
        return np.ascontiguousarray(x)

    def _chain(self, where: str, sequences: Sequences) -> Chain:
        """What the kernel asks for; the end weights are part of the last steps' scores."""
        x = with_end(self._scores(where, sequences), self.end_, Ends.of(sequences.lengths))
        return self.initial_state(len(sequences)), self.transitions_[None], x, sequences.lengths

    def _log_partition(self, where: str, chain: Chain) -> np.ndarray:
        log_partition = semiring_scan.total(*chain)
        require_paths(where, log_partition)
        return log_partition

    def _predict(self, log_probs: np.ndarray) -> np.ndarray:
        """The log-weights of the next tags, [B, K], from the log-probabilities of these."""
        prediction = np.full_like(log_probs, -np.inf)
        for tag in range(self.num_tags):
            np.logaddexp(prediction, log_probs[:, tag, None] + self.transitions_[tag], out=prediction)
        return prediction

    def _require_steps(self, where: str, log_prob: np.ndarray, lengths: np.ndarray) -> None:
        """Raise at the first step where every path so far is forbidden."""
        impossible = np.flatnonzero(log_prob == -np.inf)
        if len(impossible):
            raise ValueError(f"{where}: {place(lengths, int(impossible[0]))}: expected at least one tag that is not "
                             "forbidden, got none; allow more transitions, starts or scores.")  # fmt: skip
