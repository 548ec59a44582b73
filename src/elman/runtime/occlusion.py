"""Importance of the parts of a row for its class, by occlusion (Zeiler and Fergus 2014, arXiv:1311.2901)."""

from collections.abc import Iterator
from itertools import chain, islice, pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from elman.data.rows_and_labels import as_rows, one_row
from elman.inputs.series import Series
from elman.inputs.text import TOKEN, TextInputs
from elman.representation import brief, brief_fields

WINDOWS = 20  # of a series, by default
NUMBERS = 1 << 22  # of the occluded copies of a series that are predicted at once
TEXTS = 1024  # occluded copies of a text that are predicted at once


@brief_fields
class Occlusion(NamedTuple):
    """Importance of each part of a row: the fall of the probability of a class when that part is occluded.

    Attributes:
        label: the class.
        probability: its probability given the whole row.
        importance: [W, D] of each window of each variable; [W, 1] of each word of a text. Negative if the probability
            rises.
        by_time: [W] of each window of all variables together.
        by_variable: [D] of each variable at all steps.
        edges: [W + 1] first step of each window, and the number of steps. Steps of a text are its words.
        series: [T, D] the row; None for a text.
        names: D names of the variables, or W words of a text.
    """

    label: Any
    probability: float
    importance: np.ndarray
    by_time: np.ndarray
    by_variable: np.ndarray
    edges: np.ndarray
    series: np.ndarray | None
    names: list[str]


def occlusion(model: Any, row: Any, label: Any, window: int | None) -> Occlusion:
    """Return what `Classifier.occlusion` returns, for a trained classifier."""
    labels = model.classes_.tolist()
    if label is not None and (np.ndim(label) or label not in labels):
        raise ValueError(f"Classifier.occlusion: expected one of the classes {labels[:10]}, got {brief(label)}.")
    rows = one_row("Classifier.occlusion", row)
    if isinstance(model.inputs_, TextInputs):
        return _of_text(model, rows[0], label)
    if type(model.inputs_) is Series:
        return _of_series(model, rows, label, window)
    raise ValueError(f"Classifier.occlusion: expected a model of series or texts, got one of {model.inputs_.name}.")


def _of_series(model: Any, rows: list[Any], label: Any, window: int | None) -> Occlusion:
    series = model.inputs_.raw(as_rows("Classifier.occlusion", rows)).values
    steps, variables = series.shape
    if not steps:
        raise ValueError("Classifier.occlusion: expected a series with steps, got an empty one.")
    window = -(-steps // WINDOWS) if window is None else window
    if not isinstance(window, Integral) or not 1 <= int(window) <= steps:
        raise ValueError(f"Classifier.occlusion: expected a window of 1 to {steps} steps, got {brief(window)}.")
    edges = np.append(np.arange(0, steps, int(window)), steps)
    spans = [slice(start, stop) for start, stop in pairwise(edges.tolist())]
    each = [slice(number, number + 1) for number in range(variables)]
    places = [(span, variable) for span in spans for variable in each]
    places += [(span, slice(None)) for span in spans]
    places += [(slice(None), variable) for variable in each]

    def copies() -> Iterator[np.ndarray]:
        yield series
        for place in places:
            copy = series.copy()
            copy[place] = model.inputs_.mean[place[1]]
            yield copy

    at_once = max(1, NUMBERS // series.size)
    label, probability, falls = _falls(model, copies(), at_once, label)
    single, by_time, by_variable = np.split(falls, [len(spans) * variables, len(spans) * (variables + 1)])
    names = [model.inputs_.variable(number) for number in range(variables)]
    importance = single.reshape(-1, variables)
    return Occlusion(label, probability, importance, by_time, by_variable, edges, series, names)


def _of_text(model: Any, text: Any, label: Any) -> Occlusion:
    words = list(TOKEN.finditer(text)) if isinstance(text, str) else []
    if not words:
        raise ValueError(f"Classifier.occlusion: expected a text with words, got {brief(text)}.")
    copies = (text[: word.start()] + " " + text[word.end() :] for word in words)
    label, probability, falls = _falls(model, chain([text], copies, [""]), TEXTS, label)
    single, all_words = falls[:-1], falls[-1:]
    names = [word.group() for word in words]
    return Occlusion(label, probability, single[:, None], single, all_words, np.arange(len(words) + 1), None, names)


def _falls(model: Any, copies: Iterator[Any], at_once: int, label: Any) -> tuple[Any, float, np.ndarray]:
    """Return a class, its probability in the first row, and how far it falls in each of the others.

    Args:
        at_once: number of rows that are predicted as one ragged batch.
        label: the class; None for the most probable one of the first row.
    """
    batches = []
    while rows := list(islice(copies, at_once)):
        batches.append(model.predict_proba(rows))
    found, labels = np.concatenate(batches), model.classes_.tolist()
    number = int(found[0].argmax()) if label is None else labels.index(label)
    return labels[number], float(found[0, number]), found[0, number] - found[1:, number]
