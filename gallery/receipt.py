"""Receipts of gallery programs: a JSON file with figures, data, settings and versions, and a picture."""

import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import elman.cli  # noqa: F401  before PyTorch: it configures how its threads wait

# isort: split
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from elman.pictures import loss_curves
from elman.tasks import LanguageModel
from elman.training.optimizer import clip, gradient_norm, gradients_of, make_optimizers

RECEIPTS = Path(__file__).parent / "receipts"
UPDATES = 30  # updates over which the speed of plain PyTorch is the median


def data_folder(given: Path | None) -> Path:
    """Return the folder of data sets, from `--data` or the environment variable ELMAN_DATA."""
    named = given or os.environ.get("ELMAN_DATA")
    if named is None:
        raise SystemExit("no data: name the folder with --data DIR or in the environment variable ELMAN_DATA.")
    return Path(named)


def run_folder(name: str, given: Path | None) -> Path:
    """Return the run folder from `--run`, or the first of `runs/<name>-1`, `-2`, ... that does not exist yet."""
    return given or next(folder for n in count(1) if not (folder := Path("runs") / f"{name}-{n}").exists())


def write(name: str, facts: dict[str, Any], run: Path, baseline: float | None = None, baseline_name: str = "") -> None:
    """Write `receipts/<name>.json` with facts, versions and machine, and a picture of the loss curve of the run.

    Args:
        name: name of the program.
        facts: JSON-able. `result` has the `measure`, the value `reached`, the target (`at_most` or `at_least`), and the
            `published` value, or None.
        run: run folder.
        baseline: loss of a baseline on the validation part, in nats per unit.
        baseline_name: its label in the picture.
    """
    loss_curves(run / "log.jsonl", baseline, baseline_name).savefig(_picture(name), dpi=120)
    _write(name, facts)


def write_with_figure(name: str, facts: dict[str, Any], figure: Any) -> None:
    """Write the receipt of a model without a loss curve, with a matplotlib Figure as its picture."""
    figure.savefig(_picture(name), dpi=120)
    _write(name, facts)


def _picture(name: str) -> Path:
    RECEIPTS.mkdir(exist_ok=True)
    return RECEIPTS / f"{name}.png"


def _write(name: str, facts: dict[str, Any]) -> None:
    path = RECEIPTS / f"{name}.json"
    machine = {"processor": _processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    packages = ("elman", "torch", "numpy", "scipy")
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    path.write_text(json.dumps({**facts, "machine": machine, "versions": versions}, indent=2) + "\n")
    result = facts["result"]
    if "at_least" in result:
        missed, target = result["reached"] < result["at_least"], f"at least {result['at_least']:g}"
    else:
        missed, target = result["reached"] > result["at_most"], f"at most {result['at_most']:g}"
    print(f"\n{'MISSED' if missed else 'reached'}: {result['measure']} {result['reached']:.4g}, target {target}.")
    print(f"Receipt: {path} and {path.with_suffix('.png').name}")


def speeds(model: LanguageModel, run: Path) -> dict[str, int]:
    """Return the units per second in training: in the updates of the run, and in plain PyTorch."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    updates = [event for event in events if "loss" in event]
    seconds = sum(event["steps"] / event["steps_per_second"] for event in updates)
    return {"elman": round(sum(event["steps"] for event in updates) / seconds), "torch.nn": round(_torch_speed(model))}


def _torch_speed(model: LanguageModel) -> float:
    """Return the speed of `torch.nn` with the same sizes, rows and steps of a window, optimiser and threads."""
    size, vocabulary = model.net_.cells[0].output_size, model.units_.size
    between = model.dropout if model.num_layers > 1 else 0.0
    embedding = nn.Embedding(vocabulary, size)
    recurrent = nn.LSTM(size, model.hidden_size, model.num_layers, dropout=between)
    readout = nn.Linear(model.hidden_size, vocabulary)
    net = nn.ModuleList([embedding, recurrent, readout])
    (optimizer,), weights = make_optimizers(net, model), list(net.parameters())
    ids = torch.randint(vocabulary, (model.steps + 1, model.streams))
    state, seconds = None, []
    for _ in range(UPDATES):
        began = time.perf_counter()
        optimizer.zero_grad()
        y, (h, c) = recurrent(dropout(embedding(ids[:-1]), model.embedding_dropout), state)
        state = h.detach(), c.detach()
        logits = readout(dropout(y, model.dropout)).flatten(0, 1)
        cross_entropy(logits, ids[1:].flatten()).backward()
        gradients = gradients_of(weights)
        clip(gradients, gradient_norm(gradients), model)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return model.steps * model.streams / statistics.median(seconds)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
