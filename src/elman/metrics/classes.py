"""How well rows are classified: which classes are taken for which, and what the probabilities are worth."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.metrics.calibration import calibration_error
from elman.metrics.scores import Scores, scores
from elman.metrics.tables import columns, printable, score_rows
from elman.shapes import check

CALIBRATED = {
    True: "probabilities: calibrated by temperature on held-out rows",
    False: "probabilities: not calibrated: no temperature was chosen on held-out rows",
}


@dataclass(frozen=True, eq=False)
class ClassReport:
    """What came of rows whose classes are known; what would be a share of nothing is 0."""

    classes: tuple[Hashable, ...]  # C: those of the model, then those that only the truth has
    confusion: np.ndarray  # [C, C] int: true, predicted
    nats: float | None  # mean negative log-probability of the true class; None without probabilities
    calibration_error: float | None
    calibrated: bool  # whether a temperature was chosen on held-out rows
    unseen: tuple[Hashable, ...] = ()  # the last of the classes: the model does not know them, and can not be right

    @property
    def rows(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return int(self.confusion.trace()) / self.rows

    @property
    def by_class(self) -> Scores:
        """Of each class: arrays [C]."""
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
        """The mean F1 of the classes that are true of a row or were predicted for one."""
        occurs = (self.confusion.sum(0) + self.confusion.sum(1)) > 0
        return float(self.f1[occurs].mean())

    def table(self) -> str:
        """A line for each class, then the figures of all rows together and what is to be known about them."""
        names = [printable(label) for label in self.classes]
        lines = [columns([["class", "precision", "recall", "F1", "support"], *score_rows(names, self.by_class)]), ""]
        figures = {"accuracy": self.accuracy, "macro F1": self.macro_f1, "nats": self.nats}
        figures["expected calibration error"] = self.calibration_error
        told = [[name, f"{figure:.4f}"] for name, figure in figures.items() if figure is not None]
        lines += [columns([["rows", f"{self.rows:,}"], *told])]
        none = self.calibration_error is None
        lines += ["probabilities: none were given" if none else CALIBRATED[self.calibrated]]
        if self.unseen:
            lines += [self._note()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The same figures, as JSON has them."""
        parts = zip(*(part.tolist() for part in self.by_class), strict=True)
        classes = [{"class": label, **Scores(*part)._asdict()} for label, part in zip(self.classes, parts, strict=True)]
        names = ("rows", "accuracy", "macro_f1", "nats", "calibration_error", "calibrated")
        figures = {name: getattr(self, name) for name in names}
        return {**figures, "classes": classes, "unseen": list(self.unseen), "confusion": self.confusion.tolist()}

    def _note(self) -> str:
        """What is to be known of the classes that the model does not know."""
        count = int(self.support[-len(self.unseen) :].sum())
        named = ", ".join(printable(label) for label in self.unseen)
        left_out = "" if self.calibration_error is None else ", and the nats leave them out"
        of = f"{count:,} of {self.rows:,} rows"
        return f"note: {of} are of classes that the model does not know ({named}): never right{left_out}"


def class_report(
    truth: Sequence[Hashable],
    predicted: Sequence[Hashable],
    classes: Sequence[Hashable],
    probabilities: Any = None,
    calibrated: bool = False,
) -> ClassReport:
    """Compare the classes of rows with what a model says of them.

    Args:
        truth: the classes of B rows. One that is not among `classes` gets a row of its own in the report, and the
            nats, which it would make infinite, leave it out.
        predicted: what the model says, each one of `classes`.
        classes: C, those that the model knows, in the order of the probabilities.
        probabilities: [B, C]; one of 0 counts as the smallest positive number of its type.
        calibrated: whether a temperature was chosen on held-out rows.
    Raises:
        ValueError: no row, numbers of rows that do not agree, a prediction that is none of the classes, a class twice,
            or probabilities that are none.
        TypeError: truth that is text where the classes are not, or the other way round.
    Example:
        >>> report = class_report(["a", "b", "b"], ["a", "b", "a"], ["a", "b"])
        >>> report.confusion.tolist(), report.macro_f1
        ([[1, 0], [1, 1]], 0.6666666666666666)
    """
    known, of_truth, said = (_labels(labels) for labels in (classes, truth, predicted))
    unseen = sorted(set(of_truth) - set(known), key=str)
    _check(known, of_truth, said, unseen)
    everything = (*known, *unseen)
    numbers = {label: number for number, label in enumerate(everything)}
    rows, columns = (np.array([numbers[label] for label in labels]) for labels in (of_truth, said))
    confusion = np.zeros((len(everything), len(everything)), np.int64)
    np.add.at(confusion, (rows, columns), 1)
    nats = error = None
    if probabilities is not None:
        probabilities = np.asarray(probabilities)
        check("class_report", "probabilities", probabilities, f"B={len(rows)} C={len(known)}")
        targets = np.where(rows < len(known), rows, -1)
        error = calibration_error(probabilities, targets)
        nats = _nats(probabilities, targets)
    return ClassReport(everything, confusion, nats, error, calibrated, tuple(unseen))


def _labels(labels: Sequence[Hashable]) -> list[Hashable]:
    """As Python's own values, which JSON knows."""
    own = [label.item() if isinstance(label, np.generic) else label for label in labels]
    for row, label in enumerate(own):
        if not isinstance(label, Hashable):
            raise TypeError(f"class_report: row {row}: expected one label a row, got {type(label).__name__} {label!r}.")
    return own


def _check(known: list[Hashable], truth: list[Hashable], predicted: list[Hashable], unseen: list[Hashable]) -> None:
    """Raise unless that can be compared."""
    if len(set(known)) < len(known):
        raise ValueError(f"class_report: expected every class once, got {known}.")
    if not truth or len(truth) != len(predicted):
        got = f"{len(truth)} true and {len(predicted)} predicted"
        raise ValueError(f"class_report: expected a row or more, as many predicted as true, got {got}.")
    classes = set(known)
    for row, label in enumerate(predicted):
        if label not in classes:
            told = f"expected a prediction among the {len(known)} classes of the model"
            raise ValueError(f"class_report: row {row}: {told}, got {label!r}.")
    for label in unseen:
        if isinstance(label, str) is not isinstance(known[0], str):
            kinds = type(known[0]).__name__, type(label).__name__
            told = f"expected truth of the kind of the classes ({kinds[0]})"
            raise TypeError(f"class_report: {told}, got {kinds[1]} {label!r}.")


def _nats(probabilities: np.ndarray, targets: np.ndarray) -> float | None:
    """The mean of the rows whose class is known; None where there is none."""
    known = np.flatnonzero(targets >= 0)
    if not len(known):
        return None
    of_truth = probabilities[known, targets[known]]
    least = np.finfo(of_truth.dtype).tiny if of_truth.dtype.kind == "f" else 1e-300
    return float(-np.log(np.maximum(of_truth, least, dtype=np.float64)).mean())
