"""The adding problem and temporal order with `Classifier`: unidirectional, with the output of the last step."""

from typing import Any

import numpy as np

from elman import Classifier
from elman.data import memory_problems
from memory_trials.nets import NETS
from memory_trials.training import Course, epochs_for, train_examined

WIDTH = 0.05  # of a bin of sums


def _classifier(net: str, lag: int, seed: int, settings: dict[str, Any], **own: Any) -> Classifier:
    same = {"bidirectional": False, "pooling": "last", "dropout": 0.0, "input_dropout": 0.0, "schedule": "constant"}
    epochs = epochs_for(settings, settings["rows"] * lag)
    return Classifier(
        **same, **NETS[net], **settings["task"], batch_steps=settings["batch_steps"], seed=seed, epochs=epochs, **own
    )


def adding(net: str, lag: int, seed: int, settings: dict[str, Any]) -> tuple[Course, dict[int, float], dict[str, Any]]:
    """Train on sums as classes of `WIDTH` each; the prediction is their mean, and success the explained variance."""
    generator = np.random.default_rng([seed, lag])
    model = _classifier(net, lag, seed, settings)
    parts = [
        memory_problems.adding(settings[part], lag, generator) for part in ("rows", "validation_rows", "test_rows")
    ]
    training, validation = ((rows, bins(sums)) for rows, sums in parts[:2])
    course = train_examined(model, training, validation, lambda: model.probe_loss(*validation).loss())
    rows, sums = parts[2]
    try:
        error = float(np.mean((expected(model.predict_proba(rows), model.classes_) - sums) ** 2))
    except ValueError:  # its weights are not finite
        error = float(np.var(sums))
    return course, {lag: max(0.0, 1 - error / float(np.var(sums)))}, {"mean_squared_error": error}


def bins(sums: np.ndarray) -> np.ndarray:
    """Return the class of each sum; the rare ones at either end share one."""
    return np.clip(np.floor(sums / WIDTH).astype(int), 2, round(2 / WIDTH) - 3)


def expected(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the expected sum [B]."""
    return probabilities @ (WIDTH * (classes + 0.5))


def temporal_order(
    net: str, lag: int, seed: int, settings: dict[str, Any]
) -> tuple[Course, dict[int, float], dict[str, Any]]:
    """Train on four classes; chance is a quarter."""
    generator = np.random.default_rng([seed, lag])
    model = _classifier(net, lag, seed, settings, units="characters", embedding_size=16, word_dropout=0.0)
    parts = ("rows", "validation_rows", "test_rows")
    training, validation, test = (memory_problems.temporal_order(settings[part], lag, generator) for part in parts)
    course = train_examined(model, training, validation, lambda: model.probe_loss(*validation).loss())
    accuracy = model.score(*test)
    return course, {lag: max(0.0, (accuracy - 0.25) / 0.75)}, {"accuracy": accuracy}
