"""What every task shares: settings, one model file, a run folder."""

import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

import elman
from elman.estimator import Estimator
from elman.files import SCHEMA, TEMPORARY, write_tensors
from elman.runtime import MODEL, ModelFile
from elman.tasks.probe_loss import ProbeLoss
from elman.tasks.settings import CONFIG, parse, settings_of, write_config
from elman.training import Evaluation, Event, Interrupted, NonFinite, Result, TrainingSettings, model_tensors, train
from elman.training.checkpoint import LAST
from elman.training.loop import Data, Loss
from elman.training.non_finite import bad_weight
from elman.training.settings import check

Observers = Sequence[Callable[[Event], object]]


class Task(Estimator, TrainingSettings, ABC):
    """An application: an estimator whose settings are its fields, those of its training among them.

    `fit` trains; what it finds ends in `_`; `score` gives one number, higher is better.
    """

    task: ClassVar[str]  # its word on the command line and in files
    net_: Any  # an `nn.Module` with a `spec`

    def __post_init__(self) -> None:
        """A constructor stores settings and `set_params` changes them; `fit` tells whether they can act."""

    @abstractmethod
    def preprocessing(self) -> dict[str, Any]:
        """What turns data into tensors and back, as JSON."""

    @abstractmethod
    def restore(self, file: ModelFile) -> None:
        """Take back what `preprocessing` gave, from the metadata, and build `net_` with any weights."""

    @abstractmethod
    def probe_loss(self, *data: Any) -> ProbeLoss:
        """Some of `data`, which is as `evaluate` takes it, as the net learns from them."""

    def save(self, path: str | Path) -> None:
        """Write the model file: weights, settings, preprocessing. It replaces what is at `path` whole or not at all."""
        metadata = {"schema": SCHEMA, "version": elman.__version__, "task": self.task, "settings": settings_of(self)}
        if spec := self.net_.spec():  # for elman.runtime; a cell of one's own may have none
            metadata["spec"] = spec
        write_tensors(Path(path), model_tensors(self.net_), metadata | self.preprocessing())

    @classmethod
    def from_file(cls, file: ModelFile) -> Self:
        """The trained model that `save` wrote.

        Raises:
            ValueError: the file holds the tensors of another net than its settings describe, or lacks a part.
        """
        try:
            model = cls(**parse(cls, file.metadata["settings"], f"{file.path}:"))
            model.restore(file)
        except KeyError as error:
            version = file.metadata.get("version")
            raise ValueError(f"{file.path}: expected {error} in its metadata, which is missing; version {version} of "
                             f"elman wrote it, and this is {elman.__version__}: train again.") from error  # fmt: skip
        own = model_tensors(model.net_)
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

    def check_fitted(self) -> None:
        """Raise unless there is a trained model.

        Raises:
            ValueError: there is none; it is scikit-learn's `NotFittedError` where that has been loaded.
        """
        if not hasattr(self, "net_"):
            kind = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", ValueError)
            raise kind(f"{type(self).__name__}: not fitted yet; call fit first, or load a trained one.")

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """PyTorch's generator is this task's inside, and as it was outside."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            yield

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The net is in evaluation mode inside, without gradients, and as it was outside."""
        training = self.net_.training
        if training:
            self.net_.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            if training:
                self.net_.train()

    def check_run(self, run: str | Path | None, resume: bool) -> None:
        """Raise unless the settings of training are in range, and `run` is a folder to begin in, or to resume in.

        Raises:
            FileExistsError: the folder holds something and `resume` is not asked for.
            FileNotFoundError: there is no run to resume.
            ValueError: there is no folder to resume in, or a setting that cannot act.
            TypeError: a setting of another kind.
        """
        check(self)
        if run is None:
            if resume:
                raise ValueError(f"{type(self).__name__}.fit: expected a run folder to resume, got none.")
            return
        run = Path(run)
        if resume and not (run / CONFIG).exists():
            raise FileNotFoundError(f"{run}: no run to resume ({CONFIG} is missing); train without resume first.")
        if (
            not resume
            and run.exists()
            and (not run.is_dir() or any(file.suffix != TEMPORARY for file in run.iterdir()))
        ):
            raise FileExistsError(f"{run}: is there already; resume the run in it (--resume), or name another folder.")

    def train(
        self,
        loss: Loss,
        data: Data,
        evaluate: Callable[[], float] | None,
        *,
        run: Path | None,
        resume: bool,
        observers: Observers,
        facts: Mapping[str, Any],
    ) -> Result:
        """Train `net_`; the model file in the run folder is that of the best weights so far, also after Ctrl-C; where
        there are none, and it stops at a number that is not finite, of those before.

        Args:
            facts: about the data: what must be the same for a run to go on, beside the settings.
        Raises:
            OSError, NonFinite, Interrupted: as `elman.training.train`.
        """

        def keep_best(event: Event) -> None:
            if run and isinstance(event, Evaluation) and event.best_update == event.update:
                self.save(run / MODEL)

        metadata = {"task": self.task, "version": elman.__version__, "data": dict(facts), **self.preprocessing()}
        observers = [*observers, keep_best]
        try:
            return train(self.net_, loss, data, self, evaluate=evaluate, run=run, resume=resume, observers=observers,
                         metadata=metadata)  # fmt: skip
        except Interrupted as stopped:
            if stopped.run:
                self.save(stopped.run / MODEL)
            raise
        except NonFinite:
            if run and (run / LAST).exists() and not (run / MODEL).exists() and bad_weight(self.net_) is None:
                self.save(run / MODEL)  # as it was before the update that failed, for the doctor
            raise

    def train_in(
        self,
        run: str | Path | None,
        resume: bool,
        source: Mapping[str, Any] | None,
        loss: Loss,
        data: Data,
        evaluate: Callable[[], float] | None,
        *,
        observers: Observers,
        facts: Mapping[str, Any],
    ) -> None:
        """`train` in a run folder, or without one: how it ended is `result_`, and the folder has the model file.

        Args: as those of `open_run` and of `train`.
        """
        with self.open_run(run, resume, source or {}) as folder:
            self.result_ = self.train(loss, data, evaluate, run=folder, resume=resume, observers=observers, facts=facts)
            if folder:
                self.save(folder / MODEL)

    @contextmanager
    def open_run(self, run: str | Path | None, resume: bool, source: Mapping[str, Any]) -> Iterator[Path | None]:
        """A new run folder with its `config.toml`, or the one to resume, or none.

        A new one is removed again when an error comes before there is something trained to keep.

        Args:
            source: where the data came from, for `config.toml`: `data`, the files, and how they were read.

        Raises:
            OSError: the folder cannot be made or written.
        """
        if run is None:
            yield None
            return
        run = Path(run)
        if resume and (run / LAST).exists():
            yield run
            return
        try:
            run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(f"{run}: cannot be made: {error.strerror}; name another folder.") from None
        try:
            write_config(run, self, source)
            yield run
        except BaseException:
            if not (run / LAST).exists():
                shutil.rmtree(run, ignore_errors=True)
            raise
