"""The one place that looks for the C++ extension.

`module` is `elman._native`, or None where the package was installed without a compiler. The environment variable
`ELMAN_NATIVE=0` leaves it aside, so that the references answer; `ELMAN_ISA` names the instruction set it is to use, and
`ELMAN_BFLOAT16=1` has autocast multiply bfloat16 on processors without instructions for it, which takes longer.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import numpy as np

from elman.rows import Rows

KINDS = ("rnn", "lstm", "lstm_without_forget", "gru_after", "gru_before")  # as in native/engine/layer.hpp
GATES = (1, 4, 3, 3, 3)  # of each
ACTIVATIONS = ("tanh", "sigmoid", "relu", "identity")
LARGE = 1 << 15  # numbers of an array for which kept memory pays
ISAS = ("avx512bf16", "avx512", "avx2", "baseline")  # native/engine/dispatch.cpp takes the first that the processor has

module: Any = None
_emulated = os.environ.get("ELMAN_BFLOAT16") == "1"
if os.environ.get("ELMAN_NATIVE") != "0":
    with suppress(ModuleNotFoundError):
        module = import_module("elman._native")
        forced = os.environ.get("ELMAN_ISA")
        if forced is not None and not (forced in ISAS and module.supported(forced)):
            here = ", ".join(isa for isa in ISAS if module.supported(isa))
            raise ValueError(
                f"ELMAN_ISA: expected one of {here} on this machine, got {forced!r}; mend it or leave it unset."
            )


def available() -> bool:
    """Whether native kernels can answer."""
    return module is not None


def plan(rows: Rows) -> Any:
    """Return the native plan of a layout, made once for each number of threads."""
    return rows.native_plan(module.Plan, module.num_threads())


def bfloat16() -> bool:
    """Whether autocast to bfloat16 has native kernels multiply in it: the processor does, or it is emulated."""
    return module is not None and (_emulated or module.multiplies_bfloat16)


@contextmanager
def emulating() -> Iterator[None]:
    """Meanwhile autocast to bfloat16 acts on any processor, in all threads; in float32 it takes less time."""
    global _emulated
    kept, _emulated = _emulated, True
    try:
        yield
    finally:
        _emulated = kept


def doubles(*shape: int) -> np.ndarray:
    """A float64 array with anything in it.

    A large one lies in memory kept between calls, since fresh pages are slow to touch.
    """
    kept = getattr(module, "doubles", None)
    return np.empty(shape) if kept is None or np.prod(shape) < LARGE else kept(shape)


@contextmanager
def disabled() -> Iterator[None]:
    """Meanwhile the references answer, in all threads."""
    global module
    kept, module = module, None
    try:
        yield
    finally:
        module = kept
