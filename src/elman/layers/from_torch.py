"""Parts of a layer that contains others: cells, layers, and the layers of PyTorch that have an equivalent."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from elman.cell import Cell
from elman.cells.module import CellModule, check_sizes
from elman.cells.torch_options import layers_to_write
from elman.layers.dropout import Dropout
from elman.layers.embedding import Embedding
from elman.layers.layer_norm import LayerNorm
from elman.layers.linear import Linear
from elman.layers.pointwise import Pointwise
from elman.network import NoSpec, activations
from elman.network.spec import Spec

# Functions of each element, by their names in `torch.nn.functional` and in `elman.network`.
FUNCTIONS: dict[type[nn.Module], str] = {
    nn.Identity: "identity", nn.ReLU: "relu", nn.ReLU6: "relu6", nn.LeakyReLU: "leaky_relu", nn.ELU: "elu",
    nn.CELU: "celu", nn.SELU: "selu", nn.GELU: "gelu", nn.SiLU: "silu", nn.Mish: "mish", nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid", nn.LogSigmoid: "logsigmoid", nn.Hardtanh: "hardtanh", nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish", nn.Softplus: "softplus", nn.Softsign: "softsign", nn.Tanhshrink: "tanhshrink",
    nn.Softshrink: "softshrink", nn.Hardshrink: "hardshrink", nn.Threshold: "threshold",
}  # fmt: skip

# Stateless modules that map each element, or each input vector, independently of all others.
POINTWISE = (*FUNCTIONS, nn.PReLU, nn.RMSNorm)


class Applied(Pointwise):
    """Pointwise module of PyTorch as a layer: y = module(x), for every step.

    Args:
        module: module that maps [N, D] to [N, O], each step on its own.
        input_size, output_size: D and O.
    """

    def __init__(self, module: nn.Module, input_size: int, output_size: int):
        super().__init__()
        self.module, self.input_size, self.output_size = module, input_size, output_size

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        self.kind, settings = _kind_and_settings(self.module)
        spec = self.spec_of(names, **settings)
        return spec | {"tensors": {name.removeprefix("module."): file for name, file in spec["tensors"].items()}}

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        return x  # the module checks it

    def apply_to(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        return y


def _kind_and_settings(module: nn.Module) -> tuple[str, dict[str, Any]]:
    """Return the layer type of a pointwise module in `elman.network`, and its settings.

    Raises:
        NoSpec: the module has no layer type.
    """
    if type(module) in FUNCTIONS:
        name = FUNCTIONS[type(module)] + ("_tanh" if getattr(module, "approximate", "none") == "tanh" else "")
        return "activation", {"function": name} | {
            parameter: float(getattr(module, parameter)) for parameter in activations.FUNCTIONS[name].parameters
        }
    if type(module) is nn.Linear:
        return "linear", {}
    if type(module) is nn.LayerNorm:
        return "layer_norm", {"epsilon": module.eps}
    if type(module) is nn.PReLU:
        return "prelu", {"slopes": module.num_parameters}
    if type(module) is nn.RMSNorm and len(module.normalized_shape) == 1:
        return "rms_norm", {"epsilon": torch.finfo(torch.float32).eps if module.eps is None else module.eps}
    raise NoSpec.of(module)


def as_layers(where: str, modules: Sequence[Any]) -> list[CellModule]:
    """Return cells as they are, and layers of PyTorch as the layers of elman that compute the same with their weights.

    Args:
        where: the layer that contains them, for errors.
    Raises:
        TypeError: a module is neither, or a cell has no sizes.
    """
    layers: list[CellModule] = []
    size = next((found for module in modules if (found := _input_size(module)) is not None), None)
    for number, module in enumerate(modules):
        layer = module if isinstance(module, CellModule) else _as_layer(module, size)
        if layer is None:
            raise TypeError(_refused(where, module, number))
        check_sizes(where, layer)
        layers.append(layer)
        size = layer.output_size
    return layers


def _input_size(module: Any) -> int | None:
    """Return the size that a module has of its own."""
    if isinstance(module, CellModule):
        return getattr(module, "input_size", None)
    if isinstance(module, nn.Linear):
        return module.in_features
    if isinstance(module, nn.LayerNorm):
        return module.normalized_shape[-1]
    return None


def _as_layer(module: Any, size: int | None) -> CellModule | None:
    """Return a module as a layer that reads inputs of a size; None if it is not supported."""
    if type(module) is nn.Embedding and (module.padding_idx, module.max_norm) == (None, None):
        return _sharing(partial(Embedding, module.num_embeddings, module.embedding_dim, module.sparse), module)
    if type(module) is nn.Linear:
        if module.bias is None:
            return Applied(module, module.in_features, module.out_features)
        return _sharing(partial(Linear, module.in_features, module.out_features), module)
    if type(module) is nn.LayerNorm and len(module.normalized_shape) == 1:
        if module.weight is None or module.bias is None:
            return Applied(module, *module.normalized_shape * 2)
        return _sharing(partial(LayerNorm, module.normalized_shape[0], module.eps), module)
    if size is None:
        return None
    if type(module) is nn.Dropout and module.p < 1:
        return Dropout(size, module.p) if module.p else Applied(nn.Identity(), size, size)
    return Applied(module, size, size) if type(module) in POINTWISE else None


def _sharing(make: Callable[[], CellModule], module: nn.Module) -> CellModule:
    """Return a layer with the weights of a module, which the two share; no random numbers are drawn."""
    with torch.device("meta"):
        layer = make()
    layer._parameters.update(module._parameters)
    return layer


def _refused(where: str, module: Any, number: int) -> str:
    name = f"{type(module).__module__}.{type(module).__name__}"
    if isinstance(module, type) and issubclass(module, Cell):
        name, advice = f"the class {module.__name__}", f"give an instance: {module.__name__}(...)"
    elif isinstance(module, Cell):
        advice = "inherit from elman.cells.CellModule in place of elman.Cell, and compute in PyTorch"
    elif isinstance(module, nn.RNNBase):
        advice = f"write {_equivalent(module)}"
    elif isinstance(module, nn.RNNCellBase):
        advice = f"write elman.{type(module).__name__.removesuffix('Cell')}({module.input_size}, {module.hidden_size})"
    elif type(module) in (nn.Dropout, *POINTWISE):
        advice = "put it after a layer that has a size"
    else:
        advice = "apply it to the output with y.map"
    return (f"{where}: expected cells, layers of elman, or pointwise layers of PyTorch, got {name} as cell {number}; "
            f"{advice}.")  # fmt: skip


def _equivalent(module: nn.RNNBase) -> str:
    """Return the expression of elman for a recurrent layer of PyTorch."""
    name, _, activation = module.mode.partition("_")
    options: dict[str, Any] = {
        "num_layers": module.num_layers,
        "bidirectional": module.bidirectional,
        "dropout": module.dropout,
    }
    if module.proj_size:
        options["proj_size"] = module.proj_size
    if activation == "RELU":
        options["nonlinearity"] = "relu"
    return layers_to_write(name, [module.input_size, module.hidden_size], options)
