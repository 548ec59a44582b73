"""Through `Classifier`: the adding problem and temporal order, read from one end and judged by the last step."""

from typing import Any

import numpy as np

from elman import Classifier
from remembering import problems
from remembering.nets import NETS
from remembering.teaching import Taught, passes, teach

WIDTH = 0.05  # of a bin of sums


def _classifier(net: str, lag: int, seed: int, settings: dict[str, Any], **own: Any) -> Classifier:
    same = {"bidirectional": False, "pooling": "last", "dropout": 0.0, "input_dropout": 0.0, "schedule": "constant"}
    epochs = passes(settings, settings["rows"] * lag)
    return Classifier(
        **same, **NETS[net], **settings["task"], batch_steps=settings["batch_steps"], seed=seed, epochs=epochs, **own
    )


def adding(net: str, lag: int, seed: int, settings: dict[str, Any]) -> tuple[Taught, dict[int, float], dict[str, Any]]:
    """Sums as classes of `WIDTH` each. What the net says is the mean of them under its probabilities; success is the
    part of the variance of the sums that it explains."""
    generator = np.random.default_rng([seed, lag])
    model = _classifier(net, lag, seed, settings)
    parts = [problems.adding(generator, settings[part], lag) for part in ("rows", "validation_rows", "test_rows")]
    training, validation = ((rows, bins(sums)) for rows, sums in parts[:2])
    taught = teach(model, training, validation, lambda: model.probe_loss(*validation).loss())
    rows, sums = parts[2]
    try:
        error = float(np.mean((expected(model.predict_proba(rows), model.classes_) - sums) ** 2))
    except ValueError:  # its weights are no numbers any more
        error = float(np.var(sums))
    return taught, {lag: max(0.0, 1 - error / float(np.var(sums)))}, {"mean_squared_error": error}


def bins(sums: np.ndarray) -> np.ndarray:
    """The class of each sum; the rare ones at either end share one."""
    return np.clip(np.floor(sums / WIDTH).astype(int), 2, round(2 / WIDTH) - 3)


def expected(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """[B] the mean of the sums that the classes stand for."""
    return probabilities @ (WIDTH * (classes + 0.5))


def temporal_order(
    net: str, lag: int, seed: int, settings: dict[str, Any]
) -> tuple[Taught, dict[int, float], dict[str, Any]]:
    """Four classes: who guesses has a quarter right."""
    generator = np.random.default_rng([seed, lag])
    model = _classifier(net, lag, seed, settings, units="characters", embedding_size=16, word_dropout=0.0)
    parts = ("rows", "validation_rows", "test_rows")
    training, validation, test = (problems.temporal_order(generator, settings[part], lag) for part in parts)
    taught = teach(model, training, validation, lambda: model.probe_loss(*validation).loss())
    accuracy = model.score(*test)
    return taught, {lag: max(0.0, (accuracy - 0.25) / 0.75)}, {"accuracy": accuracy}
