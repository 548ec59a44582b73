"""Plan of a training: its data, its network, and how long it will take."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from elman.training import Event, TrainingSettings, Update, train
from elman.training.loop import Data, Loss

UPDATES = 8  # that are timed
SECONDS = 10.0  # after which no more are


@dataclass(frozen=True)
class TrainingPlan:
    """Summary of a training that has not happened.

    Attributes:
        data: one line about the data.
        network: one line about the network.
        parameters: number of weights.
        updates: of the whole training.
        seconds: that it is expected to take on this machine, evaluations included.
        chosen_by: name of the score that chooses the best weights; None without a held-out part.
    """

    data: str
    network: str
    parameters: int
    updates: int
    seconds: float
    chosen_by: str | None = None

    def __str__(self) -> str:
        chosen = f"; best weights by {self.chosen_by}" if self.chosen_by else ""
        expected = f"{self.updates:,} updates, expected to take {duration(self.seconds)}"
        return f"{self.data}\n{self.network}\n{expected}{chosen}"


def duration(seconds: float) -> str:
    """Return a time in minutes, or in seconds below one minute."""
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"


class _Enough(Exception):
    """Enough updates have been timed."""


def seconds_per_update(net: Any, loss: Loss, data: Data, settings: TrainingSettings) -> float:
    """Return the time of one update of `net`, from a few updates that change it; the first ones are not counted."""
    ends = [0.0]  # seconds since the start, after each update

    def watch(event: Event) -> None:
        if isinstance(event, Update):
            ends.append(event.seconds)
            if len(ends) > UPDATES or event.seconds > SECONDS:
                raise _Enough

    with suppress(_Enough):
        train(net, loss, data, settings, evaluate=lambda: 0.0, observers=[watch])
    first = min(2, len(ends) - 2)
    return (ends[-1] - ends[first]) / (len(ends) - 1 - first)
