"""Importance of the parts of a row for its class (Zeiler and Fergus 2014, arXiv:1311.2901)."""

from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, LETTER_WIDTH, short_name

NAMED, DRAWN = 60, 30  # largest number of variables with their names, and with their course over the heat map
WORDS = 60  # words in a line of a text


def occlusion(classifier: Any, row: Any, label: Any = None, window: int | None = None, title: str = "") -> Any:
    """Draw how far the probability of a class falls when a part of a row is occluded: red parts support the class.

    A series is a heat map with a line per variable and a column per window, with the course of each variable on top;
    the bars above belong to windows of all variables, those on the right to whole variables. A text is a heat map of
    its words.

    Args:
        classifier: a trained `Classifier` of series or texts. The numbers are those of its `occlusion`.
        row: one series [T, D] or [T], or one text.
        label: class to explain; None for the predicted one.
        window: steps of a window; None for a twentieth of the series.
    Returns:
        a matplotlib Figure; `figure.savefig("occlusion.png")` writes it.
    Raises:
        ValueError: as `Classifier.occlusion`.
        ModuleNotFoundError: matplotlib is not installed.
    """
    found = classifier.occlusion(row, label=label, window=window)
    title = title or f"class {short_name(found.label)}: probability {found.probability:.3f}"
    return _text(found, title) if found.series is None else _series(found, title)


def _series(found: Any, title: str) -> Any:
    from elman.pictures.figure import Figure

    series, edges, variables = found.series, found.edges, len(found.names)
    most = _most(found.importance)
    height = float(np.clip(0.35 * variables, 1, 12))
    figure = Figure(figsize=(9, height + 2.2), layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes = figure.subplots(2, 2, width_ratios=[6, 1], height_ratios=[0.9, height], sharex="col", sharey="row")
    (above, corner), (axis, right) = axes
    corner.set_axis_off()
    lines = np.arange(variables + 1) - 0.5
    picture = axis.pcolormesh(edges - 0.5, lines, found.importance.T, cmap="RdBu_r", vmin=-most, vmax=most)
    for number in range(variables if variables <= DRAWN else 0):
        axis.plot(number - 0.4 * _scaled(series[:, number]), color="black", linewidth=0.8)
    axis.set(xlabel="step", xlim=(-0.5, len(series) - 0.5), ylim=(variables - 0.5, -0.5))
    if variables <= NAMED:
        axis.set_yticks(range(variables), [short_name(name) for name in found.names], parse_math=False)
    above.stairs(found.by_time, edges - 0.5, fill=True, color="tab:gray")
    above.set_title("all variables", fontsize="medium")
    right.barh(range(variables), found.by_variable, color="tab:gray")
    right.set_title("all steps", fontsize="medium")
    figure.colorbar(picture, ax=axes, label="fall of the probability", shrink=0.8)
    return figure


def _text(found: Any, title: str) -> Any:
    from elman.pictures.figure import Figure

    words, falls = [short_name(word) for word in found.names], found.importance[:, 0]
    parts = [slice(start, start + WORDS) for start in range(0, len(words), WORDS)]
    width, most = min(len(words), WORDS), _most(falls)
    letters = LETTER_WIDTH * max(map(len, words))
    figure = Figure(figsize=(1.6 + 0.25 * max(width, 12), 0.8 + len(parts) * (0.6 + letters)), layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes = figure.subplots(len(parts), squeeze=False)[:, 0]
    for axis, part in zip(axes, parts, strict=True):
        picture = axis.imshow(falls[None, part], cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        own = words[part]
        axis.set_xticks(range(len(own)), own, rotation=90, fontsize=LETTER, parse_math=False)
        axis.set_yticks([])
        axis.set_xlim(-0.5, width - 0.5)
    figure.colorbar(picture, ax=list(axes), label="fall of the\nprobability")
    return figure


def _most(falls: np.ndarray) -> float:
    """Return the end of the colour scale."""
    return max(float(np.abs(falls).max()), 0.01)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Return values between -1 and 1, with gaps where they are missing."""
    low, high = (
        function(values[~np.isnan(values)], initial=at) for function, at in ((np.min, np.inf), (np.max, -np.inf))
    )
    return 2 * (values - low) / (high - low) - 1 if high > low else np.zeros_like(values)
