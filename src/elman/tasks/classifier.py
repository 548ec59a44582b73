"""Classes for whole sequences, such as the sentiment of a text or the action in a video."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.data import readers
from elman.data.examples import Batch, Encoded, Examples
from elman.data.label_text import labels_as_text
from elman.data.readers.labelled import Labelled, names_of
from elman.data.rows_and_labels import as_labels, as_rows, label_numbers, one_row
from elman.declared_types import Record, shown
from elman.errors import RowError, located, named
from elman.html_tables import html_table
from elman.layers import Linear, Stack
from elman.layers.pooling import POOLINGS, Pooling
from elman.metrics.calibration import temperature
from elman.metrics.classes import ClassReport, class_report
from elman.network import ModelFile
from elman.representation import brief, call, complete
from elman.sequences import Sequences
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.base import Task, logger
from elman.tasks.inputs import InputSettings, make_inputs, restore_inputs
from elman.tasks.inputs.base import Inputs
from elman.tasks.occlusion import Occlusion, occlusion
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.training import Score

STEPS = 1 << 14  # of a batch in an evaluation
READOUT = "cells.2"  # of a `ClassifierNet`
FEW_ROWS = 20  # with fewer rows, many classes are no reason for a warning


@dataclass(kw_only=True)
class Classifier(InputSettings, RecurrentSettings, Task):
    """Model that gives a sequence its class, with probabilities; on a stream, after every step.

    `fit` takes rows (texts; arrays [T, D] or [T]; data frames of numbers with a variable per column; `Sequences`;
    skeletons, frames, images, see `InputSettings`) and one label per row: strings, integers or booleans. Every method
    takes the result of a reader as well, with its labels: `fit(read_frame(...))`.

    Variables with names, from a reader or from data frames, are stored with the model: rows that have the same names
    in another order are reordered, and other names are an error. Rows without names are read in the order of training.

    Args:
        bidirectional: read every sequence in both directions; such a model cannot stream.
        pooling: how the steps of a sequence are combined: `max`, `mean`, `last` or `attention`.
        class_weight: `balanced` gives all classes the same weight in training; None gives all rows the same weight.
        label_smoothing: share of the probability that is spread over all classes in training.
        validation: share of each class that is held out to choose the best weights and to calibrate the
            probabilities, 0 for none.
        batch_steps: steps of a batch, all rows together; None for about 32 rows.
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        inputs, units, embedding_size, ...: see `InputSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        classes_: [C] the labels, sorted.
        inputs_: the preprocessor of the rows.
        net_: the trained `ClassifierNet`.
        calibrated_: whether the probabilities were calibrated on held-out rows.
        held_out_: the held-out rows and their labels.
        result_: how the training ended.
    Example:
        >>> model = Classifier(units="characters", hidden_size=8, epochs=8, learning_rate=0.03, validation=0)
        >>> model.fit(["abab", "aba", "cdc", "cdcd"] * 8, ["ab", "ab", "cd", "cd"] * 8).predict(["ababa", "dcdc"])
        array(['ab', 'cd'], dtype='<U2')
    """

    task: ClassVar[str] = "classifier"
    estimator_type: ClassVar[str | None] = "classifier"
    network_settings: ClassVar[Sequence[str]] = ("bidirectional", "pooling")

    bidirectional: bool = True
    pooling: str = "max"
    class_weight: str | None = None
    label_smoothing: float = 0.0
    batch_steps: int | None = None
    hidden_size: int = 128
    dropout: float = 0.5
    epochs: int = 10

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "batch_steps")
        check_range(self, 0, 1, "label_smoothing")
        check_word("pooling", self.pooling, POOLINGS)
        if self.class_weight not in (None, "balanced"):
            raise ValueError(f"class_weight: expected None or 'balanced', got {self.class_weight!r}.")

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return readers.read_labelled(files, **options)

    def read(self, X: Any, y: Any) -> Examples:
        rows = as_rows("Classifier", X)
        labels = as_labels("Classifier", y, len(rows))
        return Examples(rows, labels, keys=labels.tolist())

    def prepare(self, examples: Examples) -> None:
        self._set_classes(examples)
        if len(examples) >= FEW_ROWS and 2 * len(self.classes_) > len(examples):
            logger.warning("Classifier.fit: %d classes for %d rows; swap X and y if the labels are the rows",
                           len(self.classes_), len(examples))  # fmt: skip
        self.inputs_ = make_inputs(self, examples.inputs).fit(examples.inputs)

    def adapt(self, examples: Examples) -> Sequence[str]:
        labels, classes = self._comparable(examples.targets)
        known = bool(np.isin(labels, classes).all())
        self._set_classes(examples, self.classes_ if known else None)
        return () if known else (READOUT,)

    def _set_classes(self, examples: Examples, classes: np.ndarray | None = None) -> None:
        """Set the classes, by default those of the examples, and the weights of the rows of each class."""
        self.classes_ = np.unique(examples.targets) if classes is None else classes
        if len(self.classes_) < 2:
            raise ValueError("Classifier.fit: expected rows of at least two classes, got one class, "
                             f"{self.classes_.tolist()[0]!r}.")  # fmt: skip
        self._class_weights = None  # [C] in training; None if all rows have the same weight
        if self.class_weight is not None:
            counts = np.maximum(1, np.bincount(self._numbers(examples), minlength=len(self.classes_)))
            self._class_weights = torch.from_numpy(len(examples) / (len(counts) * counts)).float()
        self.calibrated_ = False

    def extend(self, held_out: Examples) -> None:
        self.inputs_.note_missing(held_out.inputs)

    def encode(self, examples: Examples) -> Encoded:
        data = self.inputs_.encode(examples.inputs)
        return Encoded(data, self._numbers(examples), data.lengths)

    def describe(self, data: Encoded, held_out: Encoded) -> str:
        return (f"{len(data):,} rows of {self.inputs_.description}, {data.steps.sum():,} steps; {len(held_out):,} rows "
                f"held out; {len(self.classes_)} classes")  # fmt: skip

    def _numbers(self, examples: Examples) -> np.ndarray:
        """Return the number of each row's class, int64 [B]."""
        labels, classes = self._comparable(examples.targets)
        return label_numbers([[label] for label in labels.tolist()], classes.tolist(), "class")

    def _comparable(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and classes as they are, or both as files write them, if only that makes them comparable."""
        text = (labels.dtype.kind == "U", self.classes_.dtype.kind == "U")
        if not any(text) or (all(text) and np.isin(labels, self.classes_).all()):
            return labels, self.classes_
        classes = labels_as_text(self.classes_)
        distinct = len(set(classes.tolist())) == len(classes)
        return (labels_as_text(labels), classes) if distinct else (labels, self.classes_)

    # The network.

    def build(self) -> "ClassifierNet":
        front = self.inputs_.layers()
        size = front[-1].output_size if front else self.inputs_.width
        layers = self.recurrent_layers(size, bidirectional=self.bidirectional)
        width = layers.output_size
        pooling = POOLINGS[self.pooling](width, width // 2 if self.bidirectional and self.pooling == "last" else 0)
        readout = Linear(width, len(self.classes_))
        torch.nn.init.zeros_(readout.weight)
        net = ClassifierNet(Stack(*front, *layers), pooling, readout)
        self.initialize(net)
        return net

    def network(self) -> str:
        both = "in both directions, " if self.bidirectional else ""
        return f"{super().network()}, {both}{self.pooling} pooling"

    def loss(self, batch: Batch, state: State | None) -> Tensor:
        rows = self.inputs_.augment(batch.examples.inputs.map(torch.from_numpy))
        logits, targets = self.net_.classify(rows), torch.from_numpy(batch.examples.targets)
        return cross_entropy(logits, targets, self._class_weights, label_smoothing=self.label_smoothing)

    def validate(self, data: Encoded) -> Score:
        """Return the cross-entropy at the best temperature, which `finish` sets after the training."""
        logits = self._logits(data)
        scaled = logits / temperature(logits, data.targets)
        scaled -= scaled.max(1, keepdims=True)
        found = np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(data)), data.targets])
        return Score("calibrated cross-entropy", float(found), unit="nats")

    def finish(self, held_out: Encoded) -> None:
        """Divide the logits by the temperature that fits the held-out rows best (Guo et al. 2017)."""
        found, readout = temperature(self._logits(held_out), held_out.targets), self.net_.readout
        with torch.no_grad():
            readout.weight.div_(found)
            readout.bias.div_(found)
        self.calibrated_ = True
        logger.info("probabilities calibrated on %d rows: logits divided by %.3f", len(held_out), found)

    # The trained model.

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
        weights = np.exp(logits - logits.max(1, keepdims=True)) if len(logits) else logits
        return weights / weights.sum(1, keepdims=True)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the share of rows whose class is right."""
        return self.evaluate(X, y).accuracy

    def evaluate(self, X: Any, y: Any = None) -> ClassReport:
        """Return accuracy, precision, recall and F1 of each class, confusion matrix, and calibration.

        Labels of another type than the classes are compared as text, as files write them.
        """
        examples = self.examples(X, y)
        with named(names_of(X)):
            probabilities = self.predict_proba(examples.inputs)
        labels, classes = self._comparable(examples.targets)
        predicted = classes[probabilities.argmax(1)].tolist()
        return class_report(labels.tolist(), predicted, classes.tolist(), probabilities, self.calibrated_)

    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        data = self.few_rows(X, y)
        rows, targets = data.inputs.map(torch.from_numpy), torch.from_numpy(data.targets)
        texts = self.inputs_.steps(data.inputs.to_list()[0])
        return ProbeLoss(lambda: cross_entropy(self.net_.classify(rows), targets), {} if texts is None else {"": texts})

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

    def stream(self) -> "StreamingClassifier":
        """Return a reader at the beginning of a sequence, which gives the class probabilities after every step.

        Raises:
            ValueError: the model reads sequences in both directions.
        """
        self.check_fitted()
        if not self.net_.streams:
            raise ValueError("Classifier.stream: expected bidirectional=False, got a model that reads a sequence in "
                             "both directions; train one with bidirectional=False.")  # fmt: skip
        return StreamingClassifier(self.net_, self.inputs_, self.classes_)

    def _logits(self, data: Encoded) -> np.ndarray:
        """Return the logits of each row, float64 [B, C]."""
        net = cast(ClassifierNet, self.net_)
        logits: list[np.ndarray] = self.per_row(
            data, STEPS, lambda batch, _: net.classify(batch.inputs.map(torch.from_numpy)).numpy()
        )
        return np.array(logits, np.float64).reshape(len(data), len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # a missing value of a series
        return tags

    def learned(self) -> dict[str, Any]:
        return {"classes": len(self.classes_), "inputs": self.inputs_.description}

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"inputs": self.inputs_.to_json(), "labels": self.classes_.tolist(), "calibrated": self.calibrated_}

    def restore(self, file: ModelFile) -> None:
        self.inputs_ = restore_inputs(self, file.value("inputs", Record))
        labels = file.value("labels", list[str] | list[int] | list[bool])
        self.classes_, self.calibrated_ = np.array(labels), file.value("calibrated", bool)
        if len(set(labels)) < len(labels) or len(labels) < 2 or self.classes_.dtype.kind not in "biU":
            raise ValueError(f"labels: expected at least two different ones, in 64 bits, got {shown(labels)}.")


class ClassifierNet(Stack):
    """Stack of a body, a pooling and a read-out. As a cell it returns the logits after every step.

    Shapes:
        scan: Sequences of encoded rows   ->   logits [N, C] of each row up to that step
        classify: the same   ->   logits [B, C] of whole rows
    """

    def __init__(self, body: Stack, pooling: Pooling, readout: Linear):
        super().__init__(body, pooling, readout)

    @property
    def readout(self) -> Linear:
        return cast(Linear, self.cells[2])

    def classify(self, sequences: Sequences) -> Tensor:
        """Return the logits after the last step of each row, [B, C]."""
        body, pooling, readout = self.cells
        features, _ = body(sequences)
        return cast(Linear, readout).apply_to(cast(Pooling, pooling).pool(features))


class StreamingClassifier:
    """Reader of one sequence, piece by piece, which returns class probabilities.

    Attributes:
        classes: [C] the labels.
        probabilities: [C] of each class, given all steps so far; before the first step, those of an empty sequence.
        state: a value; store it and restore it to try several continuations.
    """

    def __init__(self, net: ClassifierNet, inputs: Inputs, classes: np.ndarray):
        self.net, self.inputs, self.classes = net, inputs, classes
        self.state: State = net.initial_state(1)
        empty = Sequences(torch.from_numpy(inputs.encode([]).values), [0])
        with torch.no_grad():
            self.probabilities = _softmax(net.classify(empty))[0]

    @complete
    def __repr__(self) -> str:
        return call("StreamingClassifier", f"{len(self.classes)} classes", f"label={brief(self.label)}",
                    f"probability={self.probabilities.max():.4g}")  # fmt: skip

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the class probabilities, for notebooks."""
        rows = zip(self.classes.tolist(), self.probabilities.tolist(), strict=True)
        return html_table(repr(self), rows, ["class", "probability"], len(self.classes))

    def read(self, piece: Any) -> np.ndarray:
        """Read a piece of the row, of one or more steps (of a text: whole words).

        Skeletons are divided by the size of the body in their piece, so reading them in pieces is not exact.

        Returns:
            the probabilities after each of its steps, [T, C].
        Raises:
            TypeError, ValueError: the piece cannot be read; the state is unchanged.
        """
        with located(["StreamingClassifier.read"]):
            rows = as_rows("piece", one_row("piece", piece))
            steps = self.inputs.encode(rows).map(torch.from_numpy)
        with torch.no_grad():
            logits, self.state = self.net(steps, self.state)
        after = _softmax(logits.values)
        self.probabilities = after[-1] if len(after) else self.probabilities
        return after

    @property
    def label(self) -> Any:
        """Most probable class, given all steps so far."""
        return self.classes[self.probabilities.argmax()]


def _softmax(logits: Tensor) -> np.ndarray:
    return logits.double().softmax(-1).numpy()
