"""One update: the optimiser, its learning rate as a function of where training is, and the clipped gradient."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from elman.layers import Embedding
from elman.training.lazy_rows import LazyRows
from elman.training.settings import TrainingSettings


def make_optimizers(model: nn.Module, settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    """PyTorch's optimiser for the parameters that learn, in the form that costs least a call; then that of lazy tables.

    Raises:
        ValueError: nothing learns, or a lazy table is the weight of another layer as well.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(f"train: expected a model with parameters that learn, {type(model).__name__} has none.")
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
    else:  # fused SGD cannot begin the momentum of a parameter in a later update than that of others
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


def lazy_tables(model: nn.Module) -> set[int]:
    """The weights of lazy embeddings, by `id`."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, Embedding) and module.lazy}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in tables and not (isinstance(module, Embedding) and module.lazy):
                raise ValueError(
                    f"train: {f'{path}.{name}'.lstrip('.')} is the weight of a lazy Embedding as well, which is to be "
                    "read row by row; make it lazy=False, or do not share its weight."
                )
    return tables


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


def gradients_of(parameters: list[nn.Parameter]) -> list[Tensor]:
    """The gradients that there are, to be changed in place; of a sparse one the rows that it speaks of, each once."""
    gradients = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.is_sparse:
            # What is coalesced from the start may lie in the memory of another gradient.
            parameter.grad = gradient = gradient.clone() if gradient.is_coalesced() else gradient.coalesce()
            gradient = gradient.values()
        if gradient is not None:
            gradients.append(gradient)
    return gradients


def gradient_norm(gradients: list[Tensor]) -> Tensor:
    """The 2-norm of all gradients together, a scalar: not finite where one of them is not."""
    return torch.nn.utils.get_total_norm(gradients, foreach=True)


def clip(gradients: list[Tensor], norm: Tensor, settings: TrainingSettings) -> None:
    """Cut gradients whose 2-norm is `norm` as the settings say: their elements first, then their norm."""
    if settings.clip_value is not None:
        torch._foreach_clamp_min_(gradients, -settings.clip_value)
        torch._foreach_clamp_max_(gradients, settings.clip_value)
        norm = gradient_norm(gradients)
    if settings.clip_norm is not None and norm > settings.clip_norm:
        torch._foreach_mul_(gradients, settings.clip_norm / (norm + 1e-6))
