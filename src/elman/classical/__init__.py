"""Classical models of sequences: NumPy, float64, no PyTorch. Each is imported when it is first used."""

from importlib import import_module
from typing import Any

MODELS = {
    "DelayTaps": "elman.classical.delay_taps.model",
    "BagOfWords": "elman.classical.bag_of_words",
    "NGram": "elman.classical.ngram",
    "HMM": "elman.classical.hmm.model",
    "LDS": "elman.classical.lds.model",
    "CRF": "elman.classical.crf",
}

__all__ = sorted(MODELS)


def __getattr__(name: str) -> Any:
    if name not in MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODELS[name]), name)
