"""Figures of an examination as plain data for JSON."""

import math
from typing import Any

import numpy as np

from elman.doctor.findings import Findings, Layer
from elman.doctor.rules import verdicts


def to_json(findings: Findings) -> dict[str, Any]:
    """Return all figures except those of single units at single steps.

    Infinity, such as the horizon of a gradient that does not decay, is the text `inf`; unknown values are None.
    """
    context = findings.context
    return _plain({
        "verdicts": [verdict._asdict() for verdict in verdicts(findings)],
        "loss": findings.loss,
        "layers": [_layer(layer) for layer in findings.layers],
        "skipped": findings.skipped,
        "context": context and {**context._asdict(), "needed": context.needed if len(context.lengths) else None},
        "training": _training(findings),
        "seconds": findings.seconds,
    })  # fmt: skip


def _layer(layer: Layer) -> dict[str, Any]:
    gates = {
        name: {"mean": gate.mean, "open": gate.open, "closed": gate.closed, "histogram": gate.histogram,
               "half_life": gate.half_life}
        for name, gate in layer.gates.items()
    }  # fmt: skip
    return {
        "name": layer.name,
        "cell": layer.cell.class_name,
        "input_size": layer.cell.input_size,
        "output_size": layer.cell.output_size,
        "longest": layer.longest,
        "supervised": layer.supervised,
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
            "state_norm": layer.units.state_norm,
            "norm_growth": layer.units.norm_growth,
        },
    }


def _training(findings: Findings) -> dict[str, Any] | None:
    facts, history = findings.facts, findings.facts.history
    if history is None:
        return None
    return {
        "unrolled": facts.unrolled,
        "clip_norm": facts.clip_norm,
        "updates": len(history.updates),
        "clipped": history.clipped,
        "clip_ratio": history.clip_ratio,
        "non_finite": history.non_finite,
    }


def _plain(value: Any) -> Any:
    """Return the same as dictionaries, lists, numbers and text."""
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
