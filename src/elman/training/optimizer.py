"""Parts of an update: the optimiser, its learning rate as a function of progress, and gradient clipping."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from elman.layers import Embedding
from elman.training.lazy_rows import LazyRows
from elman.training.settings import TrainingSettings


def make_optimizers(model: nn.Module, settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    """Return PyTorch's fastest optimiser for the trainable parameters, followed by the one for lazy tables.

    Raises:
        ValueError: no parameter is trainable, or a lazy table is the weight of another layer as well.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(f"train: expected a model with trainable parameters, {type(model).__name__} has none.")
    options: dict[str, Any] = {"lr": settings.learning_rate}
    if settings.weight_decay is not None:
        options["weight_decay"] = settings.weight_decay
    if settings.momentum is not None:
        options["momentum"] = settings.momentum
    kind: type[torch.optim.Optimizer]
    if settings.optimizer == "adamw":
        kind, options["fused"] = torch.optim.AdamW, True
    elif settings.optimizer == "sgd" and not settings.momentum:
        kind, options["fused"] = torch.optim.SGD, True
    else:  # fused SGD cannot start the momentum of one parameter in a later update than that of others
        kind, options["foreach"] = torch.optim.SGD if settings.optimizer == "sgd" else torch.optim.RMSprop, True
    lazy = lazy_tables(model)
    dense = [parameter for parameter in parameters if id(parameter) not in lazy]
    tables = [parameter for parameter in parameters if id(parameter) in lazy]
    optimizers: list[torch.optim.Optimizer] = []
    if dense:
        optimizers.append(kind(dense, **options))
    if tables:
        optimizers.append(LazyRows(tables, kind, **{**options, "weight_decay": 0.0}))
    return optimizers


def moments_of(optimizer: torch.optim.Optimizer) -> set[str]:
    """Return the names of the tensors that an optimiser keeps for each parameter that it has updated."""
    if isinstance(optimizer, LazyRows):
        optimizer = optimizer.inner
    momentum = {"momentum_buffer"} if optimizer.defaults.get("momentum") else set()
    if isinstance(optimizer, torch.optim.AdamW):
        return {"step", "exp_avg", "exp_avg_sq"}
    return momentum | ({"step", "square_avg"} if isinstance(optimizer, torch.optim.RMSprop) else set())


def lazy_tables(model: nn.Module) -> set[int]:
    """Return the `id` of each weight of a lazy embedding."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, Embedding) and module.lazy}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in tables and not (isinstance(module, Embedding) and module.lazy):
                raise ValueError(
                    f"train: {f'{path}.{name}'.lstrip('.')} is also the weight of a lazy Embedding, whose rows are "
                    "updated one by one; set lazy=False, or do not share the weight."
                )
    return tables


def learning_rate(
    settings: TrainingSettings, warmup: int, update: int, epoch: int, progress: float, worse: int
) -> float:
    """Return the learning rate of the update after `update` others.

    Args:
        warmup: updates over which the rate rises in a straight line.
        update: updates done.
        epoch: number of the current epoch, from 1.
        progress: part of the training that is done, 0 to 1.
        worse: evaluations so far that were not the best at their time.
    """
    rate, decay = settings.learning_rate, settings.decay or 0.5
    if update < warmup:
        rate *= (update + 1) / warmup
    if settings.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * progress)) / 2
    elif settings.schedule == "plateau":
        rate *= decay**worse
    elif settings.schedule == "step":
        rate *= decay ** max(0, epoch - (settings.decay_after or 1))
    return rate


def gradients_of(parameters: list[nn.Parameter]) -> list[Tensor]:
    """Return the existing gradients, to be changed in place; for a sparse one its values, with each row once."""
    gradients = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.is_sparse:
            # A gradient that is already coalesced may share its memory with another gradient.
            parameter.grad = gradient = gradient.clone() if gradient.is_coalesced() else gradient.coalesce()
            gradient = gradient.values()
        if gradient is not None:
            gradients.append(gradient)
    return gradients


def gradient_norm(gradients: list[Tensor]) -> Tensor:
    """Return the 2-norm of all gradients together, a scalar; it is not finite if a gradient is not."""
    return torch.nn.utils.get_total_norm(gradients, foreach=True)


def clip(gradients: list[Tensor], norm: Tensor, settings: TrainingSettings) -> None:
    """Clip gradients whose 2-norm is `norm`: first their elements to `clip_value`, then their norm to `clip_norm`."""
    if settings.clip_value is not None:
        torch._foreach_clamp_min_(gradients, -settings.clip_value)
        torch._foreach_clamp_max_(gradients, settings.clip_value)
        norm = gradient_norm(gradients)
    if settings.clip_norm is not None and norm > settings.clip_norm:
        torch._foreach_mul_(gradients, settings.clip_norm / (norm + 1e-6))
