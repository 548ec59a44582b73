"""What a gallery run leaves behind: a JSON file with its figures and on what they were measured, and its loss curve."""

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
from elman.training.optimizer import clip, gradient_norm, make_optimizer

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
        facts: `result` among them: the `measure`, what was `reached`, `at_most` as much as is aimed at, and what is
            `published`, or None.
        bar: to beat on the validation part, in nats a unit.
    """
    RECEIPTS.mkdir(exist_ok=True)
    path = RECEIPTS / f"{name}.json"
    draw(run / "log.jsonl", path.with_suffix(".png"), bar, bar_name)
    machine = {"processor": _processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    versions = {"python": platform.python_version(), **{name: version(name) for name in ("elman", "torch", "numpy")}}
    path.write_text(json.dumps({**facts, "machine": machine, "versions": versions}, indent=2) + "\n")
    result = facts["result"]
    verdict = "MISSED" if result["reached"] > result["at_most"] else "reached"
    print(f"\n{verdict}: {result['measure']} {result['reached']:.4g}, aimed at {result['at_most']:g} at most.")
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
    optimizer, weights = make_optimizer(net, model), list(net.parameters())
    ids = torch.randint(vocabulary, (model.steps + 1, model.streams))
    state, seconds = None, []
    for _ in range(UPDATES):
        began = time.perf_counter()
        optimizer.zero_grad()
        y, (h, c) = recurrent(dropout(embedding(ids[:-1]), model.embedding_dropout), state)
        state = h.detach(), c.detach()
        logits = readout(dropout(y, model.dropout)).flatten(0, 1)
        cross_entropy(logits, ids[1:].flatten()).backward()
        clip(weights, gradient_norm(weights), model)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return model.steps * model.streams / statistics.median(seconds)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
