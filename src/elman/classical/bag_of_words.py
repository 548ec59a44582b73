"""Bag-of-words classifier: counts of n-grams, and a softmax with naive-Bayes weights."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import array_of, as_sequences, check_names, integers, reals, sorted_keys
from elman.classical.gram_features import NO_ID, Found, histories, look_up, tabulate
from elman.classical.model import ClassicalModel
from elman.classical.packed_strings import pack, unpack
from elman.classical.softmax_head import Head, fit_head, log_count_ratios
from elman.classical.special import softmax
from elman.nearest import suggests_arguments
from elman.optional_packages import needed_by
from elman.progress import ProgressLine
from elman.representation import brief, brief_fields, counted
from elman.sequences import Sequences
from elman.shapes import check


@brief_fields
class BagState(NamedTuple):
    """Counts and last ids of each row."""

    counts: np.ndarray  # [B, F] int32, occurrences of each feature
    last: np.ndarray  # [B, ngrams - 1] int64, the last ids, the latest in the last column; -1 where there is none


class BagOfWords(ClassicalModel):
    """Classifier of rows of ids that ignores their order: softmax regression on NB-SVM's weighted features::

        p(class c | row) = softmax over c of  bias[c] + sum over f of  x[f] r[f, c] w[f, c]

    A feature f is a gram seen in training: one id, or up to `ngrams` consecutive ids; x[f] is its count, or 1 if
    `binary`. r[f, c] is the log-ratio of its frequencies in the rows of c and in the others, with `smoothing` added to
    each count, so that the weights w refine naive Bayes (Wang and Manning 2012). w and the bias minimise
    `- sum of log p + l2 / 2 |w|^2`. Unseen ids are ignored.

    As a cell, it returns the class probabilities after each id, so a text can be classified while it streams in.

    Args:
        vocabulary_size: V; the ids are 0 to V - 1.
        ngrams: length of the longest grams, at least 1.
        binary: whether a gram counts once per row, even if it occurs several times.
        smoothing: number added to the count of every gram in every class, above 0.
        l2: strength of the penalty on w, above 0.
        naive_bayes: whether features are weighted by r; if not, r = 1, plain softmax regression.
        min_count: smallest number of occurrences in training; rarer grams are ignored.
    Shapes:
        x: [B] ids   state: BagState(counts [B, F], last [B, ngrams - 1])   ->   y: [B, C] probabilities
    Attributes:
        classes_: [C], the labels, sorted. weights_: [F, C], r w. bias_: [C].
        grams_: the grams that are features, one array per length.
    Raises:
        TypeError: ids are not integers.
        ValueError: ids lie outside 0 to V - 1; the numbers of labels and of rows differ, or there is only one
            class; a setting is out of range; the model is not fitted.
    Example:
        >>> rows = Sequences.from_list([np.array(row) for row in ([1, 2], [2, 3], [1, 3, 3], [4, 2], [4, 3])])
        >>> model = BagOfWords(vocabulary_size=5, ngrams=1, l2=0.1).fit(rows, ["good", "good", "good", "bad", "bad"])
        >>> probs, state = model.scan(Sequences(np.array([3, 4]), [2]))
        >>> probs.values.argmax(1), model.classes_
        (array([1, 0]), array(['bad', 'good'], dtype='<U4'))
    """

    classes_: np.ndarray
    weights_: np.ndarray
    bias_: np.ndarray
    grams_: list[np.ndarray]

    def __init__(
        self,
        vocabulary_size: int,
        ngrams: int = 2,
        binary: bool = True,
        smoothing: float = 1.0,
        l2: float = 2.0,
        naive_bayes: bool = True,
        min_count: int = 1,
    ):
        self.vocabulary_size, self.ngrams, self.binary = vocabulary_size, ngrams, binary
        self.smoothing, self.l2, self.naive_bayes, self.min_count = smoothing, l2, naive_bayes, min_count

    @suggests_arguments
    def fit(self, sequences: Sequences | Iterable[Any], labels: Any, *, verbose: bool | int | None = None) -> Self:
        """Choose the features and fit their weights, a convex problem.

        Args:
            sequences: rows of ids: Sequences, a list of arrays, or one array for a single row.
            labels: [B], one per row: integers or strings.
            verbose: progress: None shows a line on a terminal and in a notebook if the fit takes longer than 2 seconds;
                False is silent; True shows it everywhere; 2 prints a line per iteration.
        """
        where, line = "BagOfWords.fit", ProgressLine(verbose)
        self._check_settings(where)
        rows = self._rows(where, sequences)
        names, classes = np.unique(self._labels(where, labels, len(rows)), return_inverse=True)
        if len(names) < 2:
            raise ValueError(f"{where}: expected labels of at least two classes, got {names.tolist()}.")  # fmt: skip
        grams = tabulate(rows, self.vocabulary_size, self.ngrams, self.min_count)
        if not any(map(len, grams)):
            raise ValueError(f"{where}: expected a gram that occurs {self.min_count} times or more, got "
                             f"{rows.num_steps} ids in all; give more rows, or lower min_count.")  # fmt: skip
        self.grams_ = grams
        features = self._matrix(rows)
        ratios = (
            log_count_ratios(features, classes, len(names), self.smoothing)
            if self.naive_bayes
            else np.ones((self.num_features, len(names)))
        )
        self.classes_ = names
        with line:
            self.weights_, self.bias_ = fit_head(features, classes, ratios, self.l2, line)
        return self

    # The cell.

    @property
    def num_features(self) -> int:
        """F, the number of grams with weights."""
        return sum(map(len, self.grams_))

    def initial_state(self, batch_size: int) -> BagState:
        """Return counts of zero."""
        self._head("BagOfWords.initial_state")
        counts = np.zeros((batch_size, self.num_features), np.int32)
        return BagState(counts, np.full((batch_size, self.ngrams - 1), NO_ID, np.int64))

    def step(self, x: np.ndarray, state: BagState) -> tuple[np.ndarray, BagState]:
        """Read one id of each row; return the class probabilities after it, [B, C], and the state."""
        where = "BagOfWords.step"
        head = self._head(where)
        x = integers(where, "x", x, "B", below=self.vocabulary_size)
        state = self._state(where, state, len(x))
        history = np.concatenate([state.last, x[:, None]], axis=1)
        found = look_up(self.grams_, history, self.vocabulary_size)
        counts = state.counts.copy()
        counts[found.steps, found.features] += 1  # a step adds a feature at most once
        return softmax(self._scores(counts, head)), BagState(counts, history[:, 1:])

    def scan(self, sequences: Sequences, state: BagState | None = None) -> tuple[Sequences, BagState]:
        """Return the class probabilities after each step, [N, C], in time O(N), and the state after each row."""
        where = "BagOfWords.scan"
        head = self._head(where)
        rows = self._rows(where, sequences)
        state = self.initial_state(len(rows)) if state is None else self._state(where, state, len(rows))
        found, last = self._found(rows, state.last)
        counts = state.counts.copy()
        np.add.at(counts, (rows.rows[found.steps], found.features), 1)
        new = self._new(rows, found, state.counts)
        gains = np.zeros((rows.num_steps, len(head.bias)))
        np.add.at(gains, new.steps, head.weights[new.features])
        scores = running_sums(rows.with_values(gains), self._scores(state.counts, head))
        return rows.with_values(softmax(scores)), BagState(counts, last)

    # Inference.

    def predict_proba(self, sequences: Sequences | Iterable[Any]) -> np.ndarray:
        """Return the class probabilities of whole rows, [B, C], without a dense array [B, F]."""
        return self._probs("BagOfWords.predict_proba", sequences)

    def predict(self, sequences: Sequences | Iterable[Any]) -> np.ndarray:
        """Return the most probable label of each row, [B]."""
        probs = self._probs("BagOfWords.predict", sequences)
        return self.classes_[probs.argmax(1)]

    def score(self, sequences: Sequences | Iterable[Any], labels: Any) -> float:
        """Return the accuracy."""
        probs = self._probs("BagOfWords.score", sequences)
        labels = self._labels("BagOfWords.score", labels, len(probs))
        if not len(probs):
            raise ValueError("BagOfWords.score: expected at least one row, got none.")
        return float((self.classes_[probs.argmax(1)] == labels).mean())

    # Files.

    def _facts(self) -> list[str]:
        facts = [f"vocabulary of {self.vocabulary_size:,}", f"up to {counted(self.ngrams, 'id')} per gram"]
        if not hasattr(self, "weights_"):
            return [*facts, "not fitted"]
        return [*facts, counted(self.num_features, "feature"), f"classes {brief(self.classes_.tolist())}"]

    def _parameters(self) -> dict[str, np.ndarray]:
        return {"bias": self.bias_} if hasattr(self, "weights_") else {}

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ["vocabulary_size", "ngrams", "binary", "smoothing", "l2", "naive_bayes", "min_count"]
        return {name: getattr(self, name) for name in names}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return features, weights and labels as arrays; `settings` holds the rest of the model."""
        head = self._head("BagOfWords.to_arrays")
        grams = {f"grams.{length}": keys for length, keys in enumerate(self.grams_, start=1)}
        return {"classes": pack(self.classes_), "weights": head.weights, "bias": head.bias, **grams}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """Return the model from its `to_arrays` and `settings`."""
        where, model = "BagOfWords.from_arrays", cls(**settings)
        model._check_settings(where)
        lengths = range(1, min(model.ngrams, len(arrays)) + 1)
        check_names(where, arrays, ["classes", "weights", "bias", *(f"grams.{length}" for length in lengths)])
        model.classes_, model.grams_, shorter = unpack(arrays["classes"]), [], 1
        for length in lengths:
            name = f"grams.{length}"
            model.grams_.append(sorted_keys(where, name, arrays[name], shorter * model.vocabulary_size))
            shorter = len(model.grams_[-1])
        classes = len(model.classes_)
        model.weights_ = reals(where, "weights", arrays["weights"], f"F={model.num_features} C={classes}")
        model.bias_ = reals(where, "bias", arrays["bias"], f"C={classes}")
        return model

    # Internals.

    def _probs(self, where: str, sequences: Sequences | Iterable[Any]) -> np.ndarray:
        head = self._head(where)
        rows = self._rows(where, sequences)
        row, feature = self._occurrences(rows)
        sums = [np.bincount(row, weights[feature], len(rows)) for weights in head.weights.T]
        return softmax(np.stack(sums, axis=1) + head.bias)

    def _matrix(self, rows: Sequences) -> Any:
        """Return a sparse matrix [B, F] of counts, or of ones, for `fit`."""
        with needed_by("BagOfWords.fit"):
            from scipy.sparse import csr_matrix

        row, feature = self._occurrences(rows)
        return csr_matrix((np.ones(len(row)), (row, feature)), (len(rows), self.num_features))  # adds repeated entries

    def _occurrences(self, rows: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Return the row and the feature, both [M], of each occurrence that counts: with `binary`, once per row."""
        found, _ = self._found(rows, np.full((len(rows), self.ngrams - 1), NO_ID, np.int64))
        row, feature = rows.rows[found.steps], found.features
        if self.binary:
            row, feature = np.divmod(np.unique(row * self.num_features + feature), self.num_features)
        return row, feature

    def _found(self, rows: Sequences, last: np.ndarray) -> tuple[Found, np.ndarray]:
        """Return the features that each step adds, and the last ids after each row."""
        at_steps, after = histories(rows, last)
        return look_up(self.grams_, at_steps, self.vocabulary_size), after

    def _new(self, rows: Sequences, found: Found, counts: np.ndarray) -> Found:
        """Return the features that change the logits: with `binary`, only those without an earlier occurrence."""
        if not self.binary:
            return found
        by_time = np.argsort(found.steps, kind="stable")
        row, feature = rows.rows[found.steps][by_time], found.features[by_time]
        _, first = np.unique(row * self.num_features + feature, return_index=True)
        first = first[counts[row[first], feature[first]] <= 0]
        return Found(found.steps[by_time][first], feature[first])

    def _scores(self, counts: np.ndarray, head: Head) -> np.ndarray:
        """Return the logits [B, C] for counts [B, F], most of which are zero."""
        rows, features = np.nonzero(counts > 0)
        terms = head.weights[features]
        if not self.binary:
            terms = terms * counts[rows, features][:, None]
        scores = np.tile(head.bias, (len(counts), 1))
        np.add.at(scores, rows, terms)
        return scores

    def _head(self, where: str) -> Head:
        if not hasattr(self, "weights_"):
            raise ValueError(f"{where}: expected a fitted model, got one without weights; call fit or load first.")
        return Head(self.weights_, self.bias_)

    def _rows(self, where: str, sequences: Sequences | Iterable[Any]) -> Sequences:
        if not isinstance(sequences, Sequences):
            sequences = as_sequences(where, sequences)
        ids = sequences.values
        if ids.dtype.kind == "U":
            raise TypeError(f"{where}: expected ids, got words; encode the text with elman.data.units first.")
        return sequences.with_values(integers(where, "values", ids, "N", below=self.vocabulary_size))

    def _labels(self, where: str, labels: Any, rows: int) -> np.ndarray:
        labels = array_of(where, "labels", labels)
        check(where, "labels", labels, f"B={rows}")
        if labels.size and labels.dtype.kind not in "iubU":
            raise TypeError(f"{where}: expected labels of integers or strings, got {labels.dtype}.")
        return labels

    def _state(self, where: str, state: Any, rows: int) -> BagState:
        state = BagState(*state)
        check(where, "state.counts", state.counts, f"B={rows} F={self.num_features}")
        check(where, "state.last", state.last, f"B={rows} ngrams-1={self.ngrams - 1}")
        for name, leaf in state._asdict().items():
            if leaf.dtype.kind not in "iu":
                raise TypeError(f"{where}: expected state.{name} of integers, got {leaf.dtype}.")
        return state

    def _check_settings(self, where: str) -> None:
        for name in ("vocabulary_size", "ngrams", "min_count"):
            given = getattr(self, name)
            if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 1:
                raise ValueError(f"{where}: expected {name} to be an int of at least 1, got {given!r}.")
        for name in ("smoothing", "l2"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{where}: expected {name} above 0, got {getattr(self, name)!r}.")


def running_sums(gains: Sequences, start: np.ndarray) -> np.ndarray:
    """Return cumulative sums [N, C] of `gains` along each row, starting from `start` [B, C].

    The loop is over rows, or over time steps if they are fewer.
    """
    sums = np.empty_like(gains.values)
    plan = gains.plan
    if len(gains) <= len(plan.alive):
        for first, end, before in zip(gains.offsets, gains.offsets[1:], start, strict=False):
            if end > first:
                sums[first] = before + gains.values[first]
                np.cumsum(np.vstack([sums[first], gains.values[first + 1 : end]]), axis=0, out=sums[first:end])
        return sums
    running = start[plan.longest_first]
    place = 0
    for alive in plan.alive:
        steps = plan.by_time[place : place + alive]
        running = running[:alive] + gains.values[steps]
        sums[steps] = running
        place += alive
    return sums
