"""Task: an application of a recurrent model. `fit`, runs, saving and loading are written here, once."""

import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, final

import numpy as np
import torch
from torch import Tensor, nn

import elman
from elman.data.hold_out import hold_out
from elman.data.row_batches import RowBatches, usual_steps
from elman.errors import counted_as, renumbered
from elman.estimator import Estimator
from elman.files import SCHEMA, write_tensors
from elman.runtime import MODEL, ModelFile
from elman.state import State
from elman.tasks.examples import PROBE_ROWS, Batches, Encoded, Examples, digest
from elman.tasks.plan import TrainingPlan, seconds_per_update
from elman.tasks.run import Run
from elman.tasks.settings import check_range, parse, settings_of
from elman.training import Evaluation, Event, Interrupted, NonFinite, Result, TrainingSettings, model_tensors, train
from elman.training.checkpoint import LAST
from elman.training.loop import Data
from elman.training.non_finite import non_finite_weight
from elman.training.settings import check

T = TypeVar("T")

logger = logging.getLogger("elman")


class Score(NamedTuple):
    """Result of an evaluation, which chooses the best weights."""

    name: str
    value: float
    higher_is_better: bool = False

    @property
    def error(self) -> float:
        """Value to minimise: that of a loss, or 1 minus that of an accuracy."""
        return 1 - self.value if self.higher_is_better else self.value


class ProbeLoss(NamedTuple):
    """Training loss of a few rows without random augmentation, which the doctor differentiates.

    Attributes:
        loss: computes the loss of the task's network.
        steps: the text of each step of the first row; None if steps are not text.
    """

    loss: Callable[[], Tensor]
    steps: list[str] | None = None


class _Parts(NamedTuple):
    """Data of a training, ready for it."""

    training: Examples
    held_out: Examples
    data: Any  # training, encoded
    held_out_data: Any  # held_out, encoded
    batches: Data


@dataclass(kw_only=True)
class Task(Estimator, TrainingSettings, ABC):
    """Base of all applications: an estimator whose settings are its fields, those of its training included.

    A subclass implements at least `read`, `encode`, `build`, `loss`, `validate` and `probe_loss`, and `predict`,
    `evaluate` and `score` or their like. Fitted attributes end in `_`.

    Args:
        validation: share of the examples that is held out to choose the best weights, 0 for none.
    Attributes:
        net_: the trained network, an `nn.Module` with a `spec`.
        held_out_: the rows that were held out and their targets, or the documents.
        result_: how the training ended.
    """

    task: ClassVar[str]  # its name on the command line and in files

    validation: float = 0.1

    def __post_init__(self) -> None:
        """Store the settings only: `set_params` changes them, and `fit` checks them."""

    # Hooks: the data.

    def check_settings(self) -> None:
        """Raise unless the settings are in range. Called first by `fit`.

        Raises:
            ValueError: a setting is out of range, or has no effect.
        """

    @abstractmethod
    def read(self, X: Any, y: Any) -> Examples:
        """Check rows and targets, and return them with the keys that they are split by.

        Raises:
            TypeError, ValueError: a row or a target cannot be used; a RowError carries its number.
        """

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

    def extend(self, held_out: Examples) -> None:
        """Extend what `prepare` has fitted by what the held-out part needs, such as flags of missing values."""

    @abstractmethod
    def encode(self, examples: Examples) -> Any:
        """Return examples as numbers, `Encoded` as a rule."""

    def describe(self, data: Any, held_out: Any) -> str:
        """Return one line about the encoded data."""
        return f"{len(data):,} rows to train on, {len(held_out):,} held out"

    # Hooks: the network.

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a new network. PyTorch's generator is seeded."""

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

    def beside(self, data: Any, folder: Path | None) -> None:
        """Fit a baseline to the encoded training part, before the training."""

    def finish(self, held_out: Any) -> None:
        """Adjust the trained network to the encoded held-out part, such as its calibration."""

    # Hooks: the trained model.

    def metadata(self) -> dict[str, Any]:
        """Return all that `restore` needs in addition to the settings, as JSON."""
        return {}

    def restore(self, file: ModelFile) -> None:
        """Set the fitted attributes that `build` needs from the metadata of a model file."""

    @abstractmethod
    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        """Return the training loss of a few rows, for the doctor."""

    def few_rows(self, X: Any, y: Any) -> Any:
        """Return the first rows and targets, encoded, for `probe_loss`."""
        self.check_fitted()
        examples = self.read(X, y)
        return self.encode(examples.select(np.arange(min(len(examples), PROBE_ROWS)))).first()

    # Training.

    @final
    def fit(self, X: Any, y: Any = None, *, validation_data: Any = None, run: Run | str | Path | None = None) -> Self:
        """Train on rows and their targets.

        Args:
            X: rows, or documents: see the class.
            y: one target per row; None if the task learns from documents alone.
            validation_data: (X, y) to choose the best weights by, in place of the held-out part; documents alone if
                the task takes no y.
            run: folder that keeps checkpoints, log and model, or a `Run` with more options; by default nothing is
                written.
        Returns:
            the task itself.
        Raises:
            ValueError: a setting has no effect, or the data cannot be learnt from. A RowError carries the row number.
            TypeError: a row has the wrong type.
            FileExistsError: the folder is not empty, and the run is not resumed.
            FileNotFoundError: the folder holds no run to resume.
            OSError: a file cannot be written.
            NonFinite: a loss, gradient or weight is not finite.
            Interrupted: Ctrl-C was pressed; a checkpoint has been written.
        """
        run = Run.of(run)
        self.check_run(run)
        parts = self._parts(X, y, validation_data)
        self.load_pretrained()
        logger.info(self.describe(parts.data, parts.held_out_data))
        logger.info(self._network_line())
        names = {"data": list(parts.training.files), "validation_data": list(parts.held_out.files)}
        with run.open(self, names if parts.training.files else {}) as folder:
            self.beside(parts.data, folder)
            self.result_ = self._train(parts, run, folder)
            if len(parts.held_out):
                self.finish(parts.held_out_data)
            if folder:
                self.save(folder / MODEL)
        return self

    @final
    def plan(self, X: Any, y: Any = None, *, validation_data: Any = None) -> TrainingPlan:
        """Return a summary of the training that `fit` would do, and of its duration; the task stays unchanged.

        Args:
            X, y, validation_data: as for `fit`.
        Raises:
            ValueError, TypeError: as `fit`.
        """
        task = type(self)(**self.get_params(deep=False))
        task.check_run(Run())
        parts = task._parts(X, y, validation_data)
        updates = task.epochs * len(parts.batches.epoch(1))
        seconds, chosen_by = updates * seconds_per_update(task.net_, task._loss, parts.batches, task), None
        if len(parts.held_out):
            began = time.perf_counter()
            chosen_by = task.validate(parts.held_out_data).name
            evaluations = updates // task.evaluate_every if task.evaluate_every else task.epochs
            seconds += evaluations * (time.perf_counter() - began)
        line = task.describe(parts.data, parts.held_out_data)
        return TrainingPlan(line, task._network_line(), task._parameters(), updates, seconds, chosen_by)

    def check_run(self, run: Run) -> None:
        """Raise unless the settings are in range, and the run can begin or be resumed.

        Raises:
            ValueError, TypeError: a setting is out of range, has no effect, or has the wrong type.
            FileExistsError, FileNotFoundError: as `Run.check`.
        """
        check(self)
        run.check()
        check_range(self, 0, 1, "validation")
        self.check_settings()

    def _parts(self, X: Any, y: Any, validation_data: Any) -> _Parts:
        """Read, split and encode the data, and build the network."""
        training = self.read(X, y)
        if not len(training):
            raise ValueError(f"{type(self).__name__}.fit: expected rows, got none.")
        held_out = training.select(np.arange(0))
        if validation_data is not None:
            with counted_as("validation row"):
                read = self.read(validation_data, None) if y is None else self.read(*validation_data)
            held_out = replace(read, kind="validation row")
        if self.validation and not len(held_out):
            training, held_out = self.split(training)
        self.held_out_: Any = held_out.inputs if held_out.targets is None else (held_out.inputs, held_out.targets)
        with training.numbered():
            self.prepare(training)
        with held_out.numbered():
            self.extend(held_out)
        with training.numbered():
            data = self.encode(training)
        with held_out.numbered():
            held_out_data = self.encode(held_out)
        check(self, has_validation=len(held_out) > 0)
        batches = self.batches(data)
        self._build()
        return _Parts(training, held_out, data, held_out_data, batches)

    def _build(self) -> None:
        with self.seeded():
            self.net_: Any = self.build()

    def _parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.net_.parameters())

    def _network_line(self) -> str:
        return f"network: {self.network()}, {self._parameters():,} parameters"

    def _loss(self, batch: Any, state: State | None) -> tuple[Tensor, State | None]:
        loss = self.loss(batch, state)
        return loss if isinstance(loss, tuple) else (loss, None)

    def _train(self, parts: _Parts, run: Run, folder: Path | None) -> Result:
        """Train `net_`. The model file in the folder has the best weights so far, after Ctrl-C too. If the training
        fails at a number that is not finite before the first evaluation, the file has the weights before that update.
        """

        def keep_best(event: Event) -> None:
            if folder and isinstance(event, Evaluation) and event.best_update == event.update:
                self.save(folder / MODEL)

        facts = {"training": digest(parts.data), "held_out": digest(parts.held_out_data)}
        metadata = {"task": self.task, "version": elman.__version__, "settings": settings_of(self), "data": facts}
        evaluate = (lambda: self.validate(parts.held_out_data).error) if len(parts.held_out) else None
        try:
            return train(self.net_, self._loss, parts.batches, self, evaluate=evaluate, run=folder,
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

    # Evaluation.

    def check_fitted(self) -> None:
        """Raise unless the model is trained.

        Raises:
            ValueError: it is not; scikit-learn's `NotFittedError` if scikit-learn is loaded.
        """
        if not hasattr(self, "net_"):
            kind = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", ValueError)
            raise kind(f"{type(self).__name__}: not fitted yet; call fit first, or load a trained model.")

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Seed PyTorch's generator with the setting `seed`, and restore the generator at the end."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            yield

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Set the network to evaluation mode without gradients, and restore its mode at the end."""
        training = self.net_.training
        if training:
            self.net_.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            if training:
                self.net_.train()

    @contextmanager
    def reporting(self, progress: Callable[[float], object]) -> Iterator[None]:
        """Call `progress` with the finished share, 0 to 1, of the evaluations and predictions inside."""
        self._progress = progress
        try:
            yield
        finally:
            del self._progress

    def report_progress(self, part: float) -> None:
        """Report the finished share of an evaluation or prediction to the caller of `reporting`, if there is one."""
        if (progress := getattr(self, "_progress", None)) is not None:
            progress(part)

    def per_row(
        self,
        data: Encoded,
        steps: int,
        function: Callable[[Encoded, np.ndarray], Sequence[T] | np.ndarray],
        sizes: np.ndarray | None = None,
    ) -> list[T]:
        """Return the function's result for each row, computed in batches of rows of similar length, without gradients.

        Args:
            steps: largest number of steps of a batch, all rows together.
            function: `function(batch, rows)` returns one result per row; `rows` are the numbers of the rows.
            sizes: [B] counted in place of the steps of each row.
        Raises:
            RowError: the function raised one about a row of a batch.
        """
        sizes = data.steps if sizes is None else sizes
        order, found = np.argsort(sizes, kind="stable"), dict[int, T]()
        with self.evaluating():
            for part, _ in RowBatches(sizes[order], steps).epoch(1):
                rows = order[part]
                with renumbered(rows.tolist()):
                    results = function(data.select(rows), rows)
                found.update(zip(rows.tolist(), results, strict=True))
                self.report_progress(len(found) / len(data))
        return [found[row] for row in range(len(data))]

    # Files.

    def save(self, path: str | Path) -> None:
        """Write weights, settings and metadata to a model file. A file at `path` is replaced whole or not at all."""
        metadata = {"schema": SCHEMA, "version": elman.__version__, "task": self.task, "settings": settings_of(self)}
        if spec := self.net_.spec():  # for elman.runtime; a user's cell may have none
            metadata["spec"] = spec
        write_tensors(Path(path), model_tensors(self.net_), metadata | self.metadata())

    @classmethod
    def from_file(cls, file: ModelFile) -> Self:
        """Return the trained model that `save` wrote.

        Raises:
            ValueError: the tensors do not fit the settings, or a part is missing.
        """
        try:
            model = cls(**parse(cls, file.metadata["settings"], f"{file.path}:"))
            model.restore(file)
        except KeyError as error:
            version = file.metadata.get("version")
            raise ValueError(f"{file.path}: expected {error} in its metadata, which is missing; version {version} of "
                             f"elman wrote it, and this is {elman.__version__}: train again.") from error  # fmt: skip
        model._build()
        own: Mapping[str, Tensor] = model_tensors(model.net_)
        for name in sorted(own.keys() | file.tensors.keys()):
            want = tuple(own[name].shape) if name in own else None
            have = tuple(file.tensors[name].shape) if name in file.tensors else None
            if want != have:
                raise ValueError(f"{file.path}: expected {name} {want}, got {have}; it does not fit its settings.")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(torch.from_numpy(file.tensors[name]))
        model.net_.eval()
        return model
