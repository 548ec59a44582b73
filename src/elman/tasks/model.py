"""Model of a task: its network, evaluated in batches of rows, and its file."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from torch import nn

import elman
from elman.data.row_batches import RowBatches
from elman.declared_types import Record
from elman.errors import renumbered
from elman.files import SCHEMA, about_file, write_tensors
from elman.layers.torch_threads import one_torch_thread
from elman.network import ModelFile
from elman.network.no_spec import spec_metadata
from elman.tasks.building import check_memory, with_tensors
from elman.data.examples import Encoded
from elman.settings import Settings, parse, settings_of
from elman.training import model_tensors

T = TypeVar("T")


class Model(Settings, ABC):
    """Network that is built from settings and fitted attributes, and stored with them in one file."""

    task: ClassVar[str]  # its name on the command line and in files
    seed: int
    net_: Any
    _progress: Callable[[float], object] | None = None

    # Hooks.

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a new network. PyTorch's generator is seeded. Called twice: once with tensors that have no memory."""

    def metadata(self) -> dict[str, Any]:
        """Return all that `restore` needs in addition to the settings, as JSON."""
        return {}

    def restore(self, file: ModelFile) -> None:
        """Set the fitted attributes that `build` needs from the metadata of a model file.

        Raises:
            ValueError: a part of the metadata is missing or wrong; `file.value` and `elman.declared_types.field` check
                types.
        """

    def _build(self) -> None:
        with self.seeded():
            check_memory(self.build)
        with self.seeded(), one_torch_thread():
            self.net_ = self.build()

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
            with torch.no_grad(), one_torch_thread(self.net_):
                yield
        finally:
            if training:
                self.net_.train()

    @contextmanager
    def reporting(self, progress: Callable[[float], object]) -> Iterator[None]:
        """Call `progress` with the finished share, 0 to 1, of the evaluations and predictions inside."""
        before, self._progress = self._progress, progress
        try:
            yield
        finally:
            self._progress = before

    def report_progress(self, part: float) -> None:
        """Report the finished share of an evaluation or prediction to the caller of `reporting`, if there is one."""
        if self._progress is not None:
            self._progress(part)

    def per_row(
        self,
        data: Encoded,
        steps: int,
        function: Callable[[Encoded, np.ndarray], Sequence[T] | np.ndarray],
    ) -> list[T]:
        """Return the function's result for each row, computed in batches of rows of similar length, without gradients.

        Args:
            steps: largest number of steps of a batch, all rows together.
            function: `function(batch, rows)` returns one result per row; `rows` are the numbers of the rows.
        Raises:
            RowError: the function raised one about a row of a batch.
        """
        order, found = np.argsort(data.steps, kind="stable"), dict[int, T]()
        with self.evaluating():
            for part, _ in RowBatches(data.steps[order], steps).epoch(1):
                rows = order[part]
                with renumbered(rows.tolist()):
                    results = function(data.select(rows), rows)
                found.update(zip(rows.tolist(), results, strict=True))
                self.report_progress(len(found) / len(data))
        return [found[row] for row in range(len(data))]

    # Files.

    def save(self, path: str | Path) -> None:
        """Write weights, settings and metadata to a model file. A file at `path` is replaced whole or not at all."""
        self.check_fitted()
        metadata = {"schema": SCHEMA, "version": elman.__version__, "task": self.task, "settings": settings_of(self)}
        metadata |= spec_metadata(self.net_)  # for elman.runtime
        write_tensors(Path(path), model_tensors(self.net_), metadata | self.metadata())

    @classmethod
    def from_file(cls, file: ModelFile) -> Self:
        """Return the trained model that `save` wrote.

        Raises:
            ValueError: a setting is out of range, a part is missing, or the tensors do not fit the settings.
        """
        with about_file(file.path):
            model = cls(**parse(cls, file.value("settings", Record), "settings"))
            model.check_settings()
            model.restore(file)
            with model.seeded(), one_torch_thread():
                model.net_ = with_tensors(model.build, file.tensors)
        model.net_.eval()
        return model
