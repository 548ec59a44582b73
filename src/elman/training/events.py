"""Events of a training run. An observer is any callable that takes one: `history.append` keeps them all."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from elman.representation import brief_fields

if TYPE_CHECKING:
    from torch import Tensor, nn


class Score(NamedTuple):
    """Result of an evaluation, which chooses the best weights.

    Args:
        name: its name, as progress, log and pictures show it.
        value: the number.
        higher_is_better: its direction.
        unit: shown after the number: `nats`; with `%`, a value of 1 is shown as 100 %.
    Example:
        >>> str(Score("accuracy", 0.8131, higher_is_better=True, unit="%"))
        'accuracy 81.3 %'
    """

    name: str
    value: float
    higher_is_better: bool = False
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.format(self.value)}"

    def format(self, value: float) -> str:
        """Return a value of this score with its unit."""
        if self.unit == "%":
            return f"{100 * value:.1f} %"
        return f"{value:,.{4 if abs(value) < 10 else 1}f} {self.unit}".rstrip()

    def reaches(self, value: float) -> bool:
        """Return whether the score is at least as good as a value."""
        return self.value >= value if self.higher_is_better else self.value <= value


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
    score: Score
    best: float  # value of the best score so far
    best_update: int
    seconds: float


@brief_fields
class Examined(NamedTuple):
    """Statistics of the layers, returned by an observer that examines the network: `elman.doctor.watch.Watch`."""

    update: int
    epoch: int
    seconds: float  # as in `Update`
    layers: dict[str, dict[str, float | list[float]]]  # path of a layer -> name of a statistic -> its value


Event = Update | Evaluation | Examined


def numbers(event: Event) -> dict[str, Any]:
    """Return an event by name, as `log.jsonl` has it: `"evaluation": {"F1": 0.627}`."""
    if not isinstance(event, Evaluation):
        return event._asdict()
    score = event.score
    found = {"evaluation": {score.name: score.value}, "higher_is_better": score.higher_is_better}
    return {"update": event.update, "epoch": event.epoch, **found, "best": event.best,
            "best_update": event.best_update, "seconds": event.seconds}  # fmt: skip


@runtime_checkable
class ModelObserver(Protocol):
    """Observer that needs the model itself."""

    def begin(self, model: "nn.Module", loss: "Callable[[], Tensor]") -> object:
        """Receive the model, and a function that computes the loss of its first batch, before the first event."""
