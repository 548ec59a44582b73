"""Evaluation of classification: confusion matrix, precision, recall, F1 and calibration."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.arrays import as_array, is_missing
from elman.errors import RowError, RowTypeError
from elman.metrics.calibration import calibration_error
from elman.metrics.report import Report, score_table
from elman.metrics.scores import Scores, ratio, scores
from elman.metrics.tables import columns, printable, score_rows
from elman.shapes import check

CALIBRATED = {
    True: "probabilities: calibrated by temperature on held-out rows",
    False: "probabilities: not calibrated: no temperature was chosen on held-out rows",
}


@dataclass(frozen=True, eq=False, repr=False)
class ClassReport(Report):
    """Evaluation report for labelled rows. Ratios with a zero denominator are 0."""

    classes: tuple[Hashable, ...]  # C: classes of the model, then those that only the truth has
    confusion: np.ndarray  # [C, C] int: true class, predicted class
    nats: float | None  # mean negative log-probability of the true class; None without probabilities
    calibration_error: float | None
    calibrated: bool  # True if a temperature was chosen on held-out rows
    unseen: tuple[Hashable, ...] = ()  # last of `classes`: not among the model's, so never predicted

    @property
    def rows(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(ratio(self.confusion.trace(), self.rows))

    @property
    def by_class(self) -> Scores:
        """Precision, recall, F1 and support of each class: arrays [C]."""
        return scores(self.confusion.diagonal(), self.confusion.sum(0), self.confusion.sum(1))

    @property
    def precision(self) -> np.ndarray:
        return self.by_class.precision

    @property
    def recall(self) -> np.ndarray:
        return self.by_class.recall

    @property
    def f1(self) -> np.ndarray:
        return self.by_class.f1

    @property
    def support(self) -> np.ndarray:
        return self.by_class.support

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur in the truth or in the predictions."""
        occurs = (self.confusion.sum(0) + self.confusion.sum(1)) > 0
        return float(self.f1[occurs].mean()) if occurs.any() else 0.0

    def main_figures(self) -> dict[str, Any]:
        figures = {"rows": self.rows, "accuracy": self.accuracy, "macro F1": self.macro_f1, "nats": self.nats}
        return figures | {"expected calibration error": self.calibration_error}

    def _repr_html_(self) -> str:
        """Return a table with a line per class, for notebooks."""
        parts = zip(*self.by_class, strict=True)
        names = (printable(label) for label in self.classes)
        return score_table(repr(self), {name: Scores(*part) for name, part in zip(names, parts, strict=True)})

    def table(self) -> str:
        """Return a table with a line per class, the figures of all rows together, and notes."""
        names = [printable(label) for label in self.classes]
        lines = [columns([["class", "precision", "recall", "F1", "support"], *score_rows(names, self.by_class)]), ""]
        figures = {name: figure for name, figure in self.main_figures().items() if figure is not None}
        lines += [
            columns([[name, f"{value:,}" if name == "rows" else f"{value:.4f}"] for name, value in figures.items()])
        ]
        none = self.calibration_error is None
        lines += ["probabilities: none were given" if none else CALIBRATED[self.calibrated]]
        if self.unseen:
            lines += [self._note()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the same figures as JSON values."""
        parts = zip(*(part.tolist() for part in self.by_class), strict=True)
        classes = [{"class": label, **Scores(*part)._asdict()} for label, part in zip(self.classes, parts, strict=True)]
        names = ("rows", "accuracy", "macro_f1", "nats", "calibration_error", "calibrated")
        figures = {name: getattr(self, name) for name in names}
        return {**figures, "classes": classes, "unseen": list(self.unseen), "confusion": self.confusion.tolist()}

    def _note(self) -> str:
        """Return the note about classes that are not among the model's."""
        count = int(self.support[-len(self.unseen) :].sum())
        named = ", ".join(printable(label) for label in self.unseen)
        left_out = "" if self.calibration_error is None else ", and not counted in the nats"
        rows = f"{count:,} of {self.rows:,} rows"
        return f"note: {rows} have classes that the model was not trained on ({named}): always wrong{left_out}"


def class_report(
    truth: Sequence[Hashable],
    predicted: Sequence[Hashable],
    classes: Sequence[Hashable],
    probabilities: Any = None,
    calibrated: bool = False,
) -> ClassReport:
    """Compare predicted classes with the true classes of rows.

    Args:
        truth: true classes of B rows. A class that is not among `classes` gets a line of its own in the report; its
            rows are left out of the nats, which they would make infinite.
        predicted: predicted classes, each one of `classes`.
        classes: C classes of the model, in the order of the probabilities.
        probabilities: [B, C]; a probability of 0 counts as the smallest positive number of its type.
        calibrated: True if a temperature was chosen on held-out rows.
    Raises:
        ValueError: there are no rows, numbers of rows do not agree, a prediction is not one of the classes, a class is
            given twice, or a row of probabilities is not a distribution.
        TypeError: the truth is text and the classes are not, or the other way round.
    Example:
        >>> report = class_report(["a", "b", "b"], ["a", "b", "a"], ["a", "b"])
        >>> report.confusion.tolist(), report.macro_f1
        ([[1, 0], [1, 1]], 0.6666666666666666)
    """
    known, true, guesses = (_labels(labels) for labels in (classes, truth, predicted))
    unseen = sorted(set(true) - set(known), key=str)
    _check(known, true, guesses, unseen)
    every_class = (*known, *unseen)
    numbers = {label: number for number, label in enumerate(every_class)}
    rows, columns = (np.array([numbers[label] for label in labels]) for labels in (true, guesses))
    confusion = np.zeros((len(every_class), len(every_class)), np.int64)
    np.add.at(confusion, (rows, columns), 1)
    nats = error = None
    if probabilities is not None:
        probabilities = as_array(probabilities)
        check("class_report", "probabilities", probabilities, f"B={len(rows)} C={len(known)}")
        targets = np.where(rows < len(known), rows, -1)
        error = calibration_error(probabilities, targets)
        nats = _nats(probabilities, targets)
    return ClassReport(every_class, confusion, nats, error, calibrated, tuple(unseen))


def _labels(labels: Sequence[Hashable]) -> list[Hashable]:
    """Return labels as Python values, which JSON supports."""
    values = [label.item() if isinstance(label, np.generic) else label for label in labels]
    for row, label in enumerate(values):
        if is_missing(label) or not isinstance(label, Hashable):
            raise RowTypeError(row, f"class_report: expected one label, got {type(label).__name__} {label!r}.")
    return values


def _check(known: list[Hashable], truth: list[Hashable], predicted: list[Hashable], unseen: list[Hashable]) -> None:
    """Raise unless the labels can be compared."""
    if len(set(known)) < len(known):
        raise ValueError(f"class_report: expected different classes, got {known}.")
    if not truth or len(truth) != len(predicted):
        got = f"{len(truth)} true and {len(predicted)} predicted"
        raise ValueError(f"class_report: expected at least one row, as many predicted as true, got {got}.")
    classes = set(known)
    for row, label in enumerate(predicted):
        if label not in classes:
            raise RowError(row, f"class_report: expected one of the {len(known)} classes of the model, got {label!r}.")
    for label in unseen:
        if isinstance(label, str) is not isinstance(known[0], str):
            wanted, got = type(known[0]).__name__, type(label).__name__
            raise TypeError(f"class_report: expected truth of the type of the classes ({wanted}), got {got} {label!r}.")


def _nats(probabilities: np.ndarray, targets: np.ndarray) -> float | None:
    """Return the mean over the rows with a class of the model, or None if there are no such rows."""
    known = np.flatnonzero(targets >= 0)
    if not len(known):
        return None
    of_true = probabilities[known, targets[known]]
    least = np.finfo(of_true.dtype).tiny if of_true.dtype.kind == "f" else 1e-300
    return float(-np.log(np.maximum(of_true, least, dtype=np.float64)).mean())
