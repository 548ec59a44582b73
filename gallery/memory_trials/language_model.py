"""Agreement in sentences, and a^n b^n, with `LanguageModel`: whole texts, without truncation."""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from elman import LanguageModel
from elman import state as states
from elman.data import memory_problems
from elman.data.units import BOUNDARY
from elman.doctor.capture import capture
from elman.sequences import Sequences
from memory_trials.nets import NETS
from memory_trials.training import Course, epochs_for, train_examined

SAMPLE = 32  # sentences of an examination
DRAWN = 20, 100  # n of the drawn counters: one within the training range, one beyond


def _model(net: str, seed: int, settings: dict[str, Any], steps: int, **own: Any) -> LanguageModel:
    same = {"embedding_size": 32, "dropout": 0.0, "steps": None, "ngram_order": 0, "schedule": "constant"}
    whole = settings["batch_steps"] // 100  # streams: a batch has 100 steps for each
    return LanguageModel(**same, **NETS[net], **settings["task"], streams=whole, epochs=epochs_for(settings, steps),
                         seed=seed, **own)  # fmt: skip


def agreement(
    net: str, lag: int, seed: int, settings: dict[str, Any]
) -> tuple[Course, dict[int, float], dict[str, Any]]:
    """Train on gaps up to `lag`; an output is right if the right form of the verb is the likelier one."""
    generator = np.random.default_rng([seed, lag])
    training, validation = (
        memory_problems.agreement(
            memory_problems.gaps(settings[part], settings["shortest"], lag, generator), generator
        )[0]
        for part in ("rows", "validation_rows")
    )
    words = sum(len(text.split()) + 1 for text in training)
    model = _model(net, seed, settings, words, units="words", min_count=1)
    sample, places = memory_problems.agreement([lag] * SAMPLE, generator)

    def of_verbs() -> torch.Tensor:
        verbs = [int(model.units_.encode(text)[place]) for text, place in zip(sample, places, strict=True)]
        return loss(model, sample, places, verbs)

    course = train_examined(model, [training], validation, of_verbs)
    forms = [int(model.units_.encode(form)[0]) for form in memory_problems.NOUNS]
    accuracy = {}
    for gap in settings["tested"]:
        texts, places = memory_problems.agreement([gap] * settings["test_rows"], generator)
        with model.evaluating():
            either = after(model, texts, places)[:, forms]
        truth = [[*memory_problems.NOUNS].index(text.split()[place]) for text, place in zip(texts, places, strict=True)]
        accuracy[gap] = float((either.argmax(1).numpy() == truth).mean())
    return course, {gap: max(0.0, 2 * right - 1) for gap, right in accuracy.items()}, {"accuracy": accuracy}


def counting(
    net: str, lag: int, seed: int, settings: dict[str, Any]
) -> tuple[Course, dict[int, float], dict[str, Any]]:
    """Train up to n = `lag` / 2: the first `a` is 2n steps before the end. Success is the fraction of the n, between
    one tested lag and the next, for which the net predicts each `b` after the first, and the end."""
    generator = np.random.default_rng([seed, lag])
    training = memory_problems.counting(settings["rows"], lag // 2, generator)
    model = _model(net, seed, settings, sum(len(text) + 1 for text in training))
    validation = ["a" * n + "b" * n for n in range(1, lag // 2 + 1)]
    course = train_examined(model, [training], validation, lambda: loss(model, validation[-1:], [lag], [BOUNDARY]))
    most = [far // 2 for far in settings["tested"]]
    right = [counted(model, n) for n in range(1, most[-1] + 1)]
    success = {2 * to: float(np.mean(right[since:to])) for since, to in zip([0, *most], most, strict=False)}
    reached = next((n for n, good in enumerate(right) if not good), len(right))
    return course, success, {"counts_to": reached, "counter": counter(model)}


def logits_of(model: LanguageModel, texts: list[str]) -> Sequences:
    """Return the logits [N, V] after the boundary and after each unit of each text."""
    ids = [np.append(BOUNDARY, model.units_.encode(text)) for text in texts]
    return model.net_.scan(Sequences.from_list(ids).map(torch.from_numpy))[0]


def after(model: LanguageModel, texts: list[str], places: list[int]) -> torch.Tensor:
    """Return the logits [B, V] after `places` units of each text."""
    found = logits_of(model, texts)
    return found.values[torch.from_numpy(found.offsets[:-1] + places)]


def loss(model: LanguageModel, texts: list[str], places: list[int], ids: list[int]) -> torch.Tensor:
    """Return the loss of these units, each after `places` units of its text."""
    return cross_entropy(after(model, texts, places), torch.tensor(ids))


def counted(model: LanguageModel, n: int) -> bool:
    """Return whether the model predicts each `b` of a^n b^n after the first, and then the end."""
    (b,) = model.units_.encode("b").tolist()
    with model.evaluating():
        (found,) = logits_of(model, ["a" * n + "b" * n]).to_list()
    return found[n + 1 :].argmax(1).tolist() == [b] * (n - 1) + [BOUNDARY]


def counter(model: LanguageModel) -> dict[str, Any]:
    """Return the unit whose state correlates most with the count (a read minus b read), and its course through a^n
    b^n."""
    courses = {}
    for n in DRAWN:
        text = "a" * n + "b" * n
        (trace,) = capture(model.net_, lambda text=text: loss(model, [text], [len(text)], [BOUNDARY])).traces
        courses[n] = [*states.leaves(trace.after)][-1].numpy()
    n = DRAWN[0]
    count = np.append(np.arange(n + 1), np.arange(n - 1, -1, -1))  # after the boundary and each step
    fit = _correlations(courses[n], count)
    unit = int(np.argmax(np.abs(fit)))
    drawn = {n: course[:, unit].round(4).tolist() for n, course in courses.items()}
    return {"unit": unit, "correlation": float(fit[unit]), "courses": drawn}


def _correlations(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each column with the values."""
    centred, own = columns - columns.mean(0), values - values.mean()
    return own @ centred / np.maximum(np.sqrt((centred**2).sum(0) * (own**2).sum()), 1e-12)
