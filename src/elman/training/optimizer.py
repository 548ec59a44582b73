"""One update: the optimiser, its learning rate as a function of where training is, and the clipped gradient."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from elman.training.settings import TrainingSettings


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """PyTorch's optimiser for the parameters that learn, in the form that costs least a call."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(f"train: expected a model with parameters that learn, {type(model).__name__} has none.")
    options: dict[str, Any] = {"lr": settings.learning_rate}
    if settings.weight_decay is not None:
        options["weight_decay"] = settings.weight_decay
    if settings.momentum is not None:
        options["momentum"] = settings.momentum
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, fused=True, **options)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, fused=True, **options)
    return torch.optim.RMSprop(parameters, foreach=True, **options)


def learning_rate(settings: TrainingSettings, update: int, epoch: int, progress: float, worse: int) -> float:
    """The learning rate of the update that follows `update` others.

    Args:
        update: updates done.
        epoch: that it belongs to, from 1.
        progress: part of the training that is done, 0 to 1.
        worse: evaluations so far that were not the best so far.
    """
    rate, decay = settings.learning_rate, settings.decay or 0.5
    if update < settings.warmup:
        rate *= (update + 1) / settings.warmup
    if settings.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * progress)) / 2
    elif settings.schedule == "plateau":
        rate *= decay**worse
    elif settings.schedule == "step":
        rate *= decay ** max(0, epoch - (settings.decay_after or 1))
    return rate


def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """The 2-norm of all gradients together, a scalar: not finite where one of them is not."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=True)


def clip(parameters: list[nn.Parameter], norm: Tensor, settings: TrainingSettings) -> None:
    """Cut gradients whose 2-norm is `norm` as the settings say: their elements first, then their norm."""
    if settings.clip_value is not None:
        torch.nn.utils.clip_grad_value_(parameters, settings.clip_value, foreach=True)
        norm = gradient_norm(parameters)
    if settings.clip_norm is not None and norm > settings.clip_norm:
        torch.nn.utils.clip_grads_with_norm_(parameters, settings.clip_norm, norm, foreach=True)
