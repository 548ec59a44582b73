"""N-gram that a language model is compared with: its likelihood of texts, and its file in the run folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import elman
from elman.classical import NGram
from elman.data.windows import Windows, resume
from elman.declared_types import Record, check_arguments, field
from elman.files import SCHEMA, read_tensors, write_tensors
from elman.network import ModelFile
from elman.sequences import Sequences
from elman.state import State

NGRAM = "ngram.safetensors"
ORDERS = {"bytes": 7, "characters": 7, "words": 4, "bpe": 4}  # by default
STEPS = 1 << 20  # of a window in an evaluation


def nats(ngram: NGram, data: list[np.ndarray]) -> float:
    """Return the negative log-probability of encoded texts, their ends included."""
    return -sum(float(ngram.log_prob(*step).sum()) for step in _steps(ngram, data))


def unit_costs(ngram: NGram, data: list[np.ndarray], follows: np.ndarray) -> np.ndarray:
    """Return -log p of each unit, and of the event that the unit is one of `follows`, in nats, [2, N].

    Args:
        follows: [V] bool.
    """
    costs = [ngram.log_prob_and_any(inputs, targets, follows, state) for inputs, targets, state in _steps(ngram, data)]
    return -np.concatenate(costs, axis=1)


def _steps(ngram: NGram, data: list[np.ndarray]) -> Iterator[tuple[Sequences, np.ndarray, State]]:
    """Yield inputs, targets and initial state of windows."""
    state = None
    for window in Windows(data, 1, STEPS):
        state = resume(window.source, state, ngram)
        yield window.inputs, window.targets, state
        state = ngram.after(window.inputs, state)


def write(folder: Path, ngram: NGram, metadata: Mapping[str, Any]) -> None:
    """Write an n-gram to a run folder, with the units in the metadata of the language model."""
    facts = {"schema": SCHEMA, "version": elman.__version__, "task": "n-gram", "settings": ngram.settings}
    write_tensors(folder / NGRAM, ngram.to_arrays(), {**facts, **metadata})


def read(file: ModelFile, size: int) -> NGram | None:
    """Return the n-gram next to the file of a language model; None if there is no such file.

    Args:
        size: number of units.
    Raises:
        ValueError: the file is damaged, or belongs to another model.
    """
    path = file.path.with_name(NGRAM)
    if not path.exists():
        return None
    arrays, metadata = read_tensors(path)
    if (metadata.get("task"), metadata.get("units")) != ("n-gram", file.metadata["units"]):
        raise ValueError(f"{path}: not the n-gram of this model; copy its run folder whole, or leave the file out.")
    settings = field(metadata, "settings", Record)
    check_arguments(NGram, settings)
    ngram = NGram.from_arrays(arrays, **settings)
    if ngram.vocabulary_size != size:
        raise ValueError(
            f"{path}: expected an n-gram of {size} units, got {ngram.vocabulary_size}; leave the file out."
        )
    return ngram
