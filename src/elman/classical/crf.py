"""Linear-chain conditional random field (Lafferty, McCallum and Pereira 2001)."""

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import as_sequences, check_names, floats, integers, one_step_rows
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
from elman.nearest import suggests_arguments
from elman.optional_packages import needed_by
from elman.progress import ProgressLine
from elman.representation import brief_fields, counted
from elman.sequences import Sequences
from elman.shapes import check

Chain = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # arguments of the kernel


@brief_fields
class Filtered(NamedTuple):
    """Tag probabilities of each step given the scores up to it."""

    probs: np.ndarray  # [..., K], if the row ended here with any tag
    log_prob: np.ndarray  # [...], increase of the log-partition at this step


@brief_fields
class Decoded(NamedTuple):
    """Decoded tags."""

    tags: Sequences  # [N] int64; [N, k] for the k best paths, best first, -1 where a row has fewer
    log_prob: np.ndarray  # [B] of the tags given the scores; [B, k], -inf where there are fewer


class CRF(ClassicalModel):
    """Model of the tags of a row, jointly, given scores::

        p(y | x) = exp(start[y1] + x1[y1] + sum_t (transitions[y(t-1), yt] + xt[yt]) + end[yT]) / Z(x)

    `x` are scores of the tags at each step, from any other model; Z(x) is the sum over all sequences of tags. A weight
    of -inf forbids a tag or transition. All other weights are zero until `fit` or `from_parameters` sets them.

    Streaming uses the weight of inputs and tags so far, without later inputs and without `end`. `Filtered.probs` are
    the probabilities of the step's tag if the row ended there, with any tag. `Filtered.log_prob` is
    log Z(x1 .. xt) - log Z(x1 .. x(t-1)); its sum over a row is the log-partition without `end`. It may be positive,
    because scores are not normalised. The state is the log-weight of each tag at the next step before its scores, minus
    the log-partition so far.

    Args:
        num_tags: K.
        allowed: tags that may follow each other, begin and end a row, from `tag_schemes.allowed`; None: all.
        l2: `fit` adds l2 / 2 times the squared weights to the loss; with 0, the weight of a transition that never
            occurs is unbounded.
        max_iterations: maximum number of iterations of L-BFGS in `fit`.
    Shapes:
        x: scores [B, K], -inf where a tag is impossible   state: log-weights [B, K]
        ->   y: Filtered(probs [B, K], log_prob [B])
    Attributes:
        transitions_: [K, K] from, to.
        start_, end_: [K].
    Raises:
        TypeError: scores are not float64, tags are not integers.
        ValueError: a shape is wrong; scores are NaN or infinite; tags lie outside 0 to K - 1; every path of a row is
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
        """Return a CRF with given weights [K, K], [K] and [K]: None for zeros, -inf where forbidden.

        Example:
            >>> CRF.from_parameters(np.array([[0.0, 1.0], [-np.inf, 0.0]])).start_
            array([0., 0.])
        """
        transitions = floats("CRF.from_parameters", "transitions", transitions)
        check("CRF.from_parameters", "transitions", transitions, "K K")
        model = cls(len(transitions), allowed)
        zeros = np.zeros(len(transitions))
        model._set("CRF.from_parameters", Weights(transitions, zeros if start is None else start,
                                               zeros if end is None else end))  # fmt: skip
        return model

    @suggests_arguments
    def fit(self, scores: Sequences | Iterable[Any], tags: Any, *, verbose: bool | int | None = None) -> "CRF":
        """Fit the weights to `tags` [N] for fixed scores, by L-BFGS; the problem is convex.

        To train the model of the scores together with the weights, use `elman.losses.CRFLoss`.

        Args:
            scores: [N, K] of each tag at each step: Sequences, a list of rows [T, K], or one array for a single row.
            tags: [N] from 0 to K - 1.
            verbose: progress: None shows a line on a terminal and in a notebook if the fit takes longer than 2 seconds;
                False is silent; True shows it everywhere; 2 prints a line per iteration.
        Raises:
            RuntimeError: L-BFGS does not converge in `max_iterations`.
        """
        where, line, iterations = "CRF.fit", ProgressLine(verbose), count(1)
        scores = self._rows(where, scores)
        x = scores.values
        tags = integers(where, "tags", tags, f"N={len(x)}", below=self.num_tags)
        free = np.concatenate([np.isfinite(array).ravel() for array in self._weights])

        def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
            weights = self._unravel(vector, free)
            loss, gradients = negative_log_likelihood(where, x, tags, scores.lengths, weights)
            assert gradients is not None
            slope = np.concatenate([array.ravel() for array in gradients.weights])[free]
            return loss + 0.5 * self.l2 * float(vector @ vector), slope + self.l2 * vector

        def report(intermediate_result: Any) -> None:
            line.iteration(where, next(iterations), self.max_iterations, -float(intermediate_result.fun))

        with needed_by("CRF.fit"):
            from scipy.optimize import minimize

        begin = np.concatenate([array.ravel() for array in self._weights])[free]
        options = {"maxiter": self.max_iterations, "ftol": 1e-12, "gtol": 1e-6 * max(1, len(x))}
        with line:
            found = minimize(objective, begin, jac=True, method="L-BFGS-B", options=options, callback=report)
        if not found.success:
            raise RuntimeError(f"{where}: no convergence in {found.nit} iterations ({found.message.strip()}); give "
                               "larger max_iterations or l2.")  # fmt: skip
        self._set(where, self._unravel(found.x, free))
        return self

    def initial_state(self, batch_size: int) -> np.ndarray:
        """Return the start weights for every row, [B, K]."""
        return log_starts(self._weights, batch_size)

    def step(self, x: np.ndarray, state: np.ndarray) -> tuple[Filtered, np.ndarray]:
        """Filter the scores of one step of each row, [B, K]: return Filtered(probs [B, K], log_prob [B]) and state."""
        x = self._rows("CRF.step", one_step_rows("CRF.step", x)).values
        state = self._state("CRF.step", state, len(x))
        joint = state + x
        log_prob = np.logaddexp.reduce(joint, axis=1)
        self._require_steps("CRF.step", log_prob, np.ones(len(x), np.int64))
        log_probs = joint - log_prob[:, None]
        return Filtered(np.exp(log_probs), log_prob), self._predict(log_probs)

    def scan(self, sequences: Sequences, state: np.ndarray | None = None) -> tuple[Sequences, np.ndarray]:
        """Filter all rows in one call of the kernel."""
        sequences = self._rows("CRF.scan", sequences)
        x, lengths = sequences.values, sequences.lengths
        state = self.initial_state(len(sequences)) if state is None else self._state("CRF.scan", state, len(sequences))
        probs, log_prob, _ = semiring_scan.forward(state, self.transitions_[None], x, lengths)
        self._require_steps("CRF.scan", log_prob, lengths)
        ends, final = Ends.of(lengths), state.copy()
        last = probs[ends.last]
        vanished = ends.rows[(last == 0).any(1)]  # forbidden, or underflowed: the loop in logarithms decides
        with np.errstate(divide="ignore"):
            final[ends.rows] = self._predict(np.log(last))
        if len(vanished):
            final[vanished] = super().scan(sequences.select(vanished), state[vanished])[1]
        return Sequences(Filtered(probs, log_prob), lengths), final

    def log_partition(self, sequences: Sequences | Iterable[Any]) -> np.ndarray:
        """Return log Z(x) of each row, [B]; 0 for an empty row."""
        return self._log_partition("CRF.log_partition", self._chain(self._rows("CRF.log_partition", sequences)))

    def log_prob(self, sequences: Sequences | Iterable[Any], tags: Any) -> np.ndarray:
        """Return log p(y | x) of each row, [B], for tags [N]; -inf if they are forbidden."""
        where = "CRF.log_prob"
        sequences = self._rows(where, sequences)
        chain = self._chain(sequences)
        tags = integers(where, "tags", tags, f"N={sequences.num_steps}", below=self.num_tags)
        ends = Ends.of(sequences.lengths)
        gain = path_log_weight(chain[2], tags, self._weights, ends)
        log_prob = -self._log_partition(where, chain)
        log_prob[ends.rows] += np.add.reduceat(gain, ends.first) if len(ends.first) else 0
        return log_prob

    def marginals(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the probability of each tag at each step given the whole row, [N, K]."""
        sequences = self._rows("CRF.marginals", sequences)
        posterior = semiring_scan.forward_backward(*self._chain(sequences))
        require_paths("CRF.marginals", posterior.log_prob)
        return sequences.with_values(posterior.probs)

    def pairwise(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the probability of each pair of tags at a step and the next, [N, K, K]; zeros at a row's last step."""
        start, transitions, x, lengths = self._chain(self._rows("CRF.pairwise", sequences))
        each = np.ascontiguousarray(np.broadcast_to(transitions, (len(x), self.num_tags, self.num_tags)))
        posterior = semiring_scan.forward_backward(start, each, x, lengths, per_step=True)
        require_paths("CRF.pairwise", posterior.log_prob)
        return Sequences(posterior.transitions, lengths)

    def decode(self, sequences: Sequences | Iterable[Any], method: str = "viterbi", k: int = 1) -> Decoded:
        """Return the most probable path of each row (`viterbi`), the k best paths, or the best tag of each step.

        The last, `posterior`, minimises the expected number of wrong tags; its path may be forbidden.
        """
        where = "CRF.decode"
        sequences = self._rows(where, sequences)
        if method == "posterior" and k == 1:
            tags = self.marginals(sequences).values.argmax(1)
            return Decoded(sequences.with_values(tags), self.log_prob(sequences, tags))
        if method != "viterbi":
            raise ValueError(f"{where}: expected method viterbi, or posterior with k=1, got {method!r} with k={k}.")
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"{where}: expected k to be an int of at least 1, got {k!r}.")
        chain = self._chain(sequences)
        log_partition = self._log_partition(where, chain)
        paths = semiring_scan.best_path(*chain, k=k)
        tags, log_prob = paths.states.T, (paths.log_prob - log_partition).T
        if k == 1:
            return Decoded(sequences.with_values(tags[:, 0]), log_prob[:, 0])
        return Decoded(sequences.with_values(tags.copy()), log_prob.copy())

    def sample(self, sequences: Sequences | Iterable[Any], num_samples: int = 1, seed: int = 0) -> np.ndarray:
        """Draw tags from p(y | x), [S, N]."""
        sequences = self._rows("CRF.sample", sequences)
        chain = self._chain(sequences)
        uniforms = np.random.default_rng(seed).random((num_samples, sequences.num_steps))
        self._log_partition("CRF.sample", chain)
        return semiring_scan.sample_paths(*chain, uniforms=uniforms)

    def _facts(self) -> list[str]:
        forbidden = int(np.isinf(self.transitions_).sum())
        zero = not any(np.any(array[np.isfinite(array)]) for array in self._weights)
        return [counted(self.num_tags, "tag"), *([counted(forbidden, "forbidden transition")] if forbidden else []),
                *(["weights of zero"] if zero else [])]  # fmt: skip

    def _parameters(self) -> dict[str, np.ndarray]:
        return self._weights._asdict()

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments; `allowed` is stored in the weights as -inf."""
        return {"num_tags": self.num_tags, "l2": self.l2, "max_iterations": self.max_iterations}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the weights."""
        return self._weights._asdict()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """Return the model from its `to_arrays` and `settings`."""
        check_names("CRF.from_arrays", arrays, Weights._fields)
        if arrays["transitions"].shape[:1] != (settings.get("num_tags"),):  # before the constructor makes its arrays
            raise ValueError(f"CRF.from_arrays: expected transitions of num_tags={settings.get('num_tags')}, got "
                             f"{list(arrays['transitions'].shape)}.")  # fmt: skip
        model = cls(**settings)
        model._set("CRF.from_arrays", Weights(**arrays))
        free = Allowed(*(np.isfinite(array) for array in model._weights))
        model.allowed = None if all(array.all() for array in free) else free
        return model

    @property
    def _weights(self) -> Weights:
        return Weights(self.transitions_, self.start_, self.end_)

    def _set(self, where: str, weights: Weights) -> None:
        """Store float64 copies of the weights, checked, with -inf where `allowed` forbids."""
        kept = []
        for name, array in weights._asdict().items():
            spec = f"K={self.num_tags} K={self.num_tags}" if name == "transitions" else f"K={self.num_tags}"
            array = floats(where, name, array)
            mask = np.ones(array.shape, bool) if self.allowed is None else getattr(self.allowed, name)
            check(where, name, array, spec)
            check(where, f"allowed.{name}", mask, spec)
            kept.append(np.where(mask, array, -np.inf))
        check_weights(where, Weights(*kept))
        self.transitions_, self.start_, self.end_ = kept

    def _unravel(self, vector: np.ndarray, free: np.ndarray) -> Weights:
        """Return the weights from a vector of the free weights."""
        every = np.full(len(free), -np.inf)
        every[free] = vector
        transitions, start, end = np.split(every, [self.num_tags**2, self.num_tags**2 + self.num_tags])
        return Weights(transitions.reshape(self.num_tags, self.num_tags), start, end)

    def _rows(self, where: str, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return rows of scores, checked: float64 [N, K], finite or -inf."""
        rows = as_sequences(where, sequences)
        x = floats(where, "scores", rows.values)
        check(where, "scores", x, f"N={rows.num_steps} K={self.num_tags}")
        check_scores(where, x, rows.lengths)
        return rows.with_values(np.ascontiguousarray(x))

    def _state(self, where: str, state: Any, rows: int) -> np.ndarray:
        """Return log-weights of the first tags, float64 [B, K]; -inf forbids a tag."""
        state = floats(where, "state", state)
        check(where, "state", state, f"B={rows} K={self.num_tags}")
        return state

    def _chain(self, rows: Sequences) -> Chain:
        """Return the arguments of the kernel; the end weights are added to the last steps' scores."""
        x = with_end(rows.values, self.end_, Ends.of(rows.lengths))
        return self.initial_state(len(rows)), self.transitions_[None], x, rows.lengths

    def _log_partition(self, where: str, chain: Chain) -> np.ndarray:
        log_partition = semiring_scan.total(*chain)
        require_paths(where, log_partition)
        return log_partition

    def _predict(self, log_probs: np.ndarray) -> np.ndarray:
        """Return the log-weights of the next tags, [B, K], from the log-probabilities of the current ones."""
        prediction = np.full_like(log_probs, -np.inf)
        for tag in range(self.num_tags):
            np.logaddexp(prediction, log_probs[:, tag, None] + self.transitions_[tag], out=prediction)
        return prediction

    def _require_steps(self, where: str, log_prob: np.ndarray, lengths: np.ndarray) -> None:
        """Raise a ValueError that names the first step where every path is forbidden."""
        impossible = np.flatnonzero(log_prob == -np.inf)
        if len(impossible):
            raise ValueError(f"{where}: {place(lengths, int(impossible[0]))}: expected at least one tag that is not "
                             "forbidden, got none; allow more transitions, starts or scores.")  # fmt: skip
