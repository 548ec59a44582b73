"""Trials: one net on one problem at one lag, with one seed. Each writes a file, and runs only once."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

import elman
from elman.files import replacing
from memory_trials import classifier, language_model, tagger
from memory_trials.nets import NETS

PROBLEMS = {
    "adding": classifier.adding,
    "temporal order": classifier.temporal_order,
    "copying": tagger.copying,
    "agreement": language_model.agreement,
    "addition": tagger.addition,
    "counting": language_model.counting,
}


class Trial(NamedTuple):
    problem: str
    lag: int  # of the rows; the longest in training if it varies
    net: str
    seed: int

    @property
    def file(self) -> str:
        return f"{self.problem}-{self.lag}-{self.net}-{self.seed}.json".replace(" ", "_").replace(",", "")


def trials(settings: dict[str, dict[str, Any]], only: str | None = None) -> list[Trial]:
    """Return all trials: those of the first seed first, and among them last the ones with a single seed."""
    every = [
        (seed, -seeds, Trial(problem, int(lag), net, seed))
        for problem, own in settings.items()
        for lag, seeds in own["seeds"].items()
        for net in own.get("nets", {}).get(lag, NETS)
        for seed in range(seeds)
        if only in (None, problem)
    ]
    return [trial for *_, trial in sorted(every, key=lambda one: one[:2])]


def run(trial: Trial, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train and evaluate, unless the folder has the outcome of these settings already."""
    path = folder / trial.file
    if (found := outcome(trial, settings, folder)) is not None:
        return found
    began, worked = time.perf_counter(), time.process_time()
    course, success, more = PROBLEMS[trial.problem](trial.net, trial.lag, trial.seed, settings)
    facts = {
        **trial._asdict(),
        "success": success,
        **more,
        **course._asdict(),
        "minutes": (time.perf_counter() - began) / 60,
        "processor_minutes": (time.process_time() - worked) / 60,
        "settings": settings,
    }
    with replacing(path) as file:
        file.write(json.dumps(facts).encode())
    return json.loads(path.read_text())


def outcome(trial: Trial, settings: dict[str, Any], folder: Path) -> dict[str, Any] | None:
    """Return the outcome of an earlier run with the same training; None if there is none."""
    path = folder / trial.file
    facts = json.loads(path.read_text()) if path.exists() else None
    return facts if facts and _training(facts["settings"]) == _training(settings) else None


def _training(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ("seeds", "nets")}


def run_all(
    some: Iterable[Trial], settings: dict[str, dict[str, Any]], folder: Path, jobs: int
) -> Iterable[dict[str, Any]]:
    """Yield outcomes in order of completion, with `jobs` trials at a time, each in one thread."""
    waiting = [(trial, settings[trial.problem], folder) for trial in some]
    if jobs == 1:
        yield from (run(*words) for words in waiting)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread) as pool:
        yield from (done.result() for done in as_completed([pool.submit(run, *words) for words in waiting]))


def _one_thread() -> None:
    torch.set_num_threads(1)
    elman.set_num_threads(1)
