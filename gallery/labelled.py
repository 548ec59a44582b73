"""Shared parts of the programs for labelled data: training by the command line, and receipts over several seeds."""

import json
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import receipt  # before PyTorch: elman.cli configures how its threads wait

# isort: split
from elman.cli import main
from elman.tasks import load


class Run(NamedTuple):
    """Model trained by `elman train`."""

    model: Any
    folder: Path
    minutes: float
    command: str  # with DIR and runs for the folders


def train(words: Sequence[str | Path], folder: Path, data: Path) -> Run:
    """Run `elman train WORDS --out FOLDER`, unless the folder has a finished run already."""
    command = ["elman", "train", *map(str, words), "--out", str(folder)]
    shown = shlex.join(command).replace(str(data), "DIR").replace(str(folder.parent), "runs")
    print(f"\n$ {shown}", flush=True)
    if not any(event.get("progress") == 1 for event in _events(folder)):
        try:
            main(command[1:])
        except SystemExit as end:  # the command line ends the process
            if end.code:
                raise
    return Run(load(folder), folder, _events(folder)[-1]["seconds"] / 60, shown)


def write(
    name: str, measure: str, at_least: float, runs: Sequence[Run], scores: Sequence[float], *, middle: str,
    classical: Mapping[str, float] | None = None, published: float | None = None, more: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write the receipt of runs that differ in their seed.

    It has the mean or the median of their scores, those of classical models, and the names of the best and the worst
    model. The picture shows the scores and the error on the held-out part.

    Args:
        middle: `mean` or `median`.
        scores: score of each run, on a part that was not used to choose anything.
        classical: scores of classical models on the same part, by name.
    """
    reached = getattr(statistics, middle)(scores)
    every = {**(classical or {}), "net": reached}
    words = f"{measure}, {middle} of {len(scores)} seeds" if len(scores) > 1 else measure
    print(f"\n{words}: " + ", ".join(f"{model} {score:.4f}" for model, score in every.items()))
    facts = {
        "command": f"python gallery/{name}.py --data DIR",
        "trained_by": [run.command for run in runs],
        "result": {"measure": words, "published": published, "at_least": at_least, "reached": round(reached, 4)},
        "scores": [round(score, 4) for score in scores],
        "held_out_best": [None if run.model is None else _best(run.folder) for run in runs],
        **(_compared(classical, every) if classical else {}),
        **(more or {}),
        "training_minutes": round(sum(run.minutes for run in runs), 2),
    }
    receipt.write_with_figure(name, facts, _figure(words, at_least, runs, every))


def _compared(classical: Mapping[str, float], every: Mapping[str, float]) -> dict[str, Any]:
    best = max(classical, key=lambda model: classical[model])
    return {
        "classical": {model: round(score, 4) for model, score in classical.items()},
        "better": "net" if every["net"] > classical[best] else best,
        "loser": min(every, key=lambda model: every[model]),
    }


def _figure(measure: str, at_least: float, runs: Sequence[Run], scores: Mapping[str, float]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    bars, curves = figure.subplots(1, 2)
    colors = ["tab:blue" if model == "net" else "tab:gray" for model in scores]
    places = bars.barh(list(scores), [100 * score for score in scores.values()], color=colors)
    bars.bar_label(places, fmt="%.1f", padding=3)
    bars.axvline(100 * at_least, color="tab:red", linestyle="--", label="target")
    bars.margins(x=0.15)
    bars.set(xlabel="%", title=measure)
    bars.legend()
    chosen = [name for run in runs for event in _evaluations(run.folder) for name in event["evaluation"]]
    for run in runs:
        events = _evaluations(run.folder) if chosen else _events(run.folder)
        points = {event["epoch"]: event["evaluation"][chosen[0]] if chosen else event["loss"]
                  for event in events if chosen or "loss" in event}  # the last of an epoch  # fmt: skip
        if points:
            curves.plot(list(points), list(points.values()), label=run.folder.name)
    curves.set(xlabel="epochs", title=f"{chosen[0]}, validation" if chosen else "training loss")
    curves.grid(alpha=0.3)
    curves.legend()
    return figure


def _events(folder: Path) -> list[dict[str, Any]]:
    log = folder / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _evaluations(folder: Path) -> list[dict[str, Any]]:
    return [event for event in _events(folder) if "evaluation" in event]


def _best(folder: Path) -> float | None:
    evaluations = _evaluations(folder)
    return round(evaluations[-1]["best"], 4) if evaluations else None
