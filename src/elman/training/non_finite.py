"""Diagnosis of a loss, gradient or weight that is not finite: its place, likely cause, and a way out."""

from collections.abc import Callable

from torch import Tensor, nn

from elman.training.first_non_finite import FirstNonFinite
from elman.training.non_finite_layer import non_finite_layer, non_finite_recurrence
from elman.training.settings import TrainingSettings
from elman.training.tensors import is_finite

BAD_DATA = "its input is not finite already: look for NaN and infinite values in the data"
BAD_LOSS = "every layer's output is finite: look at the loss itself (a logarithm of 0, a mean over no steps)"
Why = tuple[str, str, FirstNonFinite | None]  # layer (empty if it is in none); cause and way out; place


class NonFinite(FloatingPointError):
    """Raised when training stops, before a number that is not finite reaches a checkpoint.

    Attributes:
        update: number of the update, from 1.
        epoch: number of the epoch, from 1.
        layer: path of the first module or parameter that is not finite; empty if it is in none.
        row, step: row of the layer's batch and step of that row, both from 0; None if unknown.
        gate: name of the gate, if it is in one.
        magnitudes: the last ones that were finite, see `elman.training.first_non_finite.FirstNonFinite`.
    """

    def __init__(self, update: int, epoch: int, what: str, layer: str, cause: str, first: FirstNonFinite | None = None):
        where = f" in {layer}" if layer else ""
        where += f" ({first})" if first else ""
        super().__init__(f"update {update} (epoch {epoch}): {what}{where}; {cause}.")
        self.update, self.epoch, self.layer = update, epoch, layer
        self.row = first.row if first else None
        self.step = first.step if first else None
        self.gate = first.gate if first else None
        self.magnitudes = first.magnitudes if first else ()


def non_finite_weight(model: nn.Module) -> str | None:
    """Return the path of the first parameter that is not finite."""
    return next((name for name, weight in model.named_parameters() if not is_finite(weight)), None)


def non_finite_gradient(model: nn.Module) -> str:
    """Return the path of the last parameter whose gradient is not finite; empty if only their norm overflows."""
    gradients = [(name, weight.grad) for name, weight in model.named_parameters() if weight.grad is not None]
    return next((name for name, gradient in reversed(gradients) if not is_finite(gradient)), "")


def explain_loss(model: nn.Module, forward: Callable[[], object], rate: float, settings: TrainingSettings) -> Why:
    """Return layer, likely cause and place of a loss that is not finite, by running `forward` again."""
    weight, found = non_finite_weight(model), non_finite_layer(model, forward)
    if weight is not None:
        here = found is not None and weight.startswith(found.scan.path if found.scan else found.layer)
        return weight, large_steps(model, rate, settings), found.first if found and here else None
    if found is None:
        return "", BAD_LOSS, None
    return found.layer, large_steps(model, rate, settings) if found.finite_input else BAD_DATA, found.first


def explain_gradient(model: nn.Module, forward: Callable[[], Tensor], rate: float, settings: TrainingSettings) -> Why:
    """Return layer, likely cause and place of a gradient that is not finite, by running `forward` and its backward pass
    again."""
    layer, cause = non_finite_gradient(model), large_steps(model, rate, settings)
    found = non_finite_recurrence(model, forward) if layer else None
    if found is None:
        return layer, cause, None
    path, first = found
    return layer if layer.startswith(path) else path, BAD_DATA if first.what == "input" else cause, first


def large_steps(model: nn.Module, rate: float, settings: TrainingSettings) -> str:
    """Return the likely cause if the data are finite, and the way out."""
    largest = max(weight.detach().abs().max().item() for weight in model.parameters())
    unclipped = settings.clip_norm is None and settings.clip_value is None
    clipping, way = (", no clipping", " or set clip_norm=1.0") if unclipped else ("", "")
    return (
        f"likely cause: updates too large (learning_rate {rate:.3g}{clipping}, largest weight {largest:.3g}); "
        f"lower learning_rate{way}"
    )
