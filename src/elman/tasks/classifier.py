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
from elman.data.readers.labelled import Labelled
from elman.data.rows_and_labels import label_numbers
from elman.inputs import InputSettings, make_inputs
from elman.layers import Linear, Stack
from elman.layers.pooling import POOLINGS, Pooling
from elman.metrics.calibration import temperature
from elman.runtime.classifier import TrainedClassifier
from elman.sequences import Sequences
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.base import Task, logger
from elman.tasks.input_layers import augmented, input_layers
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.training import Score

READOUT = "cells.2"  # of a `ClassifierNet`
FEW_ROWS = 20  # with fewer rows, many classes are no reason for a warning


@dataclass(kw_only=True)
class Classifier(TrainedClassifier, InputSettings, RecurrentSettings, Task):
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

    def prepare(self, examples: Examples) -> None:
        self._set_classes(examples)
        if len(examples) >= FEW_ROWS and 2 * len(self.classes_) > len(examples):
            logger.warning("Classifier.fit: %d classes for %d rows; swap X and y if the labels are the rows",
                           len(self.classes_), len(examples))  # fmt: skip
        self.inputs_ = make_inputs(self, examples.inputs).fit(examples.inputs, self)

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

    # The network.

    def build(self) -> "ClassifierNet":
        front = input_layers(self.inputs_, self)
        size = front[-1].output_size if front else self.inputs_.input_size
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
        rows = augmented(self.inputs_, self, batch.examples.inputs.map(torch.from_numpy))
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

    def classify(self, rows: Sequences) -> np.ndarray:
        logits: np.ndarray = self.net_.classify(rows.map(torch.from_numpy)).numpy()
        return logits

    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        data = self.few_rows(X, y)
        rows, targets = data.inputs.map(torch.from_numpy), torch.from_numpy(data.targets)
        texts = self.inputs_.steps(data.inputs.to_list()[0])
        return ProbeLoss(lambda: cross_entropy(self.net_.classify(rows), targets), {} if texts is None else {"": texts})


class ClassifierNet(Stack):
    """Stack of a body, a pooling and a read-out. As a cell it returns the logits after every step.

    Shapes:
        scan: Sequences of encoded rows   ->   logits [N, C] of each row up to that step
        classify: the same   ->   logits [B, C] of whole rows
    """

    kind = "classifier"

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
