"""Writers of activations and of norms without a mean."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from elman.convert.onnx_writing.layers import PointwiseWriter
from elman.convert.onnx_writing.values import Value, clip, less, relu, sigmoid, tanh, where
from elman.network.activations import Activation, PReLU, RMSNorm


def node(operator: str, *names: str, **settings: float) -> Callable[..., Value]:
    """Return a function that appends an operator of ONNX, with parameters as its attributes of these names."""
    return lambda x, *values: x.graph.node(operator, x, **dict(zip(names, map(float, values), strict=True)), **settings)


def gelu(x: Value) -> Value:
    """Compute x times the normal distribution function of x."""
    return x * 0.5 * (x.graph.node("Erf", x * math.sqrt(0.5)) + 1)


def gelu_tanh(x: Value) -> Value:
    """Compute the approximation of GELU by tanh."""
    return x * 0.5 * (tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1)


def softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """Compute log(1 + e^(beta x)) / beta; above the threshold it differs from x by less than rounding."""
    return x.graph.node("Softplus", x * float(beta)) / float(beta)


def hardsigmoid(x: Value) -> Value:
    """Compute x / 6 + 1 / 2, clipped to 0 to 1."""
    return clip(x / 6 + 0.5, 0.0, 1.0)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "identity": lambda x: x,
    "relu": relu,
    "relu6": lambda x: clip(x, 0.0, 6.0),
    "leaky_relu": node("LeakyRelu", "alpha"),
    "elu": node("Elu", "alpha"),
    "celu": node("Celu", "alpha"),
    "selu": node("Selu"),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * tanh(softplus(x)),
    "tanh": tanh,
    "sigmoid": sigmoid,
    "logsigmoid": lambda x: -softplus(-x),
    "hardtanh": lambda x, low, high: clip(x, float(low), float(high)),
    "hardsigmoid": hardsigmoid,
    "hardswish": lambda x: x * hardsigmoid(x),
    "softplus": softplus,
    "softsign": node("Softsign"),
    "tanhshrink": lambda x: x - tanh(x),
    "softshrink": lambda x, lambd: node("Shrink", "lambd", "bias")(x, lambd, lambd),
    "hardshrink": node("Shrink", "lambd"),
    "threshold": lambda x, threshold, value: where(less(-x, -float(threshold)), x, float(value)),
}


class ActivationWriter(PointwiseWriter, kind="activation"):
    """Nodes of a function of each element."""

    def apply(self, layer: Activation, x: Value) -> Value:
        return FUNCTIONS[layer.function](x, *layer.parameters)


class PReLUWriter(PointwiseWriter, kind="prelu"):
    """Node of a rectifier with a learned slope."""

    def apply(self, layer: PReLU, x: Value) -> Value:
        return x.graph.node("PRelu", x, layer.weight)


class RMSNormWriter(PointwiseWriter, kind="rms_norm"):
    """Nodes of a norm without a mean."""

    def apply(self, layer: RMSNorm, x: Value) -> Value:
        mean = x.graph.node("ReduceMean", x * x, np.array([-1]))
        weight: Any = layer.weight
        return x / x.graph.node("Sqrt", mean + float(layer.epsilon)) * weight
