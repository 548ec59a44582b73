"""Trained model of a task, without PyTorch: preprocessing, and a network that is evaluated in batches of rows."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, final

import numpy as np

from elman.data.examples import Encoded, Examples
from elman.data.row_batches import RowBatches
from elman.data.rows_and_labels import with_targets
from elman.declared_types import Record
from elman.errors import renumbered
from elman.estimator import Estimator
from elman.files import about_file
from elman.network import Layer, ModelFile, Stepper
from elman.runtime.stream import Stream
from elman.settings import Settings, parse, setting_names

T = TypeVar("T")


class TrainedModel(Settings, Estimator, ABC):
    """Base of the trained models of all tasks. A subclass is a dataclass: its fields are the settings of its use.

    A subclass implements `read`, `restore`, and the methods for users, such as `predict`, `evaluate` and `score`. These
    call network hooks: methods that run `net_` on a batch. The task in `elman.tasks` is a subclass of the trained
    model: it adds training, and overrides the network hooks to run PyTorch. Fitted attributes end in `_`.

    Attributes:
        net_: the network, an `elman.network.Layer`; in a task, an `nn.Module`.
    """

    task: ClassVar[str]  # its name on the command line and in files
    instead_of_stream: ClassVar[str] = "train with bidirectional=False, or use predict on whole sequences"
    instead: ClassVar[dict[str, str]] = {  # methods of other models, and the way out for the error
        "fit": "elman.load(path), which needs PyTorch, returns a model that has it"
    }
    net_: Any
    _progress: Callable[[float], object] | None = None

    if not TYPE_CHECKING:  # a type checker would accept every name

        def __getattr__(self, name: str) -> Any:
            if name in self.instead:
                raise AttributeError(f"{type(self).__name__} has no {name}; {self.instead[name]}.", name=name, obj=self)
            return object.__getattribute__(self, name)  # raises Python's error

    # Hooks.

    @abstractmethod
    def read(self, X: Any, y: Any) -> Examples:
        """Check rows and targets, and return them with the keys that they are split by.

        Raises:
            TypeError, ValueError: a row or a target cannot be used; a RowError carries its number.
        """

    def metadata(self) -> dict[str, Any]:
        """Return all that `restore` needs in addition to the settings, as JSON."""
        return {}

    def restore(self, file: ModelFile) -> None:
        """Set the fitted attributes from the metadata of a model file.

        Raises:
            ValueError: a part of the metadata is missing or wrong; `file.value` and `elman.declared_types.field` check
                types.
        """

    def check_network(self) -> None:
        """Raise unless the restored `net_` fits the fitted attributes, such as the size of the vocabulary.

        Raises:
            ValueError: the network does not fit.
        """

    def learned(self) -> dict[str, Any]:
        """Return the sizes of the fitted attributes by name, for the representation of the trained model."""
        return {}

    def num_parameters(self) -> int:
        """Return the number of weights of `net_`."""
        return self.net_.num_parameters

    # Use.

    @final
    def examples(self, X: Any, y: Any = None) -> Examples:
        """Return rows and targets that `read` has checked; `X` may be the result of a reader, which has both."""
        return self.read(*with_targets(X, y))

    def facts(self) -> dict[str, Any]:
        """Return the number of parameters and the sizes of what was learned; empty before `fit`."""
        return {"parameters": self.num_parameters(), **self.learned()} if hasattr(self, "net_") else {}

    @property
    def class_name(self) -> str:
        """Name of the task, for errors; the same with and without PyTorch."""
        return type(self).__name__.removeprefix("Trained")

    def check_fitted(self) -> None:
        """Raise unless the model is trained.

        Raises:
            ValueError: the model is not trained; scikit-learn's `NotFittedError` if scikit-learn is loaded.
        """
        if not hasattr(self, "net_"):
            kind = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", ValueError)
            raise kind(f"{self.class_name}: not fitted yet; call fit first, or load a trained model.")

    def as_layer(self) -> Layer:
        """Return the network with its current weights, as it runs without PyTorch.

        Raises:
            ValueError: a layer runs in PyTorch only.
        """
        layer: Layer = self.net_
        return layer

    def streaming_layer(self, verb: str = "stream") -> Layer:
        """Return the network as `as_layer` does, after a check that it can read one step at a time.

        Args:
            verb: the method that an error names.
        Raises:
            ValueError: the model is not trained, or a layer reads whole sequences.
        """
        self.check_fitted()
        layer = self.as_layer()
        if not layer.streams:
            raise ValueError(f"{self.class_name}.{verb}: {layer.reads_whole()}; {self.instead_of_stream}.")
        return layer

    def stream(self) -> Stream:
        """Return a reader at the beginning of a sequence; most models need whole sequences.

        Raises:
            ValueError: a layer reads whole sequences; the message has the way out.
        """
        self.streaming_layer()
        raise NotImplementedError(f"{type(self).__name__} has no stream")

    def stepper(self, batch_size: int = 1, output: str = "logits", weights: str = "float32") -> Stepper:
        """Return a `Stepper` of the network, without the preprocessing.

        It reads encoded steps: ids of `units_.encode(text)`, or standardised steps of `inputs_.encode(rows)`. For texts
        and raw values, use `stream`.

        Raises:
            ValueError: a layer reads whole sequences, the network reads more than one, or an argument is unknown.
        """
        return self.streaming_layer("stepper").stepper(batch_size, output, weights)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Prepare the network for evaluation inside the block."""
        yield

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
        """Return the function's result for each row, computed in batches of rows of similar length.

        Args:
            steps: largest number of steps of a batch, all rows together.
            function: `function(batch, rows)` returns one result per row; `rows` are the numbers of the rows.
        Raises:
            RowError: the function raised a RowError about a row of a batch.
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

    @classmethod
    def from_file(cls, file: ModelFile) -> Self:
        """Return the trained model in a file, without PyTorch.

        Raises:
            ValueError: a setting is out of range, a part is missing, or the tensors do not fit the settings.
        """
        with about_file(file.path):
            settings, known = file.value("settings", Record), setting_names(cls)
            own = {name: value for name, value in settings.items() if name in known}
            model = cls(**parse(cls, own, "settings"))
            model.check_settings()
            model.restore(file)
        model.net_ = file.network()
        with about_file(file.path):
            model.check_network()
        return model
