"""What several rules ask."""

import math
import re
from collections.abc import Callable

import numpy as np

from elman.doctor.examination import Examination, Layer
from elman.doctor.facts import Facts
from elman.doctor.verdict import Verdict

Rule = Callable[[Examination, Facts], Verdict | None]

MATTERS = 0.01  # of the loss: what memory must be worth to be worth a word
MOST = 0.9  # of what memory is worth


def used(found: Examination) -> int | None:
    """The shortest context with nine tenths of what the model's memory is worth; None where it is worth nothing, or
    was not measured. The last tenth is often a long tail that no verdict should hang on."""
    if (seen := found.context) is None or worth(found) is None:
        return None
    worst = float(np.nanmax(seen.losses))
    enough = seen.losses <= worst - MOST * (worst - seen.whole)
    short = np.flatnonzero(~enough)
    return int(seen.lengths[min(int(short.max(initial=-1)) + 1, len(enough) - 1)])


def worth(found: Examination) -> float | None:
    """How much higher the loss is with a context of one step, where that matters."""
    if (seen := found.context) is None or not len(seen.losses):
        return None
    gap = float(np.nanmax(seen.losses)) - seen.whole
    return gap if gap > MATTERS * max(abs(seen.whole), abs(float(seen.losses[0]))) else None


def farthest(found: Examination) -> list[Layer]:
    """Of layers on top of one another, and of those that read from both ends, the one whose gradient reaches furthest:
    what one of them carries the others need not."""
    layers: dict[str, Layer] = {}
    for layer in found.layers:
        if math.isnan(layer.reach):
            continue
        group = _group(layer)
        if group not in layers or layer.reach > layers[group].reach:
            layers[group] = layer
    return list(layers.values())


def late(found: Examination, layer: Layer) -> bool:
    """Whether the loss comes at the end of the rows alone: this layer, or one above it, sees it at one step of each, or
    two."""
    together = [other for other in found.layers if _group(other) == _group(layer)]
    return any(other.longest > 4 and other.judged * other.longest <= 2 for other in together)


def _group(layer: Layer) -> str:
    """Layers are together whose paths begin alike, as `cells.0` and `cells.2`, or `rnn1` and `rnn2`, and apart as
    `encoder.l0` and `decoder.l0`."""
    return re.sub(r"\d+$", "", layer.name.partition(".")[0])


def many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
