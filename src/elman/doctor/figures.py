"""The figures of an examination, plain enough for JSON and for a table."""

import math
from typing import Any

import numpy as np

from elman.doctor.examination import Examination, Layer


def to_json(found: Examination) -> dict[str, Any]:
    """Everything but what single units did at single steps. What is infinite, as the horizon of a gradient that does
    not fade, is the text `inf`; what is not known is None."""
    seen = found.context
    return _plain({
        "verdicts": [verdict._asdict() for verdict in found.verdicts()],
        "loss": found.loss,
        "layers": [_layer(layer) for layer in found.layers],
        "unseen": found.unseen,
        "context": None if seen is None else {**seen._asdict(), "needed": seen.needed if len(seen.lengths) else None},
        "training": _training(found),
        "seconds": found.seconds,
    })  # fmt: skip


def _layer(layer: Layer) -> dict[str, Any]:
    gates = {
        name: {"mean": gate.mean, "open": gate.open, "shut": gate.shut, "histogram": gate.histogram,
               "half_life": gate.half_life}
        for name, gate in layer.gates.items()
    }  # fmt: skip
    return {
        "name": layer.name,
        "kind": layer.kind,
        "longest": layer.longest,
        "judged": layer.judged,
        "reach": layer.reach,
        "horizon": layer.horizon,
        "half_life": layer.half_life,
        "growth": layer.growth,
        "gradient_by_lag": layer.lags.curve,
        "jacobians": layer.jacobians._asdict(),
        "bound": None if layer.bound is None else layer.bound._asdict(),
        "gates": gates,
        "units": {
            "dead": int(layer.units.dead.sum()),
            "saturated": float(layer.units.saturated.mean()) if len(layer.units.saturated) else 0.0,
            "drift": layer.units.drift,
            "growth": layer.units.growth,
        },
    }


def _training(found: Examination) -> dict[str, Any] | None:
    past = found.facts.history
    if past is None:
        return None
    known = {"unrolled": found.facts.unrolled, "clip_norm": found.facts.clip_norm, "updates": len(past.updates)}
    return known | {"clipped": past.clipped, "cut": past.cut, "non_finite": past.non_finite}


def _plain(value: Any) -> Any:
    """The same in dictionaries, lists, numbers and texts."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return float(f"{value:.6g}") if math.isfinite(value) else f"{value}"
    return value
