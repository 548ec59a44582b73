"""Construction of networks: sizes are checked before memory is allocated, and loading draws no weights."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils._pytree import tree_leaves

from elman.files import check_finite
from elman.training import model_tensors

Build = Callable[[], nn.Module]

NUMBER = 4  # bytes of a float32
COPIES = 4  # weights that a network may register for each one in its file: tied weights are registered several times
UNITS = "bytes", "kB", "MB", "GB", "TB", "PB", "EB"


def check_memory(build: Build) -> None:
    """Raise unless the weights of the network that `build` returns fit into the memory of this machine.

    Raises:
        ValueError: the weights do not fit; or as `build`.
    """
    if hasattr(os, "sysconf"):  # not on Windows
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        _on_meta(build, memory // NUMBER, f"at most {_bytes(memory)}, the memory of this machine", "set smaller sizes")


def with_tensors(build: Build, tensors: Mapping[str, np.ndarray]) -> nn.Module:
    """Return the network that `build` returns, with the tensors of a file as its weights.

    The network is built without memory and without random initialisation, unless a cell needs the values of its
    tensors.

    Raises:
        ValueError: the tensors do not fit the network; or as `build`.
    """
    numbers = sum(array.size for array in tensors.values())
    net = _on_meta(build, COPIES * numbers, f"{_bytes(NUMBER * numbers)}, as in the file",
                   "its tensors do not fit its settings")  # fmt: skip
    if net is not None:
        _check_fit(net, tensors)
    if net is None or _needs_values(net):
        net = build()
        _check_fit(net, tensors)
    made: dict[int, Tensor] = {}
    names = {id(tensor): name for name, tensor in model_tensors(net).items()}
    for module in net.modules():
        places: list[dict[str, Any]] = [module._parameters, module._buffers]
        for own in places:
            for key, old in own.items():
                if old is not None and (id(old) in names or old.is_meta):
                    if id(old) not in made:  # a tied weight stays one parameter
                        made[id(old)] = _filled(old, names, tensors)
                    own[key] = made[id(old)]
    return net


def _on_meta(build: Build, most: int, expected: str, way_out: str) -> nn.Module | None:
    """Return the network that `build` returns on PyTorch's meta device, where tensors have shapes and no memory.

    Args:
        most: numbers that its weights may have.
        expected, way_out: parts of the error about more numbers.
    Returns:
        the network; None if a cell needs the values of its weights to be built.
    Raises:
        ValueError: the weights have more numbers; or as `build`.
    """
    thread, numbers = threading.get_ident(), 0

    def count(module: nn.Module, name: str, weight: Tensor | None) -> None:
        if weight is not None and threading.get_ident() == thread:
            check(weight.numel())

    def check(more: int) -> None:
        nonlocal numbers
        numbers += more
        if numbers > most:
            raise ValueError(f"expected weights of {expected}, got a network that needs "
                            f"{_bytes(NUMBER * numbers)} or more; {way_out}.")  # fmt: skip

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            return build()
    except (TypeError, RuntimeError) as error:
        if "overflow" in str(error).lower():  # PyTorch counts the bytes of a tensor in 63 bits
            check(2**63 // NUMBER)
        return None
    finally:
        hook.remove()


def _check_fit(net: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    own = model_tensors(net)
    for name in sorted(own.keys() | tensors.keys()):
        expected = _kind(own[name].dtype, own[name].shape) if name in own else None
        got = _kind(_dtype(tensors[name]), tensors[name].shape) if name in tensors else None
        if expected != got:
            raise ValueError(f"expected {name} {expected}, got {got}; it does not fit its settings.")


def _kind(dtype: torch.dtype, shape: tuple[int, ...]) -> str:
    """Describe a tensor. All floating-point types can be converted."""
    return f"{'' if dtype.is_floating_point else str(dtype).removeprefix('torch.') + ' '}{tuple(shape)}"


def _dtype(array: np.ndarray) -> torch.dtype:
    return torch.from_numpy(np.empty(0, array.dtype)).dtype


def _needs_values(net: nn.Module) -> bool:
    """Return whether modules have tensors on the meta device that no file holds."""
    stored = {id(tensor) for tensor in model_tensors(net).values()}
    values = (value for module in net.modules() for value in tree_leaves(vars(module)) if isinstance(value, Tensor))
    return any(value.is_meta and value.numel() and id(value) not in stored for value in values)


def _filled(old: Tensor, names: Mapping[int, str], tensors: Mapping[str, np.ndarray]) -> Tensor:
    """Return a parameter or buffer with the numbers of the file."""
    new = torch.empty(old.shape, dtype=old.dtype, device="cpu")
    if (name := names.get(id(old))) is not None:
        stored = torch.from_numpy(tensors[name])
        new.copy_(stored)
        if new.dtype != stored.dtype:
            check_finite({name: new})  # a float64 may exceed the largest float32
    return nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new


def _bytes(count: float) -> str:
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {UNITS[unit]}"
