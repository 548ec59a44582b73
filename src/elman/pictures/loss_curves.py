"""Curves of a training run, from its log: training loss and evaluations."""

from pathlib import Path
from typing import Any

import numpy as np

from elman.data.run_log import log_of, read_log

POINTS = 300  # of the training loss; each is a mean over neighbours


def loss_curves(run: str | Path, baseline: float | None = None, name: str = "") -> Any:
    """Draw the training loss, the evaluations on the validation set, and a baseline.

    An evaluation in nats, such as `nats per unit`, shares the axis of the training loss. Any other has an axis of its
    own, on the right, with its name and direction.

    Args:
        run: run folder, or the `log.jsonl` in one.
        baseline: evaluation of another model, in the unit of those in the log.
        name: name of that model.
    Returns:
        a matplotlib `Figure`.
    Raises:
        FileNotFoundError: there is no such run folder or log.
        ValueError: no update is logged, or a line is damaged.
        ModuleNotFoundError: matplotlib is not installed.
    """
    from elman.pictures.figure import Figure

    log = log_of(run)
    events = read_log(log)
    updates = [(event["update"], event["loss"]) for event in events if "loss" in event]
    if not updates:
        raise ValueError(f"{log}: expected at least one update, got none; train first.")
    evaluations = [event for event in events if "evaluation" in event]  # "evaluation": {name: value}
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    lines = axes.plot(*_means(updates), label="training loss", color="tab:blue", linewidth=1)
    axes.set(xlabel="updates", ylabel="training loss", title=f"{log.resolve().parent.name}: {updates[-1][0]:,} updates")
    if evaluations:
        (score,) = evaluations[0]["evaluation"]
        points = [(event["update"], event["evaluation"][score]) for event in evaluations]
        right = axes if score.startswith("nats") else axes.twinx()
        label = f"{score}, validation"
        lines += right.plot(*zip(*points, strict=True), label=label, color="tab:orange", marker="o", markersize=4)
        if baseline is not None:
            lines.append(right.axhline(baseline, label=f"{name}, validation", color="tab:gray", linestyle="--"))
        if right is axes:
            lowest = min([value for _, value in points] + ([] if baseline is None else [baseline]))
            axes.set_ylim(0.8 * lowest, 2.2 * lowest)
            axes.set_ylabel(score)
        else:
            better = "higher" if evaluations[0]["higher_is_better"] else "lower"
            right.set_ylabel(f"{score} ({better} is better)")
    axes.grid(alpha=0.3)
    axes.legend(handles=lines)
    return figure


def _means(points: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
    parts = np.array_split(np.array(points), min(POINTS, len(points)))
    updates, losses = zip(*(part.mean(0).tolist() for part in parts), strict=True)
    return list(updates), list(losses)
