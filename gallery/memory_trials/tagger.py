"""Copying and binary addition with `Tagger`: unidirectional, with an independent tag per step."""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from elman import Tagger
from elman import state as states
from elman.data import memory_problems
from elman.data.spelled_words import Spelled
from memory_trials.nets import NETS
from memory_trials.training import Course, epochs_for, train_examined

SAMPLE = 32  # rows of an examination


def _tagger(net: str, seed: int, settings: dict[str, Any], steps: int) -> Tagger:
    same = {"scheme": "none", "output": "softmax", "bidirectional": False, "character_size": 0, "dropout": 0.0,
            "input_dropout": 0.0, "word_dropout": 0.0, "embedding_size": 16, "schedule": "constant"}  # fmt: skip
    return Tagger(**same, **NETS[net], **settings["task"], batch_steps=settings["batch_steps"],
                  epochs=epochs_for(settings, steps), seed=seed)  # fmt: skip


def copying(net: str, lag: int, seed: int, settings: dict[str, Any]) -> tuple[Course, dict[int, float], dict[str, Any]]:
    """Train on copying; only the letters count, and chance is one in eight."""
    generator, letters = np.random.default_rng([seed, lag]), settings["letters"]
    model = _tagger(net, seed, settings, settings["rows"] * (lag + letters))
    if model.until is not None:  # share of wrong letters -> accuracy over all steps
        model.until = 1 - model.until * letters / (lag + letters)
    parts = ("rows", "validation_rows", "test_rows")
    training, validation, (rows, targets) = (
        memory_problems.copying(settings[part], lag, letters, generator) for part in parts
    )
    sample = memory_problems.copying(SAMPLE, lag, letters, generator)
    course = train_examined(model, training, validation, lambda: loss(model, *sample, last=letters))
    predicted = np.array(model.predict(rows))[:, lag:]
    accuracy = float((predicted == np.array(targets)[:, lag:]).mean())
    chance = 1 / len(memory_problems.LETTERS)
    return course, {lag: max(0.0, (accuracy - chance) / (1 - chance))}, {"accuracy": accuracy}


def addition(
    net: str, lag: int, seed: int, settings: dict[str, Any]
) -> tuple[Course, dict[int, float], dict[str, Any]]:
    """Train on numbers of up to `lag` + 1 digits, and evaluate on long carries: the last digit of sums that the first
    pair decides. Chance is one half. `exact` is the fraction of the sums with all digits right.
    """
    generator = np.random.default_rng([seed, lag])
    training, validation = (
        memory_problems.addition(settings[part], lag + 1, generator) for part in ("rows", "validation_rows")
    )
    model = _tagger(net, seed, settings, sum(map(len, training[0])))
    if model.until is not None:  # the share of wrong digits
        model.until = 1 - model.until
    sample = memory_problems.carries(SAMPLE, lag, generator)
    course = train_examined(model, training, validation, lambda: loss(model, *sample, last=1))
    success, exact = {}, {}
    for far in settings["tested"]:
        rows, targets = memory_problems.carries(settings["test_rows"], far, generator)
        right = np.array(model.predict(rows)) == np.array(targets)
        success[far] = max(0.0, 2 * float(right[:, -1].mean()) - 1)
        exact[far] = float(right.all(1).mean())
    return course, success, {"exact": exact}


def loss(model: Tagger, rows: list[list[str]], targets: list[list[str]], last: int) -> torch.Tensor:
    """Return the loss of the last tags of rows that all have the same length."""
    read = (part.map(lambda values: states.map(torch.from_numpy, values)) for part in model.words_.encode(rows))
    scores = model.net_(Spelled(*read)).values.unflatten(0, (len(rows), -1))[:, -last:].flatten(0, 1)
    return cross_entropy(scores, torch.tensor([model.tags_.index(tag) for row in targets for tag in row[-last:]]))
