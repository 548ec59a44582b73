"""The one place that looks for the C++ extension.

`module` is `elman._native`, or None where the package was installed without a compiler. The environment variable
`ELMAN_NATIVE=0` leaves it aside, so that the references answer.
"""

import os
from contextlib import suppress
from importlib import import_module
from typing import Any

KINDS = ("rnn", "lstm", "lstm_without_forget", "gru_after", "gru_before")  # as in native/layer.hpp
ACTIVATIONS = ("tanh", "sigmoid", "relu", "identity")

module: Any = None
if os.environ.get("ELMAN_NATIVE") != "0":
    with suppress(ModuleNotFoundError):
        module = import_module("elman._native")


def available() -> bool:
    """Whether native kernels can answer."""
    return module is not None
