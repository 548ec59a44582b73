"""Events of a training run. An observer is any callable that takes one: `history.append` keeps them all."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


class Update(NamedTuple):
    """One update of the weights."""

    update: int  # updates done
    epoch: int  # from 1
    progress: float  # part of the training that is done, 0 to 1
    loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    steps: int  # time steps of this batch: its `num_steps`, or 1 if it has no such attribute
    seconds: float  # since training began; the time between an interruption and resuming is not counted
    steps_per_second: float  # of this update


class Evaluation(NamedTuple):
    """One evaluation on the validation part."""

    update: int
    epoch: int
    evaluation: float  # lower is better
    best: float  # so far
    best_update: int
    seconds: float


class Examined(NamedTuple):
    """Statistics of the layers, returned by an observer that examines the network: `elman.doctor.watch.Watch`."""

    update: int
    epoch: int
    seconds: float  # as in `Update`
    layers: dict[str, dict[str, float | list[float]]]  # path of a layer -> name of a statistic -> its value


Event = Update | Evaluation | Examined


@runtime_checkable
class ModelObserver(Protocol):
    """Observer that needs the model itself."""

    def begin(self, model: "nn.Module", loss: "Callable[[], Tensor]") -> object:
        """Receive the model, and a function that computes the loss of its first batch, before the first event."""
