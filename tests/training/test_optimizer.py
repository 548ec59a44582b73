import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from elman.training import TrainingSettings
from elman.training.optimizer import clip, gradient_norm, gradients_of, learning_rate, make_optimizers


def test_constant_rate_after_a_straight_warm_up() -> None:
    settings = TrainingSettings(learning_rate=0.4, schedule="constant")
    rates = [learning_rate(settings, 4, update, 1, 0.0, 0) for update in range(6)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_cosine_is_pytorchs() -> None:
    settings = TrainingSettings(learning_rate=0.3)
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=40)
    for update in range(40):
        assert learning_rate(settings, 0, update, 1, update / 40, 0) == pytest.approx(theirs.param_groups[0]["lr"])
        theirs.step()
        schedule.step()


@given(
    st.floats(0, 1),
    st.integers(0, 200),
    st.integers(0, 100),
    st.sampled_from(["constant", "cosine", "plateau", "step"]),
)
def test_the_rate_never_exceeds_the_setting(progress: float, update: int, warmup: int, schedule: str) -> None:
    settings = TrainingSettings(learning_rate=0.1, schedule=schedule)
    assert 0 <= learning_rate(settings, warmup, update, 1 + update // 10, progress, update // 10) <= 0.1


def test_plateau_multiplies_the_rate_by_decay() -> None:
    settings = TrainingSettings(learning_rate=0.8, schedule="plateau")
    assert [learning_rate(settings, 0, 0, 1, 0.5, worse) for worse in range(4)] == pytest.approx([0.8, 0.4, 0.2, 0.1])
    settings.decay = 0.25
    assert [learning_rate(settings, 0, 0, 1, 0.5, worse) for worse in range(3)] == pytest.approx([0.8, 0.2, 0.05])


def test_step_is_the_schedule_of_zaremba_et_al() -> None:
    # arXiv:1409.2329, the small net: four epochs at 1, then half of it after each epoch, thirteen epochs in all
    settings = TrainingSettings(learning_rate=1.0, schedule="step", decay_after=4, epochs=13)
    rates = [learning_rate(settings, 0, 100 * epoch, epoch, epoch / 13, 0) for epoch in range(1, 14)]
    assert rates == [1.0] * 4 + [0.5**cuts for cuts in range(1, 10)]


def test_step_is_pytorchs() -> None:
    settings = TrainingSettings(learning_rate=0.3, schedule="step", decay=0.8, epochs=10)
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.StepLR(theirs, step_size=1, gamma=0.8)
    for epoch in range(1, 11):
        assert learning_rate(settings, 0, 0, epoch, 0.0, 0) == pytest.approx(theirs.param_groups[0]["lr"])
        theirs.step()
        schedule.step()


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({}, torch.optim.AdamW, {"lr": 2e-3, "weight_decay": 0.01, "betas": (0.9, 0.999)}),
        ({"weight_decay": 0.0}, torch.optim.AdamW, {"weight_decay": 0.0}),
        ({"optimizer": "sgd", "momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0}),
        ({"optimizer": "rmsprop", "weight_decay": 0.1}, torch.optim.RMSprop, {"momentum": 0, "weight_decay": 0.1}),
    ],
)
def test_optimizers_are_pytorchs(settings: dict[str, Any], kind: type, expected: dict[str, Any]) -> None:
    (optimizer,) = make_optimizers(nn.Linear(2, 2), TrainingSettings(**settings))
    assert type(optimizer) is kind
    assert expected.items() <= optimizer.param_groups[0].items()


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    (optimizer,) = make_optimizers(model, TrainingSettings())
    (group,) = optimizer.param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(model.weight)]
    model.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="expected a model with trainable parameters, Linear has none"):
        make_optimizers(model, TrainingSettings())


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_a_parameter_without_early_gradients_has_momentum_of_its_own(optimizer: str) -> None:
    early, late = (nn.Parameter(torch.ones(3)) for _ in range(2))
    settings = TrainingSettings(optimizer=optimizer, momentum=0.9, learning_rate=0.1)
    (updates,) = make_optimizers(nn.ParameterList([early, late]), settings)
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.RMSprop
    theirs = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    plain = [kind([weight], lr=0.1, momentum=0.9) for weight in theirs]
    for update in range(4):
        for weight in (early, late, *theirs):
            weight.grad = torch.full((3,), 0.5 + update) if weight is early or weight is theirs[0] or update else None
        updates.step()
        for one in plain:
            one.step()
    torch.testing.assert_close([early, late], theirs)


def gradients(scale: float) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(2))]
    for parameter in parameters[:2]:  # the third has no gradient
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    return parameters


@pytest.mark.parametrize("scale", [0.01, 1.0, 1e4])
@pytest.mark.parametrize(("norm", "value"), [(None, None), (1.0, None), (None, 0.3), (1.0, 0.3)])
def test_clipping_is_pytorchs(scale: float, norm: float | None, value: float | None) -> None:
    ours, theirs = gradients(scale), gradients(scale)
    length = gradient_norm(gradients_of(ours))
    flat = torch.cat([parameter.grad.flatten() for parameter in ours[:2]]).double()
    assert length.item() == pytest.approx(math.sqrt((flat**2).sum().item()), rel=1e-6)
    clip(gradients_of(ours), length, TrainingSettings(clip_norm=norm, clip_value=value))
    if value is not None:
        nn.utils.clip_grad_value_(theirs, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(theirs, norm)
    for ours_, theirs_ in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(ours_.grad, theirs_.grad)
    assert ours[2].grad is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_norm_of_a_gradient_that_is_not_finite_is_not_finite(bad: float) -> None:
    parameters = gradients(1.0)
    parameters[1].grad[3] = bad
    assert not math.isfinite(gradient_norm(gradients_of(parameters)))
