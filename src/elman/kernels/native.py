"""Access to the C++ extension, if it is installed.

`module` is `elman._native`, or None if the package was installed without a compiler. Environment variables:
`ELMAN_NATIVE=0` disables it, so that the references run; `ELMAN_ISA` selects its instruction set; `ELMAN_BFLOAT16=1`
makes autocast multiply bfloat16 on processors without instructions for it, which is slower.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import numpy as np

from elman.rows import Rows

KINDS = ("rnn", "lstm", "lstm_without_forget", "gru_after", "gru_before")  # as in native/engine/layer.hpp
GATES = (1, 4, 3, 3, 3)  # number of gates of each kind
ACTIVATIONS = ("tanh", "sigmoid", "relu", "identity")
LARGE = 1 << 15  # numbers of an array from which pooled memory is faster
ISAS = ("avx512bf16", "avx512", "avx2", "baseline")  # native/engine/dispatch.cpp uses the first supported one

module: Any = None
_emulated = os.environ.get("ELMAN_BFLOAT16") == "1"
if os.environ.get("ELMAN_NATIVE") != "0":
    with suppress(ModuleNotFoundError):
        module = import_module("elman._native")
        forced = os.environ.get("ELMAN_ISA")
        if forced is not None and not (forced in ISAS and module.supported(forced)):
            here = ", ".join(isa for isa in ISAS if module.supported(isa))
            raise ValueError(
                f"ELMAN_ISA: expected one of {here} on this machine, got {forced!r}; correct it or unset it."
            )


def available() -> bool:
    """Return whether native kernels are available."""
    return module is not None


def plan(rows: Rows) -> Any:
    """Return the native plan of a layout, made once for each number of threads."""
    return rows.native_plan(module.Plan, module.num_threads())


def bfloat16() -> bool:
    """Return whether native kernels multiply bfloat16 under autocast: the processor supports it, or it is emulated."""
    return module is not None and (_emulated or module.multiplies_bfloat16)


@contextmanager
def emulating() -> Iterator[None]:
    """Emulate bfloat16 under autocast on any processor, in all threads; slower than float32."""
    global _emulated
    kept, _emulated = _emulated, True
    try:
        yield
    finally:
        _emulated = kept


def doubles(*shape: int) -> np.ndarray:
    """Return an uninitialised float64 array.

    A large array uses memory that is pooled between calls, since the first access to a new page is slow.
    """
    kept = getattr(module, "doubles", None)
    return np.empty(shape) if kept is None or np.prod(shape) < LARGE else kept(shape)


@contextmanager
def disabled() -> Iterator[None]:
    """Disable the native kernels, in all threads, so that the references run."""
    global module
    kept, module = module, None
    try:
        yield
    finally:
        module = kept
