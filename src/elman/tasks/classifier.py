"""A class for a whole sequence: the sentiment of a text, the speaker of an utterance, the action in a video."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.data.hold_out import hold_out
from elman.data.row_batches import RowBatch, RowBatches, usual_steps
from elman.metrics.calibration import temperature
from elman.metrics.classes import ClassReport, class_report
from elman.runtime import MODEL, ModelFile
from elman.sequences import Sequences
from elman.state import State
from elman.tasks.classifier_net import ClassifierNet, classifier_net
from elman.tasks.inputs import InputSettings, make_inputs, restore_inputs
from elman.tasks.labelled import Labelled, as_labels, as_rows, digest, labelled
from elman.tasks.probe_loss import AT_MOST, ProbeLoss, few
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.settings import check_range
from elman.tasks.streaming_classifier import StreamingClassifier
from elman.tasks.task import Observers, Task

STEPS = 1 << 14  # that an evaluation of the net holds at once

logger = logging.getLogger("elman")


@dataclass(kw_only=True)
class Classifier(InputSettings, RecurrentSettings, Task):
    """Reads a sequence and says which class it is of, with probabilities; on a stream, after every step.

    Args:
        bidirectional: read every sequence from both ends; such a model does not stream.
        pooling: what sums up the steps of a sequence: `max`, `mean`, `last` or `attention`.
        class_weight: `balanced` weighs every class alike in training, however rare; None weighs every row alike.
        label_smoothing: the part of the probability that training shares among all classes.
        validation: the part of each class that is held out to choose the best weights and to calibrate the
            probabilities, 0 for none.
        batch_steps: steps of a batch, of all its rows together; None for some 32 rows (`usual_steps`).
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        inputs, units, embedding_size, ...: see `InputSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        classes_: [C] the labels, sorted.
        inputs_: what turns rows into numbers.
        net_: the `ClassifierNet` that was trained.
        calibrated_: whether the probabilities were calibrated on rows that were held out.
        held_out_: the rows that chose the best weights, and their labels.
        result_: how the training ended.
    Example:
        >>> model = Classifier(units="characters", hidden_size=8, epochs=8, learning_rate=0.03, validation=0)
        >>> model.fit(["abab", "aba", "cdc", "cdcd"] * 8, ["ab", "ab", "cd", "cd"] * 8).predict(["ababa", "dcdc"])
        array(['ab', 'cd'], dtype='<U2')
    """

    task: ClassVar[str] = "classifier"
    estimator_type: ClassVar[str | None] = "classifier"

    bidirectional: bool = True
    pooling: str = "max"
    class_weight: str | None = None
    label_smoothing: float = 0.0
    validation: float = 0.1
    batch_steps: int | None = None
    hidden_size: int = 128
    dropout: float = 0.5
    epochs: int = 10

    def fit(
        self,
        X: Any,
        y: Any,
        X_validation: Any = None,
        y_validation: Any = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        observers: Observers = (),
        source: Mapping[str, Any] | None = None,
    ) -> "Classifier":
        """Train on rows and the class of each.

        Args:
            X: rows: texts; arrays [T, D] or [T]; `Sequences`; skeletons, frames, images (see `InputSettings`).
            y: a label a row: strings, integers or booleans.
            X_validation, y_validation: rows to choose the best weights by, in place of the part `validation`.
            run: a folder that keeps everything; it must not exist yet, unless to `resume` what was begun there.
            resume: go on where the run in `run` stopped.
            observers: called with every event of the training.
            source: where the rows came from, for `config.toml` in the run folder.
        Raises:
            ValueError: a setting that cannot act, rows that cannot be read, or labels from which nothing can be learnt.
            FileExistsError: `run` is there already.
            OSError, NonFinite, Interrupted: as `elman.training.train`.
        """
        self.check_run(run, resume)
        self._check_settings()
        train = labelled("Classifier.fit", X, y)
        self.classes_ = np.unique(train.labels)
        if len(self.classes_) < 2:
            got = f"one class, {self.classes_.tolist()[0]!r}, in all {len(train.rows)}" if train.rows else "no rows"
            raise ValueError(f"Classifier.fit: expected rows of at least two classes, got {got}; nothing is to be told "
                             "apart.")  # fmt: skip
        X_held, y_held = ([], []) if X_validation is None else (X_validation, y_validation)
        held = labelled("Classifier.fit: validation", X_held, y_held, "validation row")
        if self.validation and not held.rows:
            train, held = map(train.select, hold_out(train.labels, self.validation, self.seed))
        self.held_out_ = held.rows, held.labels
        self.inputs_ = make_inputs(self, train.rows).fit(train.rows, train.names)
        self.inputs_.note_missing(held.rows, held.names)
        data = self.inputs_.encode(train.rows, train.names)
        held_out = self.inputs_.encode(held.rows, held.names)
        targets, held_targets = self._numbers(train), self._numbers(held)
        self.calibrated_ = False
        self.net_ = self._make_net()
        self._tell(data, held_out)
        steps = self.batch_steps or usual_steps(data.lengths)
        answers, weights = torch.from_numpy(targets), self._class_weights(targets)
        with self.open_run(run, resume, source or {}) as folder:
            self.result_ = self.train(
                lambda batch, _: self._loss(data, answers, weights, batch),
                RowBatches(data.lengths, steps, self.seed),
                (lambda: _calibrated_nats(self._logits(held_out), held_targets)) if len(held_out) else None,
                run=folder,
                resume=resume,
                observers=observers,
                facts={"training": digest(data, targets), "held_out": digest(held_out, held_targets)},
            )
            if len(held_out):
                self._calibrate(self._logits(held_out), held_targets)
            if folder:
                self.save(folder / MODEL)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """[B] the most probable class of each row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def predict_proba(self, X: Any, progress: Callable[[float], object] = lambda part: None) -> np.ndarray:
        """[B, C] the probability of each class, in the order of `classes_`; `calibrated_` says what they are worth.

        Args:
            progress: called with the part that is done, 0 to 1.
        """
        self.check_fitted()
        logits = self._logits(self.inputs_.encode(as_rows("Classifier.predict", X)), progress)
        if not np.isfinite(logits).all():
            odd = np.argmin(np.isfinite(logits).all(1))
            raise ValueError(f"row {odd}: numbers so far from those of training that the net makes nothing of them.")
        weights = np.exp(logits - logits.max(1, keepdims=True)) if len(logits) else logits
        return weights / weights.sum(1, keepdims=True)

    def score(self, X: Any, y: Any) -> float:
        """The part of the rows whose class is right."""
        return self.evaluate(X, y).accuracy

    def evaluate(self, X: Any, y: Any, progress: Callable[[float], object] = lambda part: None) -> ClassReport:
        """Accuracy, precision, recall and F1 of each class, the confusion matrix, how well the probabilities fit."""
        probabilities = self.predict_proba(X, progress)
        predicted = self.classes_[probabilities.argmax(1)]
        labels = as_labels("Classifier.evaluate", y, len(predicted))
        classes = self.classes_.tolist()
        return class_report(labels.tolist(), predicted.tolist(), classes, probabilities, self.calibrated_)

    def probe_loss(self, X: Any, y: Any) -> ProbeLoss:
        self.check_fitted()
        given = labelled("Classifier.probe_loss", X, y)
        given = given.select(np.arange(min(len(given.rows), AT_MOST)))
        data = self.inputs_.encode(given.rows, given.names)
        rows = few(data.lengths)
        some, targets = data.select(rows).map(torch.from_numpy), torch.from_numpy(self._numbers(given)[rows])
        net = cast(ClassifierNet, self.net_)
        return ProbeLoss(lambda: cross_entropy(net.classify(some), targets), self.inputs_.steps(data.to_list()[0]))

    def stream(self) -> StreamingClassifier:
        """A reader at the beginning of a sequence: it takes steps as they come and says what it believes so far.

        Raises:
            ValueError: the model reads sequences from both ends.
        """
        self.check_fitted()
        if not self.net_.streams:
            raise ValueError("Classifier.stream: expected bidirectional=False, got a model that reads a sequence from "
                             "both ends; train one with bidirectional=False.")  # fmt: skip
        return StreamingClassifier(self.net_, self.inputs_, self.classes_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # a value of a series that is missing
        return tags

    # The data.

    def _check_settings(self) -> None:
        check_range(self, 1, math.inf, "hidden_size", "num_layers", "embedding_size", "batch_steps")
        check_range(self, 0, 1, "dropout", "input_dropout", "word_dropout", "step_dropout")
        check_range(self, 0, 1, "label_smoothing", "validation")
        check_range(self, 0, math.inf, "noise", "turn", "shift")
        if self.class_weight not in (None, "balanced"):
            raise ValueError(f"class_weight: expected None or 'balanced', got {self.class_weight!r}.")

    def _numbers(self, given: Labelled) -> np.ndarray:
        """The number of each label's class."""
        numbers = {label: number for number, label in enumerate(self.classes_.tolist())}
        for label, name in zip(given.labels.tolist(), given.names, strict=True):
            if label not in numbers:
                raise ValueError(f"{name}: a class that training lacks, {label!r}; give training a row of it, or leave "
                                 "the row out.")  # fmt: skip
        return np.array([numbers[label] for label in given.labels.tolist()], np.int64)

    def _class_weights(self, targets: np.ndarray) -> Tensor | None:
        if self.class_weight is None:
            return None
        counts = np.bincount(targets, minlength=len(self.classes_))
        return torch.from_numpy(len(targets) / (len(counts) * np.maximum(counts, 1))).float()

    def _tell(self, data: Sequences, held_out: Sequences) -> None:
        weights = sum(weight.numel() for weight in self.net_.parameters())
        ways = "both ways, " if self.bidirectional else ""
        logger.info("%s rows of %s, %s steps; %s rows held out; %d classes", f"{len(data):,}", self.inputs_.says,
                    f"{data.num_steps:,}", f"{len(held_out):,}", len(self.classes_))  # fmt: skip
        logger.info("net: %d x %s of %d units, %s%s pooling, %s weights", self.num_layers, self.cell, self.hidden_size,
                    ways, self.pooling, f"{weights:,}")  # fmt: skip

    # The net.

    def _make_net(self) -> ClassifierNet:
        with self.seeded():
            return classifier_net(
                self.inputs_,
                self,
                bidirectional=self.bidirectional,
                pooling=self.pooling,
                num_classes=len(self.classes_),
            )

    def _loss(
        self, data: Sequences, targets: Tensor, weights: Tensor | None, batch: RowBatch
    ) -> tuple[Tensor, State | None]:
        rows = self.inputs_.spoil(data.select(batch.rows).map(torch.from_numpy))
        logits = cast(ClassifierNet, self.net_).classify(rows)
        return cross_entropy(logits, targets[batch.rows], weights, label_smoothing=self.label_smoothing), None

    def _logits(self, data: Sequences, progress: Callable[[float], object] = lambda part: None) -> np.ndarray:
        """[B, C] float64."""
        net, logits = cast(ClassifierNet, self.net_), np.empty((len(data), len(self.classes_)))
        done = 0
        with self.evaluating():
            for batch in RowBatches(data.lengths, STEPS).epoch(1):
                logits[batch.rows] = net.classify(data.select(batch.rows).map(torch.from_numpy)).double().numpy()
                done += len(batch.rows)
                progress(done / len(data))
        return logits

    def _calibrate(self, logits: np.ndarray, targets: np.ndarray) -> None:
        """Divide the logits by the temperature at which they fit rows that were not trained on (Guo et al. 2017)."""
        found, readout = temperature(logits, targets), cast(ClassifierNet, self.net_).readout
        with torch.no_grad():
            readout.weight.div_(found)
            readout.bias.div_(found)
        self.calibrated_ = True
        logger.info("probabilities calibrated on %d rows: logits divided by %.3f", len(targets), found)

    # The files.

    def preprocessing(self) -> dict[str, Any]:
        return {"inputs": self.inputs_.to_json(), "labels": self.classes_.tolist(), "calibrated": self.calibrated_}

    def restore(self, file: ModelFile) -> None:
        self.inputs_ = restore_inputs(self, file.metadata["inputs"])
        self.classes_, self.calibrated_ = np.array(file.metadata["labels"]), file.metadata["calibrated"]
        self.net_ = self._make_net()


def _calibrated_nats(logits: np.ndarray, targets: np.ndarray) -> float:
    """Nats a row at the best temperature: what cannot be mended after training, so it is what weights are chosen by."""
    scaled = logits / temperature(logits, targets)
    scaled -= scaled.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(targets)), targets]))
