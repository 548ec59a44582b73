"""What training tells, while it runs, to any callable that takes an event: `history.append` keeps it all."""

from typing import NamedTuple


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


Event = Update | Evaluation
