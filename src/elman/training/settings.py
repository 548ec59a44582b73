"""Settings of a training run. A setting without effect is an error."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from elman.declared_types import expected_type
from elman.nearest import did_you_mean

_WORDS = {"optimizer": ("adamw", "sgd", "rmsprop"), "schedule": ("constant", "cosine", "plateau", "step")}
RESUMABLE = ("epochs", "patience", "until", "evaluate_every")  # settings that may change when a run is resumed
_BOUNDS: dict[str, Callable[[float], bool]] = {
    "of at least 1": lambda value: value >= 1,
    "of at least 0": lambda value: value >= 0,
    "above 0": lambda value: value > 0,
    "between 0 and 1": lambda value: 0 < value < 1,
    "from 0 to below 1": lambda value: 0 <= value < 1,
    "from 0 to below 2^63": lambda value: 0 <= value < 2**63,
    "to be finite": lambda value: True,
}
_RANGES = {
    "epochs": "of at least 0",
    "learning_rate": "above 0",
    "momentum": "from 0 to below 1",
    "weight_decay": "of at least 0",
    "decay": "between 0 and 1",
    "decay_after": "of at least 1",
    "warmup": "of at least 0",
    "clip_norm": "above 0",
    "clip_value": "above 0",
    "average": "between 0 and 1",
    "patience": "of at least 1",
    "until": "to be finite",
    "evaluate_every": "of at least 1",
    "seed": "from 0 to below 2^63",
}


@dataclass(kw_only=True)
class TrainingSettings:
    """Settings of the optimiser, its schedule, evaluation and stopping.

    Args:
        epochs: passes over the training data; with 0, the weights stay as they are.
        learning_rate: highest learning rate: the warm-up rises to it, and the schedule falls from it.
        optimizer: `adamw`, `sgd` or `rmsprop`, as in PyTorch.
        momentum: momentum of `sgd` and `rmsprop`; 0 by default.
        weight_decay: PyTorch's default if None (0.01 for `adamw`, 0 for the others).
        schedule: `constant`; `cosine`, which falls to zero along half a cosine wave; `plateau`, which multiplies the
            rate by `decay` after each evaluation that is not the best so far; `step`, after each epoch.
        decay: factor of `plateau` and `step`, between 0 and 1; 0.5 if None.
        decay_after: epochs at the full rate before `step` reduces it; 1 if None.
        warmup: updates over which the learning rate rises in a straight line; 0 starts at the full rate. A warm-up
            longer than the training is shortened to it, with a warning.
        clip_norm: upper bound of the 2-norm of all gradients together; None does not clip.
        clip_value: upper bound of the absolute value of each element of a gradient, applied before `clip_norm`; None
            does not clip.
        average: decay of an exponential moving average of the weights, for example 0.998. Evaluations and the trained
            model use the average. None uses the weights themselves.
        patience: stop after this many evaluations in a row that are not the best so far; None trains to the end.
        until: stop as soon as an evaluation is at least as good as this value; None trains to the end.
        evaluate_every: updates between evaluations, with one more at the end; None evaluates after each epoch.
        seed: seed of all random numbers.
    Raises:
        ValueError: a value is out of range, or a setting has no effect.
        TypeError: a value has the wrong type.
    """

    epochs: int = 10
    learning_rate: float = 2e-3
    optimizer: str = "adamw"
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str = "cosine"
    decay: float | None = None
    decay_after: int | None = None
    warmup: int = 0
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    average: float | None = None
    patience: int | None = None
    until: float | None = None
    evaluate_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check(self)


def check(settings: TrainingSettings, has_validation: bool = True) -> None:
    """Raise unless every setting has its declared type, is in range, and has an effect."""
    where = type(settings).__name__
    _check_types(settings)
    for field in fields(TrainingSettings):
        value = getattr(settings, field.name)
        if field.name in _WORDS:
            _check_word(where, field.name, value)
        elif value is not None and not (math.isfinite(value) and _BOUNDS[_RANGES[field.name]](value)):
            raise ValueError(f"{where}: expected {field.name} {_RANGES[field.name]}, got {value}.")
    if settings.momentum is not None and settings.optimizer == "adamw":
        raise ValueError(
            f"{where}: momentum={settings.momentum} has no effect with optimizer='adamw'; "
            "leave it out, or choose 'sgd' or 'rmsprop'."
        )
    if settings.decay is not None and settings.schedule not in ("plateau", "step"):
        raise ValueError(
            f"{where}: decay={settings.decay} has no effect with schedule={settings.schedule!r}; "
            "leave it out, or choose 'plateau' or 'step'."
        )
    if settings.decay_after is not None and settings.schedule != "step":
        raise ValueError(
            f"{where}: decay_after={settings.decay_after} has no effect with schedule={settings.schedule!r}; "
            "leave it out, or choose 'step'."
        )
    if settings.schedule == "step" and (after := settings.decay_after or 1) >= settings.epochs:
        raise ValueError(
            f"{where}: schedule='step' has no effect after {after} of {settings.epochs} epochs; "
            "set epochs higher, or decay_after lower."
        )
    waits = {name: getattr(settings, name) for name in ("patience", "until", "evaluate_every")}
    waiting = [f"{name}={value}" for name, value in waits.items() if value is not None]
    waiting += ["schedule='plateau'"] if settings.schedule == "plateau" else []
    if waiting and not has_validation:
        raise ValueError(
            f"{where}: {waiting[0]} has no effect without a validation part; hold some out, or leave it out."
        )


def _check_types(settings: Any) -> None:
    """Raise unless the settings, those of subclasses included, are numbers or truth values where declared as such, and
    whole numbers fit into 64 bits.
    """
    types = get_type_hints(type(settings))
    for field in fields(settings):
        value = getattr(settings, field.name)
        if wanted := expected_type(value, types[field.name]):
            raise TypeError(f"{type(settings).__name__}: expected {field.name} to be {wanted}, got {value!r}.")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"{type(settings).__name__}: expected {field.name} below 2^63, got {value}.")


def _check_word(where: str, name: str, value: Any) -> None:
    words = _WORDS[name]
    if value not in words:
        hint = did_you_mean(value, words)
        raise ValueError(f"{where}: expected {name} to be one of {', '.join(words)}, got {value!r}{hint}")
