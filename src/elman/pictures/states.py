"""Hidden states of a series, and their probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.pictures.series import OBSERVED, as_series, canvas, one_row
from elman.sequences import Sequences

WHERE = "pictures.states"


def states(
    series: Any,
    path: Any = None,
    probs: Any = None,
    means: Any = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Any:
    """Draw a series with its background coloured by state, and below it the state probabilities.

    Args:
        series: one row, [T] or [T, D], or rows with this one alone; NaN leaves a gap.
        path: states [T], or the result of `decode` for this row; None for the most probable ones of `probs`.
        probs: state probabilities [T, K], or the result of `filter` or `smooth` for this row; drawn below the series.
        means: [K] or [K, D], mean of each state; drawn as a line through its steps.
        names: K names of the states.
    Returns:
        a matplotlib Figure; `figure.savefig("states.png")` writes it.
    Raises:
        TypeError: an argument is of another kind, such as a model.
        ValueError: neither path nor probs is given, or the shapes differ.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = states(np.array([1.0, 1.2, 5.1]), path=[0, 0, 1], means=[1.1, 5.1])
        >>> len(figure.axes)
        1
    """
    observed = as_series(WHERE, "series", series)
    probabilities = None if probs is None else as_series(WHERE, "probs", _leaf(probs, "probs"))
    if path is not None:
        of_step = _path(path)
    elif probabilities is not None:
        of_step = probabilities.argmax(1)
    else:
        raise ValueError(f"{WHERE}: expected path or probs, got neither; decode or smooth the series first.")
    for name, array in (("path", of_step), ("probs", probabilities)):
        if array is not None and len(array) != len(observed):
            raise ValueError(f"{WHERE}: expected {name} of T={len(observed)} steps, got {len(array)}.")
    count = max(int(of_step.max()) + 1, probabilities.shape[1] if probabilities is not None else 0)
    labels = list(names) if names is not None else [f"state {state}" for state in range(count)]
    if len(labels) < count:
        raise ValueError(f"{WHERE}: expected {count} names, got {len(labels)}.")
    figure, axes = canvas(observed.shape[1] + (probabilities is not None), title)
    times = np.arange(len(observed))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(of_step)) + 1, [len(of_step)]])
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), of_step[edges[:-1]].tolist(), strict=True))
    levels = None if means is None else as_series(WHERE, "means", means)
    for number in range(observed.shape[1]):
        axis, labelled = axes[number], set()
        axis.plot(times, observed[:, number], color=OBSERVED, marker=".", linewidth=1)
        for begin, end, state in spans:
            label = None if state in labelled else labels[state]
            labelled.add(state)
            axis.axvspan(begin - 0.5, end - 0.5, color=_color(state), alpha=0.2, linewidth=0, label=label)
            if levels is not None:
                axis.hlines(levels[state, number], begin - 0.5, end - 0.5, color=_color(state))
    axes[0].legend(loc="upper right")
    if probabilities is not None:
        colors = [_color(state) for state in range(probabilities.shape[1])]
        axes[-1].stackplot(times, probabilities.T, colors=colors, alpha=0.6)
        axes[-1].set(ylabel="probability", ylim=(0, 1))
    return figure


def _path(path: Any) -> np.ndarray:
    """Return the states [T] of a path."""
    states = one_row(WHERE, "path", _leaf(path, "states"))
    if states.dtype.kind == "f" and states.ndim == 2:
        raise ValueError(f"{WHERE}: expected path of states, got numbers of shape {list(states.shape)}; state "
                         "probabilities are probs=.")  # fmt: skip
    if states.ndim != 1:
        raise ValueError(f"{WHERE}: expected path of shape [T], got {list(states.shape)}; choose one of several paths: "
                         "path[:, 0].")  # fmt: skip
    if states.dtype.kind not in "iu" or (states < 0).any():
        raise ValueError(f"{WHERE}: expected path of states from 0, as decode returns them.")
    return states


def _leaf(values: Any, name: str) -> Any:
    """Return the part of a result of an HMM with that name: `states` of a `Decoded`, `probs` of `Filtered` values."""
    if isinstance(values, Sequences) and hasattr(values.values, name):
        return values.with_values(getattr(values.values, name))
    return getattr(values, name) if isinstance(values, tuple) and hasattr(values, name) else values


def _color(state: int) -> str:
    return f"C{state % 10}"
