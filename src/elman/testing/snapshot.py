"""Snapshots of objects, to compare them before and after a call."""

import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from elman.arrays import is_tensor
from elman.state import Shared
from elman.testing.harness import numbers

_INSIDE_A_MODULE = ("_parameters", "_buffers", "_modules")


def snapshot(value: Any) -> dict[str, Any]:
    """Return every number, string and array that is reachable from `value`, by its path."""
    return {path: _comparable(part) for path, part in reachable(value)}


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the paths that differ between two snapshots."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def generators() -> tuple[str, bytes]:
    """Return the states of the global random generators."""
    torch = sys.modules.get("torch")
    return str(np.random.get_state(legacy=False)), torch.get_rng_state().numpy().tobytes() if torch else b""  # noqa: NPY002


def reachable(value: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of every leaf among the attributes and items of `value`, recursively."""
    seen = set() if seen is None else seen
    parts = _parts(value)
    if parts is None:
        yield path.removeprefix("."), value
    elif id(value) not in seen:
        seen.add(id(value))
        for name, part in parts.items():
            yield from reachable(part, path + name, seen)


def _parts(value: Any) -> dict[str, Any] | None:
    """Return attributes or items by name; None for a leaf."""
    if isinstance(value, dict):
        return {f"[{key!r}]": part for key, part in value.items()}
    if isinstance(value, Shared):  # ignores its caches
        value = value.arrays()
    if isinstance(value, list | tuple | deque):
        return {f"[{number}]": part for number, part in enumerate(value)}
    if is_tensor(value) or isinstance(value, type) or not hasattr(value, "__dict__"):
        return None
    attributes = vars(value)
    inside = {name: part for name in _INSIDE_A_MODULE for name, part in attributes.get(name, {}).items()}
    plain = {name: part for name, part in attributes.items() if name not in _INSIDE_A_MODULE}
    return {f".{name}": part for name, part in (plain | inside).items()}


def _comparable(value: Any) -> Any:
    if is_tensor(value) or isinstance(value, np.ndarray):
        strings = isinstance(value, np.ndarray) and value.dtype.kind in "SU"
        return str(value.dtype), tuple(value.shape), (value if strings else numbers(value)).tobytes()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if type(value).__name__ == "Generator" and hasattr(value, "get_state"):  # PyTorch's generator
        return value.get_state().numpy().tobytes()
    return repr(value)
