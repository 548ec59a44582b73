"""Spec of a module of PyTorch: the description that `elman.network` runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from elman.network.layer import Layer
from elman.network.layer_types import make_layer
from elman.network.no_spec import NoSpec
from elman.network.spec import Spec

Names = Mapping[int, str]  # id of a weight or buffer -> its name in the file


def names_in(module: nn.Module, names: Names | None) -> Names:
    """Return the names of the weights and buffers in a file, by `id`: the given ones, or those in the module."""
    if names is not None:
        return names
    tensors = list(module.state_dict(keep_vars=True).items())
    return {id(tensor): name for name, tensor in reversed(tensors)}  # a tied weight has its first name


def spec_of(
    module: nn.Module, kind: str, names: Names | None, *cells: str, input_size: int, output_size: int, **settings: Any
) -> Spec:
    """Return the spec of a module: its settings, its own weights and buffers, and the specs of its parts.

    Args:
        kind: layer type.
        names: see `names_in`.
        cells: module paths of the parts, in the order that the layer type defines.
        input_size, output_size: features of a step.
        settings: other settings of the layer type.
    Raises:
        NoSpec: one of the parts has no spec; the message names its path.
    """
    names = names_in(module, names)
    parts = [spec_of_part(module, cell, names) for cell in cells]
    inside = {id(tensor) for cell in cells for tensor in module.get_submodule(cell).state_dict(keep_vars=True).values()}
    tensors = {name: names[id(tensor)] for name, tensor in module.state_dict(keep_vars=True).items()
               if id(tensor) not in inside}  # fmt: skip
    sizes = {"input_size": input_size, "output_size": output_size}
    return {"kind": kind, "settings": sizes | settings, "tensors": tensors, "cells": parts}


def spec_of_part(module: nn.Module, path: str, names: Names) -> Spec:
    """Return the spec of the part at a module path.

    Raises:
        NoSpec: the part has none; the message names its path.
    """
    part = module.get_submodule(path)
    try:
        if not hasattr(part, "spec"):
            raise NoSpec.of(part)
        return part.spec(names)  # type: ignore[operator]  # a method
    except NoSpec as error:
        raise error.inside(path) from None


def network_of(module: nn.Module) -> Layer:
    """Return the same layers with a copy of the current weights, as `elman.network` runs them without PyTorch.

    Raises:
        NoSpec: a part of the module has no spec.
        ValueError: the weights are not float32.
    """
    if not hasattr(module, "spec"):
        raise NoSpec.of(module)
    tensors = {name: np.array(tensor.numpy(force=True)) for name, tensor in module.state_dict().items()}
    layer: Layer = make_layer(module.spec(), tensors)  # type: ignore[operator]  # a method
    return layer
