"""Where a loss, a gradient or a weight stopped being a number, why most likely, and the way out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from elman.sequences import Sequences
from elman.training.settings import TrainingSettings


class NonFinite(FloatingPointError):
    """Training stopped before a number that is not finite reached a checkpoint.

    Attributes:
        update: the update it stopped in, counted from 1.
        epoch: counted from 1.
        layer: path of the module or parameter where it was first seen; empty when it is in none.
    """

    def __init__(self, update: int, epoch: int, what: str, layer: str, cause: str):
        super().__init__(f"update {update} (epoch {epoch}): {what}{f' in {layer}' if layer else ''}; {cause}.")
        self.update, self.epoch, self.layer = update, epoch, layer


def is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.coalesce().values() if tensor.is_sparse else tensor).all())


def bad_weight(model: nn.Module) -> str | None:
    """Path of the first parameter that is not finite."""
    return next((name for name, weight in model.named_parameters() if not is_finite(weight)), None)


def bad_gradient(model: nn.Module) -> str:
    """Path of the parameter nearest to the loss whose gradient is not finite; empty when only their norm overflows."""
    gradients = [(name, weight.grad) for name, weight in model.named_parameters() if weight.grad is not None]
    return next((name for name, gradient in reversed(gradients) if not is_finite(gradient)), "")


def bad_layer(model: nn.Module, forward: Callable[[], object]) -> tuple[str, bool]:
    """Run `forward` again: path of the first module whose output is not finite, and whether its input was finite.

    The path is empty when every module's output is finite.
    """
    with _watched(model), torch.no_grad():
        try:
            forward()
        except _Found as found:
            return found.layer, found.finite_input
    return "", True


def explain_loss(
    model: nn.Module, forward: Callable[[], object], rate: float, settings: TrainingSettings
) -> tuple[str, str]:
    """The layer where a loss that is not finite comes from (or an empty path), the likely cause and the way out."""
    weight = bad_weight(model)
    if weight is not None:
        return weight, large_steps(model, rate, settings)
    layer, finite_input = bad_layer(model, forward)
    if not layer:
        return "", "every layer's output is finite: look at the loss itself (a logarithm of 0, a mean over no steps)"
    if not finite_input:
        return layer, "its input is not finite already: look for NaN and infinite values in the data"
    return layer, large_steps(model, rate, settings)


def large_steps(model: nn.Module, rate: float, settings: TrainingSettings) -> str:
    """The likely cause where the data are not to blame, and the way out."""
    largest = max(weight.detach().abs().max().item() for weight in model.parameters())
    unclipped = settings.clip_norm is None and settings.clip_value is None
    clipping, way = (", no clipping", " or set clip_norm=1.0") if unclipped else ("", "")
    return (
        f"likely cause: updates too large (learning_rate {rate:.3g}{clipping}, largest weight {largest:.3g}); "
        f"lower learning_rate{way}"
    )


class _Found(BaseException):
    def __init__(self, layer: str, finite_input: bool):
        self.layer, self.finite_input = layer, finite_input


@contextmanager
def _watched(model: nn.Module) -> Iterator[None]:
    """Every module's `forward`, `scan` and `step` raise `_Found` on an output that is not finite.

    Hooks of PyTorch see `forward` alone; a cell is called by `scan` and `step` as well.
    """
    changed: list[tuple[nn.Module, str, Any]] = []
    for path, module in model.named_modules():
        for verb in ("forward", "scan", "step"):
            method = getattr(module, verb, None)
            if callable(method):
                changed.append((module, verb, module.__dict__.get(verb)))
                module.__dict__[verb] = _watch(method, path or type(module).__name__)
    try:
        yield
    finally:
        for module, verb, own in changed:
            if own is None:
                del module.__dict__[verb]
            else:
                module.__dict__[verb] = own


def _watch(method: Callable[..., Any], layer: str) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        output = method(*args, **kwargs)
        if not _all_finite(output):
            raise _Found(layer, _all_finite((args, kwargs)))
        return output

    return watched


def _all_finite(thing: Any) -> bool:
    if isinstance(thing, Tensor):
        return is_finite(thing)
    if isinstance(thing, dict):
        return all(_all_finite(part) for part in thing.values())
    if isinstance(thing, list | tuple):
        return all(_all_finite(part) for part in thing)
    return _all_finite(thing.values) if isinstance(thing, Sequences) else True
