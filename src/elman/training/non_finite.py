"""Where a loss, a gradient or a weight stopped being a number, why most likely, and the way out."""

from collections.abc import Callable

from torch import Tensor, nn

from elman.training.bad_layer import bad_layer, bad_recurrence
from elman.training.first_bad import FirstBad
from elman.training.settings import TrainingSettings
from elman.training.tensors import is_finite

BAD_DATA = "its input is not finite already: look for NaN and infinite values in the data"
BAD_LOSS = "every layer's output is finite: look at the loss itself (a logarithm of 0, a mean over no steps)"
Why = tuple[str, str, FirstBad | None]  # the layer (empty where it is in none), cause and way out, the place


class NonFinite(FloatingPointError):
    """Training stopped before a number that is not finite reached a checkpoint.

    Attributes:
        update: the update it stopped in, counted from 1.
        epoch: counted from 1.
        layer: path of the module or parameter where it was first seen; empty when it is in none.
        row, step: of the batch that this layer read, and of that row, both from 0; None where they are not known.
        gate: its name, where it is in a gate.
        magnitudes: the last ones that were finite, see `elman.training.first_bad.FirstBad`.
    """

    def __init__(self, update: int, epoch: int, what: str, layer: str, cause: str, first: FirstBad | None = None):
        where = f" in {layer}" if layer else ""
        where += f" ({first})" if first else ""
        super().__init__(f"update {update} (epoch {epoch}): {what}{where}; {cause}.")
        self.update, self.epoch, self.layer = update, epoch, layer
        self.row = first.row if first else None
        self.step = first.step if first else None
        self.gate = first.gate if first else None
        self.magnitudes = first.magnitudes if first else ()


def bad_weight(model: nn.Module) -> str | None:
    """Path of the first parameter that is not finite."""
    return next((name for name, weight in model.named_parameters() if not is_finite(weight)), None)


def bad_gradient(model: nn.Module) -> str:
    """Path of the parameter nearest to the loss whose gradient is not finite; empty when only their norm overflows."""
    gradients = [(name, weight.grad) for name, weight in model.named_parameters() if weight.grad is not None]
    return next((name for name, gradient in reversed(gradients) if not is_finite(gradient)), "")


def explain_loss(model: nn.Module, forward: Callable[[], object], rate: float, settings: TrainingSettings) -> Why:
    """Where a loss that is not finite comes from, the likely cause and the way out; runs `forward` again."""
    weight, found = bad_weight(model), bad_layer(model, forward)
    if weight is not None:
        here = found is not None and weight.startswith(found.scan.path if found.scan else found.layer)
        return weight, large_steps(model, rate, settings), found.first if found and here else None
    if found is None:
        return "", BAD_LOSS, None
    return found.layer, large_steps(model, rate, settings) if found.finite_input else BAD_DATA, found.first


def explain_gradient(model: nn.Module, forward: Callable[[], Tensor], rate: float, settings: TrainingSettings) -> Why:
    """The same of a gradient; runs `forward`, which finds the loss, and its backward pass again."""
    layer, cause = bad_gradient(model), large_steps(model, rate, settings)
    found = bad_recurrence(model, forward) if layer else None
    if found is None:
        return layer, cause, None
    path, first = found
    return layer if layer.startswith(path) else path, BAD_DATA if first.what == "input" else cause, first


def large_steps(model: nn.Module, rate: float, settings: TrainingSettings) -> str:
    """The likely cause where the data are not to blame, and the way out."""
    largest = max(weight.detach().abs().max().item() for weight in model.parameters())
    unclipped = settings.clip_norm is None and settings.clip_value is None
    clipping, way = (", no clipping", " or set clip_norm=1.0") if unclipped else ("", "")
    return (
        f"likely cause: updates too large (learning_rate {rate:.3g}{clipping}, largest weight {largest:.3g}); "
        f"lower learning_rate{way}"
    )
