"""What training tells, while it runs, to any callable that takes an event: `history.append` keeps it all."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


class Update(NamedTuple):
    """The weights have changed once more."""

    update: int  # updates done
    epoch: int  # from 1
    progress: float  # part of the training that is done, 0 to 1
    loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    steps: int  # of the sequences of this batch, where it knows its `num_steps`; else 1
    seconds: float  # since training began, without the time between a stop and going on
    steps_per_second: float  # of this update


class Evaluation(NamedTuple):
    """The validation part has been measured."""

    update: int
    epoch: int
    evaluation: float  # lower is better
    best: float  # so far
    best_update: int
    seconds: float


class Examined(NamedTuple):
    """The net has been looked at, by an observer that returned this: `elman.doctor.watch.Watch`."""

    update: int
    epoch: int
    seconds: float  # as those of the update
    layers: dict[str, dict[str, float | list[float]]]  # what was measured, by its name, of each layer, by its path


Event = Update | Evaluation | Examined


@runtime_checkable
class AttentionWeights(Protocol):
    """An observer that looks at the net itself."""

    def begin(self, model: "nn.Module", loss: "Callable[[], Tensor]") -> object:
        """Called before the first event: what is trained, and the loss of its first batch, as often as it is asked."""
