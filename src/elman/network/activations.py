"""Activations and other layers of PyTorch that map every step on its own, as functions in NumPy."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from elman.network.functions import sigmoid
from elman.network.layer import Pointwise
from elman.network.spec import LayerSpec
from elman.state import State


class Function(NamedTuple):
    """Function of each element, and the names of its parameters in PyTorch."""

    of: Callable[..., np.ndarray]
    parameters: tuple[str, ...] = ()


def erf(x: np.ndarray) -> np.ndarray:
    """Compute the error function to 1.5e-7 (Abramowitz and Stegun 1964, formula 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x.astype(np.float64)))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.copysign(1 - series * np.exp(-np.square(x.astype(np.float64))), x).astype(np.float32)


def elu(x: np.ndarray, alpha: float) -> np.ndarray:
    """Compute x where it is positive, and alpha (e^x - 1) elsewhere."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softplus(x: np.ndarray, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """Compute log(1 + e^(beta x)) / beta, and x where beta x is above the threshold."""
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def above(x: np.ndarray, threshold: float, value: float) -> np.ndarray:
    """Return x where it is above the threshold, and the value elsewhere."""
    return np.where(x > threshold, x, value)


def hardsigmoid(x: np.ndarray) -> np.ndarray:
    """Compute x / 6 + 1 / 2, clipped to 0 to 1."""
    return np.clip(x / 6 + 0.5, 0, 1)


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """Compute the approximation of GELU by tanh (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


FUNCTIONS: dict[str, Function] = {
    "identity": Function(lambda x: x),
    "relu": Function(lambda x: np.maximum(x, 0)),
    "relu6": Function(lambda x: np.clip(x, 0, 6)),
    "leaky_relu": Function(lambda x, slope: np.where(x > 0, x, slope * x), ("negative_slope",)),
    "elu": Function(elu, ("alpha",)),
    "celu": Function(lambda x, alpha: elu(x / alpha, 1.0) * alpha, ("alpha",)),
    "selu": Function(lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    "gelu": Function(lambda x: 0.5 * x * (1 + erf(x * math.sqrt(0.5)))),
    "gelu_tanh": Function(gelu_tanh),
    "silu": Function(lambda x: x * sigmoid(x)),
    "mish": Function(lambda x: x * np.tanh(softplus(x))),
    "tanh": Function(np.tanh),
    "sigmoid": Function(sigmoid),
    "logsigmoid": Function(lambda x: -np.logaddexp(0, -x)),
    "hardtanh": Function(np.clip, ("min_val", "max_val")),
    "hardsigmoid": Function(hardsigmoid),
    "hardswish": Function(lambda x: x * hardsigmoid(x)),
    "softplus": Function(softplus, ("beta", "threshold")),
    "softsign": Function(lambda x: x / (1 + np.abs(x))),
    "tanhshrink": Function(lambda x: x - np.tanh(x)),
    "softshrink": Function(lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), ("lambd",)),
    "hardshrink": Function(lambda x, lambd: np.where(np.abs(x) > lambd, x, np.float32(0)), ("lambd",)),
    "threshold": Function(above, ("threshold", "value")),
}


NATIVE = {"identity", "relu", "relu6", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "hardtanh",
          "softplus"}  # with an operation in the native stepper  # fmt: skip


class SameSize(Pointwise):
    """Base of layers with as many outputs as inputs."""

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(self.input_size == self.output_size, f"an output_size of {self.input_size}", self.output_size)


class Activation(SameSize):
    """Function of each element: y = f(x)."""

    kind = "activation"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.function = spec.word("function", list(FUNCTIONS))
        self.same_bits = self.function in ("identity", "relu")
        self.parameters = [np.float32(spec.setting(name, float)) for name in FUNCTIONS[self.function].parameters]

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        return FUNCTIONS[self.function].of(x, *self.parameters).astype(np.float32, copy=False)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        if self.function not in NATIVE:
            return super().add(stepper, x)
        y = stepper.floats(self.output_size)
        stepper.add_copy(x, y)
        stepper.add_pointwise(self.function, y, *self.parameters)
        return y, ()


class PReLU(SameSize):
    """Rectifier with a learned slope below 0, one for all features or one each (He et al. 2015, arXiv:1502.01852)."""

    kind = "prelu"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        slopes = spec.size("slopes", 1)
        spec.check(slopes in (1, self.input_size), f"1 slope or {self.input_size}", slopes)
        self.weight = spec.tensor("weight", slopes)

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, self.weight * x)


class RMSNorm(SameSize):
    """Norm without a mean: y = x / sqrt(mean of x^2 + epsilon) * weight (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    kind = "rms_norm"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        size = self.input_size
        self.weight = spec.tensor("weight", size) if "weight" in spec else np.ones(size, np.float32)
        self.epsilon = np.float32(spec.setting("epsilon", float))

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        return x / np.sqrt(np.mean(x * x, 1, keepdims=True) + self.epsilon) * self.weight

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y = stepper.floats(self.output_size)
        stepper.add_rms_norm(x, self.weight, self.epsilon, y)
        return y, ()
