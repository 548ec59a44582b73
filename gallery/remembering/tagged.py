"""Through `Tagger`: copying and binary addition, a tag a step, each by itself and none of what comes later."""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from elman import Tagger
from elman import state as states
from elman.tasks.words import Spelled
from remembering import problems
from remembering.nets import NETS
from remembering.teaching import Taught, passes, teach

WATCHED = 32  # rows that the doctor looks at


def _tagger(net: str, seed: int, settings: dict[str, Any], steps: int) -> Tagger:
    same = {"scheme": "none", "output": "softmax", "bidirectional": False, "character_size": 0, "dropout": 0.0,
            "input_dropout": 0.0, "word_dropout": 0.0, "embedding_size": 16, "schedule": "constant"}  # fmt: skip
    return Tagger(**same, **NETS[net], **settings["task"], batch_steps=settings["batch_steps"],
                  epochs=passes(settings, steps), seed=seed)  # fmt: skip


def copying(net: str, lag: int, seed: int, settings: dict[str, Any]) -> tuple[Taught, dict[int, float], dict[str, Any]]:
    """Only the letters count, of which one in eight is guessed."""
    generator, letters = np.random.default_rng([seed, lag]), settings["letters"]
    model = _tagger(net, seed, settings, settings["rows"] * (lag + letters))
    if model.until is not None:  # of the letters, as a part of all steps
        model.until *= letters / (lag + letters)
    parts = ("rows", "validation_rows", "test_rows")
    training, validation, (rows, answers) = (
        problems.copying(generator, settings[part], lag, letters) for part in parts
    )
    sample = problems.copying(generator, WATCHED, lag, letters)
    taught = teach(model, training, validation, lambda: loss(model, *sample, last=letters))
    written = np.array(model.predict(rows))[:, lag:]
    accuracy = float((written == np.array(answers)[:, lag:]).mean())
    chance = 1 / len(problems.LETTERS)
    return taught, {lag: max(0.0, (accuracy - chance) / (1 - chance))}, {"accuracy": accuracy}


def addition(
    net: str, lag: int, seed: int, settings: dict[str, Any]
) -> tuple[Taught, dict[int, float], dict[str, Any]]:
    """Trained on numbers of up to `lag` + 1 digits; measured on carries that go a long way: the last digit of sums
    that the first decides on, of which half is guessed. `exact` is the part of the sums of which all digits are right.
    """
    generator = np.random.default_rng([seed, lag])
    training, validation = (
        problems.addition(generator, settings[part], lag + 1) for part in ("rows", "validation_rows")
    )
    model = _tagger(net, seed, settings, sum(map(len, training[0])))
    sample = problems.carries(generator, WATCHED, lag)
    taught = teach(model, training, validation, lambda: loss(model, *sample, last=1))
    success, exact = {}, {}
    for far in settings["tested"]:
        rows, answers = problems.carries(generator, settings["test_rows"], far)
        right = np.array(model.predict(rows)) == np.array(answers)
        success[far] = max(0.0, 2 * float(right[:, -1].mean()) - 1)
        exact[far] = float(right.all(1).mean())
    return taught, success, {"exact": exact}


def loss(model: Tagger, rows: list[list[str]], answers: list[list[str]], last: int) -> torch.Tensor:
    """That of so many tags at the end of rows that are all of one length."""
    read = (part.map(lambda values: states.map(torch.from_numpy, values)) for part in model.words_.encode(rows))
    scores = model.net_(Spelled(*read)).values.unflatten(0, (len(rows), -1))[:, -last:].flatten(0, 1)
    return cross_entropy(scores, torch.tensor([model.tags_.index(tag) for row in answers for tag in row[-last:]]))
