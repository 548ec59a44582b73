"""Tensors of a model, by name."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers under their module path, each once: tied weights have one name."""
    once: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            once.setdefault(id(tensor), (name, tensor))
    return dict(once.values())


def is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.coalesce().values() if tensor.is_sparse else tensor).all())


def load_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors, named as by `model_tensors`, into the model."""
    with torch.no_grad():
        for name, tensor in model_tensors(model).items():
            tensor.copy_(tensors[name])


def copied_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the tensors of `model_tensors`."""
    return {name: tensor.detach().clone() for name, tensor in model_tensors(model).items()}
