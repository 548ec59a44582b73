"""Quantities that several rules use."""

import math
import re
from collections.abc import Callable

import numpy as np

from elman.doctor.findings import Findings, Layer, Verdict

Rule = Callable[[Findings], Verdict | None]

MATTERS = 0.01  # fraction of the loss; a smaller gain from memory is ignored
MOST = 0.9  # fraction of the gain from memory


def used_context(findings: Findings) -> int | None:
    """Return the shortest context with 90 % of the gain from memory; None if there is no gain, or no measurement.

    The last 10 % often have a long tail, and no verdict should depend on it.
    """
    if (context := findings.context) is None or memory_gain(findings) is None:
        return None
    worst = float(np.nanmax(context.losses))
    enough = context.losses <= worst - MOST * (worst - context.full)
    short = np.flatnonzero(~enough)
    return int(context.lengths[min(int(short.max(initial=-1)) + 1, len(enough) - 1)])


def memory_gain(findings: Findings) -> float | None:
    """Return the loss with the worst context minus that with the full one; None if it is below 1 % of the loss."""
    if (context := findings.context) is None or not len(context.losses):
        return None
    gap = float(np.nanmax(context.losses)) - context.full
    return gap if gap > MATTERS * max(abs(context.full), abs(float(context.losses[0]))) else None


def farthest(findings: Findings) -> list[Layer]:
    """Return, per group of stacked layers or directions, the layer whose gradient reaches furthest.

    It is enough that one layer of a group carries information over a distance.
    """
    layers: dict[str, Layer] = {}
    for layer in findings.layers:
        if math.isnan(layer.reach):
            continue
        group = _group(layer)
        if group not in layers or layer.reach > layers[group].reach:
            layers[group] = layer
    return list(layers.values())


def loss_at_end(findings: Findings, layer: Layer) -> bool:
    """Return whether the loss reaches only one or two steps of each row, in this layer or in one of its group."""
    together = [other for other in findings.layers if _group(other) == _group(layer)]
    return any(other.longest > 4 and other.supervised * other.longest <= 2 for other in together)


def _group(layer: Layer) -> str:
    """Return the first part of a layer's path without digits: `cells.0` and `cells.2`, or `rnn1` and `rnn2`, form a
    group; `encoder.l0` and `decoder.l0` do not."""
    return re.sub(r"\d+$", "", layer.name.partition(".")[0])


def count_of(number: int, noun: str) -> str:
    """Return a count with its noun: `1 step`, `1,000 steps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
