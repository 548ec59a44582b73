"""N-gram model with interpolated modified Kneser-Ney smoothing.

Kneser and Ney 1995; Chen and Goodman 1998, TR-10-98.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import array_of, as_sequences, check_names, integers, list_of_rows, sorted_keys
from elman.classical.context_counts import ContextCounts, count, descend, find
from elman.classical.model import ClassicalModel
from elman.nearest import suggests_arguments
from elman.progress import ProgressLine
from elman.representation import counted
from elman.sequences import Sequences
from elman.shapes import check

BELOW = {"vocabulary_size": 1 << 31, "order": 1000}  # n-grams are numbered in 63 bits
BOUNDARY = 0  # the unit before and after every document
NO_UNIT = -1  # entry of a state before the first unit
FALLBACK = np.array([0.5, 1.0, 1.5])  # discounts if there are too few counts to estimate them


class Smoothed(NamedTuple):
    """Contexts of one length with their probabilities."""

    contexts: np.ndarray  # [C] sorted keys
    starts: np.ndarray  # [C + 1] the grams of context c are starts[c] to starts[c + 1]
    grams: np.ndarray  # [G] sorted keys
    weights: np.ndarray  # [G] (c(h w) - D) / c(h)
    backoffs: np.ndarray  # [C] b(h), the weight of shorter contexts


def discounts(counts: np.ndarray) -> np.ndarray:
    """Return D1, D2, D3 estimated from the number of ones to fours in `counts` [G]; 0.5, 1, 1.5 if that fails."""
    n = np.array([np.count_nonzero(counts == j) for j in (1, 2, 3, 4)])
    if not n.all():
        return FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    j = np.array([1, 2, 3])
    estimated: np.ndarray = j - (j + 1) * y * n[1:] / n[:-1]
    return estimated if (estimated > 0).all() else FALLBACK


def smooth(level: ContextCounts, discount: np.ndarray, vocabulary_size: int) -> Smoothed:
    """Return the probabilities of contexts of one length from their counts and three discounts."""
    context_of = level.grams // vocabulary_size
    starts = np.searchsorted(context_of, np.arange(len(level.contexts) + 1))
    taken = discount[np.minimum(level.counts, len(discount)) - 1]
    totals = np.bincount(context_of, level.counts, len(level.contexts))
    backoffs = np.bincount(context_of, taken, len(level.contexts)) / totals
    return Smoothed(level.contexts, starts, level.grams, (level.counts - taken) / totals[context_of], backoffs)


class NGram(ClassicalModel):
    """N-gram model: predicts the next unit from the last order - 1 units, which are its state::

        p(w | h) = (c(h w) - D(c(h w))) / c(h)  +  b(h) p(w | h without its oldest unit)
        b(h)     = (D1 N1(h) + D2 N2(h) + D3 N3(h)) / c(h)

    Unseen contexts `h` are skipped, and the empty context backs off to 1 / V, so every distribution sums to one and
    every unit has a positive probability. For the longest contexts `c(h w)` is the number of times `w` follows `h`. For
    shorter ones it is the number of different units before `h w`, or its frequency where `h` begins a document.
    `c(h)` is the sum over `w`; `Nj(h)` units follow `h` with a count of j, 3 meaning 3 or more. Each context length
    has its own discounts. With n1, n2, n3, n4 grams of count 1, 2, 3, 4::

        Y = n1 / (n1 + 2 n2),  D1 = 1 - 2 Y n2 / n1,  D2 = 2 - 3 Y n3 / n2,  D3 = 3 - 4 Y n4 / n3

    or 0.5, 1, 1.5 if one of those is zero or a discount is not above zero, as happens with small alphabets.

    Args:
        vocabulary_size: V; units are the ids 0 to V - 1, and 0 is the boundary before and after every document.
        order: length of the longest grams, at least 1: 1 to 5 for words, 5 to 8 for characters and bytes.
    Shapes:
        x: [B] ids   state: [B, order - 1] ids, the latest last, -1 before the first unit
        ->   y: [B, V] log-probabilities of the next unit, in nats
    Attributes:
        counts_: counts of the contexts of 0, 1, ... order - 1 units.
        discounts_: [order, 3], D1, D2, D3 of each context length.
    Raises:
        TypeError: ids are not integers.
        ValueError: ids lie outside 0 to V - 1, or the boundary is inside a document; a setting is below 1; there are no
            documents; the model is not fitted.
    Example:
        >>> model = NGram(vocabulary_size=3, order=2).fit([np.array([1, 2, 1, 2])])
        >>> log_probs, state = model.step(np.array([1]), model.initial_state(1))
        >>> np.exp(log_probs).round(3), state
        (array([[0.146, 0.208, 0.646]]), array([[1]]))
    """

    def __init__(self, vocabulary_size: int, order: int = 6):
        self.vocabulary_size, self.order = vocabulary_size, order

    @suggests_arguments
    def fit(self, documents: Sequences | Iterable[np.ndarray], *, verbose: bool | int | None = None) -> "NGram":
        """Count documents: ids [n] without boundaries; the input is 0 u1 .. un, the target u1 .. un 0.

        Args:
            documents: Sequences of ids, a list of arrays, or one array for a single document.
            verbose: progress: None shows a line on a terminal and in a notebook if counting takes longer than 2
                seconds; False is silent; True shows it everywhere; 2 prints a line per length of grams.
        """
        line = ProgressLine(verbose)
        self._check_settings("NGram.fit")
        rows = documents.to_list() if isinstance(documents, Sequences) else list_of_rows("NGram.fit", documents)
        if not rows:
            raise ValueError("NGram.fit: expected at least one document, got none.")
        read = Sequences.from_list([self._ids("NGram.fit", "documents", row, "N", lowest=1) for row in rows])
        inputs = Sequences(np.insert(read.values, read.offsets[:-1], BOUNDARY), read.lengths + 1)
        targets = np.insert(read.values, read.offsets[1:], BOUNDARY)
        with line:
            self._smooth(count(inputs, targets, self.vocabulary_size, self.order, line))
            line.clear()
        return self

    def initial_state(self, batch_size: int) -> np.ndarray:
        """Return the state before the first unit; the first input of a document is the boundary."""
        return np.full((batch_size, self.order - 1), NO_UNIT, np.int64)

    def step(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read one unit of each row, x [B]; return log-probabilities of the next one [B, V], and the state."""
        x = self._ids("NGram.step", "x", x, "B")
        state = self._ids("NGram.step", "state", state, f"B={len(x)} order-1={self.order - 1}", NO_UNIT)
        state = np.concatenate([state, x[:, None]], axis=1)[:, 1:]
        return self._log_probs("NGram.step", state), state

    def scan(self, sequences: Sequences, state: np.ndarray | None = None) -> tuple[Sequences, np.ndarray]:
        """Compute all steps together: the state consists of inputs, so no step depends on the output of another."""
        sequences = as_sequences("NGram.scan", sequences)
        histories, state = self._histories("NGram.scan", sequences, state)
        return sequences.with_values(self._log_probs("NGram.scan", histories)), state

    def log_prob(
        self, sequences: Sequences | Iterable[Any], targets: np.ndarray, state: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the log-probability of `targets` [N] after each step, in nats [N], without an array [N, V]."""
        known, targets = self._known("NGram.log_prob", sequences, targets, state)
        return self._log_prob(known, targets)

    def log_prob_and_any(
        self,
        sequences: Sequences | Iterable[Any],
        targets: np.ndarray,
        units: np.ndarray,
        state: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-probability of `targets` as `log_prob` does, and that one of `units` follows, in nats [N].

        Args:
            units: [V] bool.
        """
        where = "NGram.log_prob_and_any"
        known, targets = self._known(where, sequences, targets, state)
        units = array_of(where, "units", units)
        check(where, "units", units, f"V={self.vocabulary_size}")
        if units.dtype != bool:
            raise TypeError(f"{where}: expected units of booleans, one per id, got {units.dtype}.")
        probs = np.full(len(targets), units.mean())
        for level, (rows, contexts) in zip(self._levels(where), known, strict=True):
            ones = level.weights * units[level.grams % self.vocabulary_size]
            sums = np.add.reduceat(ones, level.starts[:-1])  # no context is empty
            probs[rows] = level.backoffs[contexts] * probs[rows] + sums[contexts]
        with np.errstate(divide="ignore"):
            np.log(probs, out=probs)
        return self._log_prob(known, targets), probs

    def _known(
        self, where: str, sequences: Sequences | Iterable[Any], targets: Any, state: Any
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Return the known contexts of all steps, as `descend` yields them, and the targets."""
        sequences = as_sequences(where, sequences)
        histories, _ = self._histories(where, sequences, state)
        targets = self._ids(where, "targets", targets, f"N={sequences.num_steps}")
        levels = self._levels(where)
        return list(descend([level.contexts for level in levels], histories, self.vocabulary_size)), targets

    def _log_prob(self, known: Iterable[tuple[np.ndarray, np.ndarray]], targets: np.ndarray) -> np.ndarray:
        probs = np.full(len(targets), 1 / self.vocabulary_size)
        for level, (rows, contexts) in zip(self._levels("NGram.log_prob"), known, strict=True):
            grams, seen = find(level.grams, contexts * self.vocabulary_size + targets[rows])
            probs[rows] *= level.backoffs[contexts]
            probs[rows[seen]] += level.weights[grams[seen]]
        np.log(probs, out=probs)
        return probs

    def after(self, sequences: Sequences | Iterable[Any], state: np.ndarray | None = None) -> np.ndarray:
        """Return the state after each row, [B, order - 1], without computing distributions."""
        return self._histories("NGram.after", as_sequences("NGram.after", sequences), state)[1]

    def _facts(self) -> list[str]:
        facts = [f"order {self.order}", counted(self.vocabulary_size, "unit")]
        if not hasattr(self, "_smoothed"):
            return [*facts, "not fitted"]
        return [*facts, counted(sum(len(level.grams) for level in self.counts_), "gram")]

    def _parameters(self) -> dict[str, np.ndarray]:
        return {"discounts": self.discounts_} if hasattr(self, "_smoothed") else {}

    @property
    def settings(self) -> dict[str, int]:
        """The constructor's arguments."""
        return {"vocabulary_size": self.vocabulary_size, "order": self.order}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the counts as arrays; `settings` holds the rest of the model."""
        self._levels("NGram.to_arrays")
        return {
            f"{length}.{name}": array
            for length, level in enumerate(self.counts_)
            for name, array in level._asdict().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> "NGram":
        """Return the model from its `to_arrays` and `settings`."""
        where, model = "NGram.from_arrays", cls(**settings)
        model._check_settings(where)
        if len(arrays) != len(ContextCounts._fields) * model.order:  # checked first, because `order` may be huge
            raise ValueError(
                f"{where}: expected arrays 0.contexts to {model.order - 1}.counts for order {model.order}, got "
                f"{', '.join(sorted(arrays))}; the file belongs to another model."
            )
        levels, shorter = list[ContextCounts](), 1
        fields = ContextCounts._fields
        check_names(where, arrays, [f"{length}.{name}" for length in range(model.order) for name in fields])
        for length in range(model.order):
            levels.append(model._checked(where, length, arrays, shorter))
            shorter = len(levels[-1].contexts)
        return model._smooth(levels)

    def _checked(self, where: str, length: int, arrays: Mapping[str, np.ndarray], shorter: int) -> ContextCounts:
        """Return the counts of the contexts of `length` units, checked; `shorter` is the number of shorter contexts."""
        named = {name: (f"{length}.{name}", arrays[f"{length}.{name}"]) for name in ContextCounts._fields}
        contexts = sorted_keys(where, *named["contexts"], below=shorter * (self.vocabulary_size if length else 1))
        grams = sorted_keys(where, *named["grams"], below=len(contexts) * self.vocabulary_size)
        counts = integers(where, *named["counts"], f"G={len(grams)}")
        if (counts < 1).any() or not np.bincount(grams // self.vocabulary_size, minlength=len(contexts)).all():
            raise ValueError(f"{where}: expected a count of at least 1 of every gram, and a gram of every context of "
                             f"{length} units.")  # fmt: skip
        if not length and not len(contexts):
            raise ValueError(f"{where}: expected counts, got none.")
        return ContextCounts(contexts, grams, counts)

    def _check_settings(self, where: str) -> None:
        for name, setting in self.settings.items():
            if not isinstance(setting, int) or isinstance(setting, bool) or not 1 <= setting < BELOW[name]:
                most = f", and less than {BELOW[name]}" if isinstance(setting, int) and setting > 1 else ""
                raise ValueError(f"{where}: expected {name} to be an int of at least 1{most}, got {setting!r}.")

    def _smooth(self, counts: list[ContextCounts]) -> "NGram":
        self.counts_ = counts
        self.discounts_ = np.stack([discounts(level.counts) for level in counts])
        self._smoothed = [
            smooth(level, d, self.vocabulary_size) for level, d in zip(counts, self.discounts_, strict=True)
        ]
        return self

    def _levels(self, where: str) -> list[Smoothed]:
        if not hasattr(self, "_smoothed"):
            raise ValueError(
                f"{where}: expected a fitted model, got one without counts; call fit or from_arrays first."
            )
        return self._smoothed

    def _ids(self, where: str, name: str, array: Any, spec: str, lowest: int = 0) -> np.ndarray:
        ids = array_of(where, name, array)
        check(where, name, ids, spec)
        if ids.size and ids.dtype.kind not in "iu":
            raise TypeError(f"{where}: expected {name} of integer ids, got {ids.dtype}; encode the text first.")
        wrong = (ids < lowest) | (ids >= self.vocabulary_size)
        if wrong.any():
            boundary = " (0 is the boundary, which fit adds)" if lowest > BOUNDARY else ""
            raise ValueError(
                f"{where}: expected {name} of ids from {lowest} to {self.vocabulary_size - 1}{boundary}, "
                f"got {ids[wrong][0]}; encode the text with the vocabulary of this model."
            )
        return ids.astype(np.int64)

    def _histories(self, where: str, sequences: Sequences, state: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the state after each step [N, order - 1], and after each row [B, order - 1]."""
        values = self._ids(where, "values", sequences.values, "N")
        rows, past = len(sequences), np.arange(self.order - 1)
        state = self.initial_state(rows) if state is None else state
        state = self._ids(where, "state", state, f"B={rows} order-1={len(past)}", NO_UNIT)
        starts = sequences.offsets[:-1] + len(past) * np.arange(rows)  # each row is preceded by its state
        units = np.empty(len(values) + state.size, np.int64)
        units[starts[:, None] + past] = state
        units[starts[sequences.rows] + len(past) + sequences.times] = values
        after_step = starts[sequences.rows] + sequences.times + 1
        return units[after_step[:, None] + past], units[(starts + sequences.lengths)[:, None] + past]

    def _log_probs(self, where: str, histories: np.ndarray) -> np.ndarray:
        """Return log-probabilities [M, V] of the unit after each history [M, order - 1]."""
        levels = self._levels(where)
        probs = np.full((len(histories), self.vocabulary_size), 1 / self.vocabulary_size)
        known = descend([level.contexts for level in levels], histories, self.vocabulary_size)
        for level, (rows, contexts) in zip(levels, known, strict=True):
            starts = level.starts[contexts]
            sizes = level.starts[contexts + 1] - starts
            grams = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
            probs[rows] *= level.backoffs[contexts, None]
            probs[np.repeat(rows, sizes), level.grams[grams] % self.vocabulary_size] += level.weights[grams]
        np.log(probs, out=probs)
        return probs
