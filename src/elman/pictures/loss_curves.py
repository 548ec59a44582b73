"""Loss curves of a training run, from its log."""

import json
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 300  # of the training loss; each is a mean over neighbours


def loss_curves(log: Path, baseline: float | None = None, name: str = "") -> Any:
    """Draw training and validation loss in nats per unit, and a baseline.

    Args:
        log: `log.jsonl` of a run folder.
        baseline: validation loss of another model, in nats per unit.
        name: name of that model.
    Returns:
        a matplotlib `Figure`.
    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    events: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    updates = [(event["update"], event["loss"]) for event in events if "loss" in event]
    evaluations = [(event["update"], event["evaluation"]) for event in events if "evaluation" in event]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*_means(updates), label="training", color="tab:blue", linewidth=1)
    if evaluations:
        axes.plot(*zip(*evaluations, strict=True), label="validation", color="tab:orange", marker="o", markersize=4)
        lowest = min([value for _, value in evaluations] + ([] if baseline is None else [baseline]))
        axes.set_ylim(0.8 * lowest, 2.2 * lowest)
    if baseline is not None:
        axes.axhline(baseline, label=f"{name}, validation", color="tab:gray", linestyle="--")
    axes.set(xlabel="updates", ylabel="nats per unit", title=f"{log.parent.name}: {updates[-1][0]:,} updates")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _means(points: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
    parts = np.array_split(np.array(points), min(POINTS, len(points)))
    updates, losses = zip(*(part.mean(0).tolist() for part in parts), strict=True)
    return list(updates), list(losses)
