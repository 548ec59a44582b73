"""Trained classifier: classes for whole sequences, such as the sentiment of a text or the action in a video."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from elman.data.examples import Encoded, Examples
from elman.data.label_text import labels_as_text
from elman.data.readers.labelled import names_of
from elman.data.rows_and_labels import as_labels, as_rows
from elman.declared_types import Record, shown
from elman.errors import RowError, named
from elman.inputs import restore_inputs
from elman.metrics.classes import ClassReport, class_report
from elman.network import ModelFile
from elman.network.classifier import ClassifierNet
from elman.network.functions import softmax
from elman.runtime.classifier_stream import ClassifierStream
from elman.runtime.model import TrainedModel
from elman.runtime.occlusion import Occlusion, occlusion
from elman.sequences import Sequences

STEPS = 1 << 14  # of a batch in an evaluation


@dataclass(kw_only=True)
class TrainedClassifier(TrainedModel):
    """Trained classifier, which runs without PyTorch.

    Attributes:
        classes_: [C] the labels, sorted.
        inputs_: the preprocessor of the rows.
        net_: the network.
        calibrated_: whether the probabilities were calibrated on held-out rows.
    """

    task: ClassVar[str] = "classifier"
    estimator_type: ClassVar[str | None] = "classifier"

    # The data.

    def read(self, X: Any, y: Any) -> Examples:
        rows = as_rows("Classifier", X)
        labels = as_labels("Classifier", y, len(rows))
        return Examples(rows, labels, keys=labels.tolist())

    def _comparable(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and classes unchanged, or both as text, as in files, if only text makes them comparable."""
        text = (labels.dtype.kind == "U", self.classes_.dtype.kind == "U")
        if not any(text) or (all(text) and np.isin(labels, self.classes_).all()):
            return labels, self.classes_
        classes = labels_as_text(self.classes_)
        distinct = len(set(classes.tolist())) == len(classes)
        return (labels_as_text(labels), classes) if distinct else (labels, self.classes_)

    # The network.

    def classify(self, rows: Sequences) -> np.ndarray:
        """Return the logits of each encoded row, float32 [B, C]."""
        logits: np.ndarray = self.net_.classify(rows)
        return logits

    def _logits(self, data: Encoded) -> np.ndarray:
        """Return the logits of each encoded row, float64 [B, C], computed in batches."""
        logits: list[np.ndarray] = self.per_row(data, STEPS, lambda batch, _: self.classify(batch.inputs))
        return np.array(logits, np.float64).reshape(len(data), len(self.classes_))

    # Prediction.

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, [B]."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, [B, C], in the order of `classes_`."""
        self.check_fitted()
        with named(names_of(X)):
            data = self.inputs_.encode(as_rows("Classifier", X))
            logits = self._logits(Encoded(data, None, data.lengths))
            if not np.isfinite(logits).all():
                row = int(np.argmin(np.isfinite(logits).all(1)))
                raise RowError(row, "the logits are not finite. The inputs are far outside the range of the training "
                                    "rows; check their units.")  # fmt: skip
        return softmax(logits)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the accuracy, from 0 to 1."""
        return self.evaluate(X, y).accuracy

    def evaluate(self, X: Any, y: Any = None) -> ClassReport:
        """Return accuracy, precision, recall and F1 of each class, confusion matrix, and calibration.

        Labels of another type than the classes are compared as text, as in files.
        """
        examples = self.examples(X, y)
        with named(names_of(X)):
            probabilities = self.predict_proba(examples.inputs)
        labels, classes = self._comparable(examples.targets)
        predicted = classes[probabilities.argmax(1)].tolist()
        return class_report(labels.tolist(), predicted, classes.tolist(), probabilities, self.calibrated_)

    def occlusion(self, row: Any, *, label: Any = None, window: int | None = None) -> Occlusion:
        """Explain a prediction: return how far the probability of a class falls when a part of the row is occluded.

        A part of a series is a window of one variable, whose values are replaced by the variable's mean in training; a
        part of a text is a word, which is left out (Zeiler and Fergus 2014; Li et al. 2016, arXiv:1612.08220). All
        copies are predicted in batches. `elman.pictures.occlusion` draws the result.

        Args:
            row: one series [T, D] or [T], or one text.
            label: class to explain; None for the predicted one.
            window: steps of a window; None for a twentieth of the series.
        Raises:
            ValueError: the row is empty or of another kind, the class is unknown, or the window is out of range.
        """
        self.check_fitted()
        return occlusion(self, row, label, window)

    def stream(self) -> ClassifierStream:
        """Return a reader at the beginning of a sequence, which gives the class probabilities after every step.

        Raises:
            ValueError: the model reads sequences in both directions.
        """
        layer = self.streaming_layer()
        with self.evaluating():
            empty = self.classify(Sequences(self.inputs_.encode([]).values, [0]))
        return ClassifierStream(layer, self.inputs_, self.classes_, softmax(empty))

    def learned(self) -> dict[str, Any]:
        return {"classes": len(self.classes_), "inputs": self.inputs_.description}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # a missing value of a series
        return tags

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"inputs": self.inputs_.to_json(), "labels": self.classes_.tolist(), "calibrated": self.calibrated_}

    def restore(self, file: ModelFile) -> None:
        self.inputs_ = restore_inputs(file.value("inputs", Record))
        labels = file.value("labels", list[str] | list[int] | list[bool])
        self.classes_, self.calibrated_ = np.array(labels), file.value("calibrated", bool)
        if len(set(labels)) < len(labels) or len(labels) < 2 or self.classes_.dtype.kind not in "biU":
            raise ValueError(f"labels: expected at least two different ones, in 64 bits, got {shown(labels)}.")

    def check_network(self) -> None:
        if not isinstance(self.net_, ClassifierNet):
            raise ValueError(f"spec: expected a classifier, got a {self.net_.kind}.")
        if self.net_.output_size != len(self.classes_):
            raise ValueError(f"labels: expected {self.net_.output_size}, as the network has, got {len(self.classes_)}.")
        expected = list(self.net_.step_shape), self.net_.input_size
        got = list(self.inputs_.step_shape), self.inputs_.input_size
        if expected != got:
            raise ValueError(f"inputs: expected steps of shape {expected[0]} with {expected[1]} features or ids, as "
                             f"the network reads, got {got[0]} with {got[1]}.")  # fmt: skip
