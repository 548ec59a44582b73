"""Classical models of sequences: NumPy, float64, no PyTorch. Each is imported when it is first used."""

from importlib import import_module
from typing import Any

MODELS = {  # class of a model, as its file names it -> module
    "DelayTaps": "elman.classical.delay_taps.model",
    "BagOfWords": "elman.classical.bag_of_words",
    "NGram": "elman.classical.ngram",
    "HMM": "elman.classical.hmm.model",
    "HMMTagger": "elman.classical.hmm.tagger",
    "LDS": "elman.classical.lds.model",
    "CRF": "elman.classical.crf",
}

__all__ = sorted(MODELS)


def __getattr__(name: str) -> Any:
    if name not in MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODELS[name]), name)
