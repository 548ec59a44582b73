"""elman: models that carry a state through a sequence.

`elman.cell` defines the contract. Public names are imported on first use, so `import elman` loads no PyTorch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "elman.sequences": ["Sequences"],
    "elman.memory": ["Memory"],
    "elman.cell": ["Cell"],
    "elman.cells": ["RNN", "LSTM", "GRU", "MinGRU", "WindowNet"],
    "elman.cells.settings": ["CellSettings"],
    "elman.layers": ["Embedding", "Linear", "LayerNorm", "Dropout", "VariationalDropout", "WeightDrop", "Stack",
                     "Residual", "Bidirectional", "OutputFeedback", "Attention", "Decoder", "Deviations", "Differences",
                     "FrameEncoder", "LastPooling", "MeanPooling", "MaxPooling", "AttentionPooling"],
    "elman.layers.describe": ["describe"],
    "elman.layers.torch_threads": ["one_torch_thread"],
    "elman.classical": ["DelayTaps", "BagOfWords", "NGram", "HMM", "LDS", "CRF"],
    "elman.threads": ["get_num_threads", "set_num_threads"],
    "elman.tasks": ["LanguageModel", "Classifier", "Tagger", "Translator", "Summarizer", "Captioner", "load"],
}  # fmt: skip
_PACKAGES = ["classical", "convert", "doctor", "examples", "pictures", "runtime"]  # attributes of `elman`
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"elman.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    from elman.optional_packages import needed_by

    with needed_by(f"elman.{name}"):
        return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES, "__version__"]
