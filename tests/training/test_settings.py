import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from elman.training import TrainingSettings
from elman.training.settings import check


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"epochs": -1}, "expected epochs of at least 0, got -1."),
        ({"learning_rate": 0}, "expected learning_rate above 0, got 0."),
        ({"learning_rate": float("nan")}, "expected learning_rate above 0, got nan."),
        ({"learning_rate": float("inf")}, "expected learning_rate above 0, got inf."),
        ({"warmup": -1}, "expected warmup of at least 0, got -1."),
        ({"clip_norm": -1.0}, "expected clip_norm above 0, got -1.0."),
        ({"clip_value": 0.0}, "expected clip_value above 0, got 0.0."),
        ({"weight_decay": -0.1}, "expected weight_decay of at least 0, got -0.1."),
        ({"optimizer": "sgd", "momentum": 1.0}, "expected momentum from 0 to below 1, got 1.0."),
        ({"average": 1.0}, "expected average between 0 and 1, got 1.0."),
        ({"patience": 0}, "expected patience of at least 1, got 0."),
        ({"evaluate_every": 0}, "expected evaluate_every of at least 1, got 0."),
        ({"until": float("nan")}, "expected until to be finite, got nan."),
        ({"until": float("-inf")}, "expected until to be finite, got -inf."),
        ({"seed": -1}, "expected seed from 0 to below 2^63, got -1."),
        (
            {"optimizer": "Adam"},
            "expected optimizer to be one of adamw, sgd, rmsprop, got 'Adam'; did you mean adamw?",
        ),
        ({"schedule": 3}, "expected schedule to be one of constant, cosine, plateau, step, got 3."),
        (
            {"momentum": 0.9},
            "momentum=0.9 has no effect with optimizer='adamw'; leave it out, or choose 'sgd' or 'rmsprop'.",
        ),
        ({"schedule": "step", "decay": 1.0}, "expected decay between 0 and 1, got 1.0."),
        ({"schedule": "step", "decay_after": 0}, "expected decay_after of at least 1, got 0."),
        (
            {"decay": 0.9},
            "decay=0.9 has no effect with schedule='cosine'; leave it out, or choose 'plateau' or 'step'.",
        ),
        (
            {"schedule": "plateau", "decay_after": 2},
            "decay_after=2 has no effect with schedule='plateau'; leave it out, or choose 'step'.",
        ),
        (
            {"schedule": "step", "decay_after": 10},
            "schedule='step' has no effect after 10 of 10 epochs; set epochs higher, or decay_after lower.",
        ),
        (
            {"schedule": "step", "epochs": 1},
            "schedule='step' has no effect after 1 of 1 epochs; set epochs higher, or decay_after lower.",
        ),
    ],
)
def test_a_wrong_value_is_one_clear_line(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match="^TrainingSettings: " + re.escape(line) + "$"):
        TrainingSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"epochs": 2.0}, "expected epochs to be a whole number, got 2.0."),
        ({"epochs": True}, "expected epochs to be a whole number, got True."),
        ({"epochs": None}, "expected epochs to be a whole number, got None."),
        ({"patience": "3"}, "expected patience to be a whole number or None, got '3'."),
        ({"clip_norm": "1"}, "expected clip_norm to be a number or None, got '1'."),
    ],
)
def test_a_value_of_another_type_is_a_type_error(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(TypeError, match="^TrainingSettings: " + re.escape(line) + "$"):
        TrainingSettings(**wrong)


def test_numpy_numbers_are_accepted() -> None:
    assert TrainingSettings(epochs=np.int64(3), clip_norm=np.float32(0.5), patience=np.int32(2)).epochs == 3
    with pytest.raises(TypeError, match="whole number"):
        TrainingSettings(epochs=np.float64(3))


@pytest.mark.parametrize(
    "waiting", [{"patience": 3}, {"until": 0.0}, {"until": -1}, {"evaluate_every": 10}, {"schedule": "plateau"}]
)
def test_settings_that_wait_for_an_evaluation_need_a_validation_part(waiting: dict[str, Any]) -> None:
    settings = TrainingSettings(**waiting)
    check(settings, has_validation=True)
    name, value = next(iter(waiting.items()))
    with pytest.raises(ValueError, match=f"{name}={value!r} has no effect without a validation part"):
        check(settings, has_validation=False)


def test_settings_of_a_task_are_checked_under_its_name() -> None:
    @dataclasses.dataclass(kw_only=True)
    class Tagger(TrainingSettings):
        hidden_size: int = 0  # checked by the task, not here

    assert Tagger().hidden_size == 0
    with pytest.raises(ValueError, match=r"^Tagger: expected epochs"):
        Tagger(epochs=-1)


def test_every_setting_is_checked() -> None:
    for field in dataclasses.fields(TrainingSettings):
        with pytest.raises((TypeError, ValueError), match=field.name):
            TrainingSettings(**{field.name: object()})
