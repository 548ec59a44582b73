"""What a gallery run leaves behind: a JSON file with its figures and on what they were measured, and a picture."""

import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from elman.cli.curves import draw  # before PyTorch: elman.cli says how its threads wait

# isort: split
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from elman.tasks import LanguageModel
from elman.training.optimizer import clip, gradient_norm, gradients_of, make_optimizers

RECEIPTS = Path(__file__).parent / "receipts"
UPDATES = 30  # that the pace of plain PyTorch is the median of


def data_folder(given: Path | None) -> Path:
    """The folder of real data sets, from `--data` or the environment variable ELMAN_DATA."""
    named = given or os.environ.get("ELMAN_DATA")
    if named is None:
        raise SystemExit("no data: name the folder with --data DIR, or in the environment variable ELMAN_DATA.")
    return Path(named)


def run_folder(name: str, given: Path | None) -> Path:
    """The run folder from `--run`, or the first of `runs/<name>-1`, `-2`, ... that is not there yet."""
    return given or next(folder for n in count(1) if not (folder := Path("runs") / f"{name}-{n}").exists())


def write(name: str, facts: dict[str, Any], run: Path, bar: float | None = None, bar_name: str = "") -> None:
    """Write `receipts/<name>.json`: the facts, the versions and the machine; beside it the loss curve of the run.

    Args:
        facts: `result` among them: the `measure`, what was `reached`, what is aimed at, which is `at_most` as much or
            `at_least`, and what is `published`, or None.
        bar: to beat on the validation part, in nats a unit.
    """
    draw(run / "log.jsonl", _picture(name), bar, bar_name)
    _write(name, facts)


def write_with_figure(name: str, facts: dict[str, Any], figure: Any) -> None:
    """The same of a model without a loss curve: beside the facts a matplotlib Figure."""
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
        missed, aim = result["reached"] < result["at_least"], f"{result['at_least']:g} at least"
    else:
        missed, aim = result["reached"] > result["at_most"], f"{result['at_most']:g} at most"
    print(f"\n{'MISSED' if missed else 'reached'}: {result['measure']} {result['reached']:.4g}, aimed at {aim}.")
    print(f"Receipt: {path} and {path.with_suffix('.png').name}")


def paces(model: LanguageModel, run: Path) -> dict[str, int]:
    """Units that a second of training took in: in the updates of the run, and in plain PyTorch."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    updates = [event for event in events if "loss" in event]
    seconds = sum(event["steps"] / event["steps_per_second"] for event in updates)
    return {"elman": round(sum(event["steps"] for event in updates) / seconds), "torch.nn": round(_plain_pace(model))}


def _plain_pace(model: LanguageModel) -> float:
    """Of `torch.nn` at the same task: the sizes, the rows and steps of a window, the optimiser and the threads."""
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
