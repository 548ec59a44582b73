"""Task: an application of a recurrent model. Training is written here, once for all tasks."""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np
from torch import Tensor

import elman
from elman.cells.activations import Activations
from elman.data.examples import PROBE_ROWS, Batches, Encoded, Examples, digest
from elman.data.hold_out import hold_out
from elman.data.readers.labelled import Labelled, names_of
from elman.data.row_batches import usual_steps
from elman.data.rows_and_labels import one_row, with_targets
from elman.errors import counted_as, named
from elman.nearest import suggests_arguments
from elman.network import MODEL
from elman.runtime.model import TrainedModel
from elman.settings import check_range, settings_of
from elman.state import State
from elman.tasks.model import Model
from elman.tasks.plan import TrainingPlan, seconds_per_update
from elman.tasks.pretrained import Pretrained
from elman.tasks.probe import ProbeLoss, activations_of
from elman.tasks.run import Run
from elman.training import Evaluation, Event, Interrupted, NonFinite, Progress, Result, Score, TrainingSettings, train
from elman.training.checkpoint import LAST
from elman.training.loop import Data
from elman.training.non_finite import non_finite_weight
from elman.training.run_lock import RunLock
from elman.training.settings import check

FITTED = "net_", "held_out_", "result_", "best_score_"  # attributes of every fitted task
logger = logging.getLogger("elman")


def perplexity(nats: float) -> Score:
    """Return the perplexity per unit for the mean loss of a unit in nats."""
    return Score("perplexity", math.exp(min(nats, 700)))  # the exponential of more is not finite


class _Parts(NamedTuple):
    """Data of a training, ready for it."""

    training: Examples
    held_out: Examples
    data: Any  # training, encoded
    held_out_data: Any  # held_out, encoded
    batches: Data


@dataclass(kw_only=True)
class Task(Model, TrainingSettings):
    """Base of all applications: an estimator whose settings are its fields, those of its training included.

    A subclass implements at least `read`, `encode`, `build`, `loss`, `validate` and `probe_loss`, and `predict`,
    `evaluate` and `score` or their like. Fitted attributes end in `_`.

    Args:
        validation: share of the examples that is held out to choose the best weights, 0 for none.
    Attributes:
        net_: the trained network, an `nn.Module` with a `spec`.
        held_out_: the rows that were held out and their targets, or the documents.
        result_: how the training ended.
        best_score_: best score on the held-out part; None without one, and if a resumed training had ended.
    """

    validation: float = 0.1

    def __post_init__(self) -> None:
        """Store the settings only: `set_params` changes them, and `fit` checks them."""

    def check_settings(self) -> None:
        super().check_settings()
        check(self)
        check_range(self, 0, 1, "validation")

    # Hooks: the settings (`check_settings`) and the data.

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        """Read files as `elman train` does, for `elman.doctor.examine` of a run folder.

        Args:
            options: options of the reader that the run keeps.
        Raises:
            OSError, ValueError: a file is missing or cannot be read.
        """
        raise ValueError(f"{cls.__name__}: reads no files; give the rows of the run's files.")

    def split(self, examples: Examples) -> tuple[Examples, Examples]:
        """Return the training part and the held-out part."""
        distinct = len(examples) if examples.groups is None else len(set(examples.groups))
        if distinct < 2:
            raise ValueError(f"{type(self).__name__}.fit: expected at least two different rows, one of them to hold "
                             f"out, got {distinct}; give more rows, or set validation=0.")  # fmt: skip
        keys = [0] * len(examples) if examples.keys is None else examples.keys
        training, held_out = hold_out(keys, self.validation, self.seed, groups=examples.groups)
        return examples.select(training), examples.select(held_out)

    def prepare(self, examples: Examples) -> None:
        """Fit vocabularies, scales and classes on the training part."""

    def adapt(self, examples: Examples) -> Sequence[str]:
        """Adapt the classes or tags of a pretrained model, which `restore` has set, to the training part.

        Returns:
            names of the layers whose pretrained weights do not fit any more, such as the output layer of new classes.
        """
        return ()

    def extend(self, held_out: Examples) -> None:
        """Extend what `prepare` has fitted by what the held-out part needs, such as flags of missing values."""

    @abstractmethod
    def encode(self, examples: Examples) -> Any:
        """Return examples as numbers, `Encoded` as a rule."""

    def inspect(self, data: Any) -> None:
        """Set the fitted attributes that depend on the encoded training part, such as the longest text to write."""

    def describe(self, data: Any, held_out: Any) -> str:
        """Return one line about the encoded data."""
        return f"{len(data):,} rows to train on, {len(held_out):,} held out"

    # Hooks: the network; `build`, `metadata` and `restore` are those of the model.

    def load_pretrained(self) -> None:
        """Load pretrained weights into the new `net_`, if the task uses any."""

    def network(self) -> str:
        """Return a few words about the network."""
        return type(self.net_).__name__

    # Hooks: the training.

    def batches(self, data: Any) -> Data:
        """Return the batches of the encoded training part, of `batch_steps` steps if the task has that setting."""
        return Batches(data, getattr(self, "batch_steps", None) or self.usual_batch(data), self.epochs, self.seed)

    def usual_batch(self, data: Encoded) -> int:
        """Return the number of steps of a batch by default."""
        return usual_steps(data.steps)

    @abstractmethod
    def loss(self, batch: Any, state: State | None) -> Tensor | tuple[Tensor, State | None]:
        """Return the loss of a batch, and the state to carry to the next batch if there is one."""

    @abstractmethod
    def validate(self, data: Any) -> Score:
        """Return the score of the encoded held-out part."""

    def fit_baseline(self, data: Any, folder: Path | None, verbose: bool | int | None) -> None:
        """Fit a baseline to the encoded training part, before the training; `verbose` is that of `fit`."""

    def finish(self, held_out: Any) -> None:
        """Adjust the trained network to the encoded held-out part, such as its calibration."""

    @abstractmethod
    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        """Return the training loss of a few rows, for the doctor."""

    def probe_row(self, rows: list[Any]) -> ProbeLoss:
        """Return the training loss of a list of one row, with the prediction as its target.

        A task without `predict` overrides it.
        """
        return self.probe_loss(rows, self.predict(rows))  # type: ignore[attr-defined]

    def activations(self, row: Any) -> list[Activations]:
        """Return the gates and states of the recurrent cells at every step of a row, for `elman.pictures.gates`.

        Only cells that read one row are included: not those that spell every word, for instance.

        Args:
            row: a row as `predict` reads them; a text for a language model.
        Raises:
            ValueError: the task is not fitted, or the row cannot be read.
        """
        self.check_fitted()
        return activations_of(self.net_, self.probe_row(one_row(f"{type(self).__name__}.activations", row)))

    def few_rows(self, X: Any, y: Any) -> Any:
        """Return the first rows and targets, encoded, for `probe_loss`."""
        self.check_fitted()
        with named(names_of(X)):
            examples = self.examples(X, y)
            return self.encode(examples.select(np.arange(min(len(examples), PROBE_ROWS)))).first()

    # Training.

    @final
    @suggests_arguments
    def fit(
        self, X: Any, y: Any = None, *, validation_data: Any = None, pretrained: str | Path | None = None,
        verbose: bool | int | None = None, run: Run | str | Path | None = None,
    ) -> Self:  # fmt: skip
        """Train on rows and their targets.

        Args:
            X: rows, or documents: see the class. The result of a reader has rows and targets.
            y: one target per row; None if the task learns from documents alone, or if `X` has targets.
            validation_data: (X, y), or the result of a reader, to choose the best weights by, in place of the held-out
                part; documents alone if the task takes no y.
            pretrained: run folder or model file of a trained model of the same task, to start from its weights and to
                keep its vocabularies and scales. Classes or tags that it does not have need a new output layer. A run
                that is resumed finds it again.
            verbose: progress: None shows a line on a terminal and in a notebook if the training takes longer than 2
                seconds; False is silent; True shows it everywhere, elsewhere as a line every 30 seconds and at each
                evaluation; 2 prints one line per evaluation.
            run: folder that keeps checkpoints, log and model, or a `Run` with more options; by default nothing is
                written.
        Returns:
            the task itself.
        Raises:
            ValueError: a setting has no effect, the data cannot be learnt from, or the pretrained model does not fit. A
                RowError carries the row number.
            TypeError: a row or a setting has the wrong type, or validation_data are not (X, y).
            FileExistsError: the folder is not empty, and the run is not resumed.
            FileNotFoundError: the folder holds no run to resume.
            BlockingIOError: another training writes to the folder.
            OSError: a file cannot be written.
            NonFinite: a loss, gradient or weight is not finite.
            Interrupted: Ctrl-C was pressed; a checkpoint has been written.
        An error before the training leaves a fitted task as it was.
        """
        run, progress, before = Run.of(run), Progress(verbose), vars(self).copy()
        source = self.check_run(run, pretrained)
        try:
            with progress, self.reporting(progress.reading):
                parts = self._parts(X, y, validation_data, source)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        logger.info(self.describe(parts.data, parts.held_out_data))
        logger.info(self._network_line())
        names = {"data": list(parts.training.files), "validation_data": list(parts.held_out.files)}
        with run.open(self, names if parts.training.files else {}, source.origin if source else {}) as lock:
            self.fit_baseline(parts.data, run.folder, verbose)
            with progress:
                self.result_ = self._train(parts, replace(run, observers=[progress, *run.observers]), lock)
            if len(parts.held_out):
                self.finish(parts.held_out_data)
            if run.folder:
                self.save(run.folder / MODEL)
        return self

    @final
    def plan(
        self, X: Any, y: Any = None, *, validation_data: Any = None, pretrained: str | Path | None = None
    ) -> TrainingPlan:
        """Return a summary of the training that `fit` would do, and of its duration; the task stays unchanged.

        Args:
            X, y, validation_data, pretrained: as for `fit`.
        Raises:
            FileNotFoundError, ValueError, TypeError: as `fit`.
        """
        task = type(self)(**self.get_params(deep=False))
        parts = task._parts(X, y, validation_data, task.check_run(Run(), pretrained))
        updates, chosen_by = task.epochs * len(parts.batches.epoch(1)), None
        seconds = updates * seconds_per_update(task.net_, task._loss, parts.batches, task) if updates else 0.0
        if len(parts.held_out):
            began = time.perf_counter()
            chosen_by = task.validate(parts.held_out_data).name
            evaluations = updates // task.evaluate_every if task.evaluate_every else task.epochs
            seconds += evaluations * (time.perf_counter() - began)
        line = task.describe(parts.data, parts.held_out_data)
        return TrainingPlan(line, task._network_line(), task.num_parameters(), updates, seconds, chosen_by)

    def check_run(self, run: Run, pretrained: str | Path | None = None) -> Pretrained | None:
        """Raise unless the settings are in range, and the run can begin or be resumed.

        Returns:
            the pretrained model, if the training starts from one.
        Raises:
            ValueError, TypeError: a setting is out of range, has no effect, or has the wrong type.
            FileExistsError, FileNotFoundError, BlockingIOError: as `Run.check`.
            FileNotFoundError, ValueError: the pretrained model is missing or does not fit.
        """
        self.check_settings()
        run.check(self)
        return Pretrained.of(pretrained, self, run)

    def _parts(self, X: Any, y: Any, validation_data: Any, pretrained: Pretrained | None) -> _Parts:
        """Read, split and encode the data, and build the network. Errors show the names of rows that have names."""
        X, y = with_targets(X, y)
        rows, _ = with_targets(validation_data)
        held_out = rows[0] if rows is validation_data and isinstance(rows, tuple | list) and rows else rows
        with named(names_of(X)), named(names_of(held_out), "validation row"):
            return self._encoded(X, y, validation_data, pretrained)

    def _encoded(self, X: Any, y: Any, validation_data: Any, pretrained: Pretrained | None) -> _Parts:
        training = self.read(X, y)
        if not len(training):
            raise ValueError(f"{type(self).__name__}.fit: expected rows, got none.")
        held_out = training.select(np.arange(0))
        if validation_data is not None:
            given = with_targets(validation_data)
            if given[0] is validation_data:
                given = (validation_data, None) if y is None else validation_data
            if not isinstance(given, tuple | list) or len(given) != 2:
                got = f"{len(given)} parts" if isinstance(given, tuple | list) else type(given).__name__
                raise TypeError(f"{type(self).__name__}.fit: expected validation_data=(X, y), got {got}.")
            with counted_as("validation row"):
                held_out = replace(self.read(*given), kind="validation row")
            if not len(held_out):
                raise ValueError(f"{type(self).__name__}.fit: expected rows in validation_data, got none.")
        elif self.validation:
            training, held_out = self.split(training)
        self.held_out_: Any = held_out.inputs if held_out.targets is None else (held_out.inputs, held_out.targets)
        new: Sequence[str] = ()
        with training.numbered():
            if pretrained is None:
                self.prepare(training)
                self._check_stored()
            else:
                self.restore(pretrained.file)
                new = self.adapt(training)
        with held_out.numbered():
            self.extend(held_out)
        with training.numbered():
            data = self.encode(training)
            self.inspect(data)
        with held_out.numbered():
            held_out_data = self.encode(held_out)
        check(self, has_validation=len(held_out) > 0)
        batches = self.batches(data)
        self._build()
        if pretrained is None:
            self.load_pretrained()
        else:
            pretrained.copy_to(self.net_, new)
        return _Parts(training, held_out, data, held_out_data, batches)

    def _check_stored(self) -> None:
        """Raise a TypeError if `prepare` fits attributes that a model file would not store."""
        kind = type(self)
        missing = [name for name in ("metadata", "restore") if getattr(kind, name) is getattr(TrainedModel, name)]
        fitted = [name for name in vars(self) if name.endswith("_") and name not in FITTED]
        if missing and fitted:
            raise TypeError(f"{kind.__name__}: expected {' and '.join(missing)}, so that a model file stores "
                            f"{fitted[0]}, which prepare sets; got none.")  # fmt: skip

    def facts(self) -> dict[str, Any]:
        best: Score | None = getattr(self, "best_score_", None)
        return super().facts() | ({} if best is None else {f"best {best.name}": best.format(best.value)})

    def _network_line(self) -> str:
        return f"network: {self.network()}, {self.num_parameters():,} parameters"

    def _loss(self, batch: Any, state: State | None) -> tuple[Tensor, State | None]:
        loss = self.loss(batch, state)
        return loss if isinstance(loss, tuple) else (loss, None)

    def _train(self, parts: _Parts, run: Run, lock: RunLock | None) -> Result:
        """Train `net_`. The model file in the folder has the best weights so far, after Ctrl-C too. If the training
        fails at a number that is not finite before the first evaluation, the file has the weights before that update.
        """

        folder, resumed = run.folder, run.resume
        self.best_score_: Score | None = None

        def keep_best(event: Event) -> None:
            nonlocal resumed
            if resumed:
                run.update_settings(self)
                resumed = False
            if isinstance(event, Evaluation) and event.best_update == event.update:
                self.best_score_ = event.score
                if folder:
                    self.save(folder / MODEL)

        facts = {"training": digest(parts.data), "held_out": digest(parts.held_out_data)}
        metadata = {"task": self.task, "version": elman.__version__, "settings": settings_of(self), "data": facts}
        evaluate = (lambda: self.validate(parts.held_out_data)) if len(parts.held_out) else None
        try:
            return train(self.net_, self._loss, parts.batches, self, evaluate=evaluate, run=lock,
                         resume=run.resume, observers=[*run.observers, keep_best],
                         metadata=metadata | self.metadata())  # fmt: skip
        except Interrupted as stopped:
            if stopped.run:
                self.save(stopped.run / MODEL)
            raise
        except NonFinite:
            unsaved = folder and (folder / LAST).exists() and not (folder / MODEL).exists()
            if folder and unsaved and non_finite_weight(self.net_) is None:
                self.save(folder / MODEL)  # the weights before the update that failed, for the doctor
            raise
