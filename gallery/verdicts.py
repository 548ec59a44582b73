"""Accuracy of the doctor's verdicts: each rule on ten failing models, and all rules on healthy ones.

    python gallery/verdicts.py --jobs 2

Each failing model fails by construction, and the rule that should report it was decided before it was examined:
recurrent matrices of norm 0.4 or 1.3, gates held by their biases, units that a ReLU switches off, a unit that counts
and misleads, rows that need no memory, gradients clipped at 0.001, an optimiser with the weights of a copy. The models
are the nets of `Classifier`, `Tagger` and `LanguageModel`, and plain PyTorch modules with layers of `torch.nn` or cells
of elman, untrained or trained by a plain loop. Rows are letters, words, brackets, numbers and waves.

A *hit* is a failing model that its rule reports, a *miss* one that it does not. A *false alarm* is any other rule that
reports a model, unless that verdict is right too: a state that is multiplied by 1.2 at each step also makes gradients
explode. These rules were decided beforehand as well. Healthy models were trained until 90 % of their outputs were
right; those that did not get there are left out and named. No case was changed after the first count.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import receipt  # before PyTorch: elman.cli sets how its threads wait

# isort: split
import numpy as np
import torch
from cases import failing_gradients, failing_memory, failing_training, failing_units, healthy

from elman.doctor import examine
from elman.doctor.findings import HEALTHY

NAME = "verdicts"
AT_LEAST = 0.8  # of the failing models are detected
PROBES = 16
CASES = [
    *failing_training.CASES,
    *failing_gradients.CASES,
    *failing_memory.CASES,
    *failing_units.CASES,
    *healthy.CASES,
]
RULES = [*dict.fromkeys(case.failing for case in CASES if case.failing)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="models at a time, each in one thread")
    given = parser.parse_args(arguments)
    os.environ |= {"OMP_NUM_THREADS": "1", "ELMAN_NUM_THREADS": "1"}  # of the worker processes
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        found = []
        for number, one in enumerate(pool.map(diagnose, range(len(CASES))), start=1):
            found.append(one)
            reported = one["error"] or ", ".join(one["reported"]) or "healthy"
            print(f"{number} of {len(CASES)}, {one['failing'] or 'healthy'}: {one['name']}: {reported}", flush=True)
    write(found)


def diagnose(number: int) -> dict[str, Any]:
    """Build the model of a case, examine it, and return the rules that report it."""
    case, began = CASES[number], time.process_time()
    torch.manual_seed(number)
    torch.set_num_threads(1)
    facts = {"failing": case.failing, "name": case.name, "also": sorted(case.also), "good": None}
    with TemporaryDirectory() as folder:
        made = case.make(np.random.default_rng(number), Path(folder))
        facts["good"] = None if made.good is None or case.failing else round(made.good, 3)
        try:
            verdicts = examine(made.net, made.loss, probes=PROBES, facts=made.facts).verdicts()
            facts |= {"reported": [verdict.rule for verdict in verdicts if verdict.level != HEALTHY], "error": None}
        except Exception as error:  # a miss, whatever it is
            facts |= {"reported": [], "error": f"{type(error).__name__}: {error}"}
    return {**facts, "seconds": round(time.process_time() - began, 2)}


def counted(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count, for each rule, hits and misses on its ten cases, and false alarms on healthy and on other failing
    models."""
    good = [one for one in found if one["failing"] is None and one["good"] >= healthy.GOOD]
    table = {}
    for rule in RULES:
        own = [one for one in found if one["failing"] == rule]
        others = [one for one in found if one["failing"] not in (None, rule) and rule not in one["also"]]
        hits = sum(rule in one["reported"] for one in own)
        table[rule] = {
            "hits": hits,
            "misses": len(own) - hits,
            "false_alarms_on_healthy": sum(rule in one["reported"] for one in good),
            "healthy": len(good),
            "false_alarms_on_others": sum(rule in one["reported"] for one in others),
            "others": len(others),
        }
    return table


def write(found: Sequence[dict[str, Any]]) -> None:
    table = counted(found)
    print(f"\n{'rule':17}{'hits':>5}{'misses':>8}{'false alarms on healthy':>25}{'on others':>16}")
    for rule, row in table.items():
        alarms = f"{row['false_alarms_on_healthy']} of {row['healthy']}"
        others = f"{row['false_alarms_on_others']} of {row['others']}"
        print(f"{rule:17}{row['hits']:5}{row['misses']:8}{alarms:>25}{others:>16}")
    failing = sum(row["hits"] + row["misses"] for row in table.values())
    not_failing = [one for one in found if one["failing"] is None]
    facts = {
        "command": f"python gallery/{NAME}.py",
        "result": {"measure": "failing models, by construction, that their rule detects", "published": None,
                   "at_least": AT_LEAST, "reached": round(sum(row["hits"] for row in table.values()) / failing, 4)},
        "rules": table,
        "healthy_without_any_alarm": sum(not one["reported"] for one in not_failing if one["good"] >= healthy.GOOD),
        "not_trained_well_enough": [one["name"] for one in not_failing if one["good"] < healthy.GOOD],
        "missed": {rule: [one["name"] for one in found if one["failing"] == rule and rule not in one["reported"]]
                   for rule in RULES},
        "models": [{name: one[name] for name in ("failing", "name", "also", "good", "reported", "error")} for one in
        found], "training_minutes": round(sum(one["seconds"] for one in found) / 60, 2),
    }  # fmt: skip
    receipt.write_with_figure(NAME, facts, figure(found, table))


def figure(found: Sequence[dict[str, Any]], table: dict[str, dict[str, int]]) -> Any:
    """Draw the true problem of the models against the rules that reported them."""
    from matplotlib.figure import Figure

    rows = [*RULES, None]
    good = [one for one in found if one["failing"] or one["good"] >= healthy.GOOD]
    some = {failing: [one for one in good if one["failing"] == failing] for failing in rows}
    reported = np.array([[sum(rule in one["reported"] for one in some[failing]) for rule in RULES] for failing in rows])
    wrong = np.array([[sum(rule in one["reported"] and rule not in one["also"] for one in some[failing])
                       for rule in RULES] for failing in rows])  # fmt: skip
    shares = wrong / np.array([max(len(some[failing]), 1) for failing in rows])[:, None]
    colors = np.ones((*reported.shape, 3))
    colors[..., 1:] -= 0.7 * shares[..., None]  # alarms are red
    for place, rule in enumerate(RULES):
        colors[place, place] = 1 - np.array([0.7, 0.2, 0.7]) * table[rule]["hits"] / max(len(some[rule]), 1)
    page = Figure(figsize=(10, 8), layout="constrained")
    axes = page.subplots()
    axes.imshow(colors)
    for row, column in np.argwhere(reported > 0):
        true = reported[row, column] - wrong[row, column] if row != column else 0
        text = f"{reported[row, column]}" if not true else f"{wrong[row, column] or ''}({true})"
        axes.text(column, row, text, ha="center", va="center", fontsize=9)
    names = [f"{failing or 'healthy'} ({len(some[failing])})" for failing in rows]
    axes.set_xticks(range(len(RULES)), RULES, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), names)
    axes.set(xlabel="rule that reports the model", ylabel="true problem (number of models)",
             title="Hits are green, false alarms red; in brackets, verdicts that are right too")  # fmt: skip
    return page


if __name__ == "__main__":
    main()
