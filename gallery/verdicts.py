"""How often is the doctor right? Each rule on ten models that it was not written for, and all of them on healthy ones.

    python gallery/verdicts.py --jobs 2

What a model is ill of is settled by how it is made, before it is looked at: recurrent matrices of a norm of 0.4 or of
1.3, gates held by their biases, units that a relu switches off, a unit that counts and misleads, rows in which nobody
need remember anything, gradients clipped at a thousandth, an optimiser that has the weights of a copy. Cells of elman
in the nets of `Classifier`, `Tagger` and `LanguageModel`, and layers of `torch.nn` and of elman in somebody else's
module that somebody else's loop has trained, if at all. Rows of letters, words, brackets, numbers and waves.

A *hit* is a model on which the rule of its illness speaks, a *miss* one on which it does not. A *false alarm* is a
rule that speaks of another illness, on a healthy model or on one that is ill of something else; not counted where that
is true as well, as a state that is multiplied by 1.2 at each step also makes gradients explode: which rules these are
was settled for each model beforehand, too. Healthy is who was taught until nine answers in ten were right; who was not
is left out, and named. Nothing was changed after the first count.
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

import receipt  # before PyTorch: elman.cli says how its threads wait

# isort: split
import numpy as np
import torch
from ailing import healthy, ill_gradients, ill_memories, ill_trainings, ill_units

from elman.doctor import examine
from elman.doctor.verdict import WELL

NAME = "verdicts"
AT_LEAST = 0.8  # of the illnesses are found
PROBES = 16
PATIENTS = [
    *ill_trainings.PATIENTS,
    *ill_gradients.PATIENTS,
    *ill_memories.PATIENTS,
    *ill_units.PATIENTS,
    *healthy.PATIENTS,
]
RULES = [*dict.fromkeys(patient.ill for patient in PATIENTS if patient.ill)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="models at a time, each in one thread")
    given = parser.parse_args(arguments)
    os.environ |= {"OMP_NUM_THREADS": "1", "ELMAN_NUM_THREADS": "1"}  # of the processes that are begun
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        found = []
        for number, one in enumerate(pool.map(diagnose, range(len(PATIENTS))), start=1):
            found.append(one)
            says = one["failed"] or ", ".join(one["says"]) or "well"
            print(f"{number} of {len(PATIENTS)}, {one['ill'] or 'healthy'}: {one['name']}: {says}", flush=True)
    write(found)


def diagnose(number: int) -> dict[str, Any]:
    """Make a model, have the doctor look at it, and say which rules spoke."""
    patient, began = PATIENTS[number], time.process_time()
    torch.manual_seed(number)
    torch.set_num_threads(1)
    facts = {"ill": patient.ill, "name": patient.name, "also": sorted(patient.also), "good": None}
    with TemporaryDirectory() as folder:
        made = patient.make(np.random.default_rng(number), Path(folder))
        facts["good"] = None if made.good is None or patient.ill else round(made.good, 3)
        try:
            says = examine(made.net, made.loss, probes=PROBES, facts=made.facts).verdicts()
            facts |= {"says": [verdict.rule for verdict in says if verdict.level != WELL], "failed": None}
        except Exception as error:  # a miss, whatever it is
            facts |= {"says": [], "failed": f"{type(error).__name__}: {error}"}
    return {**facts, "seconds": round(time.process_time() - began, 2)}


def counted(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """For each rule: hits and misses among its ten, false alarms on the healthy and on those ill of something else."""
    well = [one for one in found if one["ill"] is None and one["good"] >= healthy.GOOD]
    table = {}
    for rule in RULES:
        own = [one for one in found if one["ill"] == rule]
        others = [one for one in found if one["ill"] not in (None, rule) and rule not in one["also"]]
        hits = sum(rule in one["says"] for one in own)
        table[rule] = {
            "hits": hits,
            "misses": len(own) - hits,
            "false_alarms_on_healthy": sum(rule in one["says"] for one in well),
            "healthy": len(well),
            "false_alarms_on_others": sum(rule in one["says"] for one in others),
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
    ill = sum(row["hits"] + row["misses"] for row in table.values())
    well = [one for one in found if one["ill"] is None]
    facts = {
        "command": f"python gallery/{NAME}.py",
        "result": {"measure": "illnesses by construction that their rule finds", "published": None,
                   "at_least": AT_LEAST, "reached": round(sum(row["hits"] for row in table.values()) / ill, 4)},
        "rules": table,
        "healthy_without_any_alarm": sum(not one["says"] for one in well if one["good"] >= healthy.GOOD),
        "not_taught_well_enough": [one["name"] for one in well if one["good"] < healthy.GOOD],
        "missed": {rule: [one["name"] for one in found if one["ill"] == rule and rule not in one["says"]]
                   for rule in RULES},
        "models": [{name: one[name] for name in ("ill", "name", "also", "good", "says", "failed")} for one in found],
        "training_minutes": round(sum(one["seconds"] for one in found) / 60, 2),
    }  # fmt: skip
    receipt.write_with_figure(NAME, facts, figure(found, table))


def figure(found: Sequence[dict[str, Any]], table: dict[str, dict[str, int]]) -> Any:
    """What the models are ill of against the rules that spoke."""
    from matplotlib.figure import Figure

    rows = [*RULES, None]
    good = [one for one in found if one["ill"] or one["good"] >= healthy.GOOD]
    some = {ill: [one for one in good if one["ill"] == ill] for ill in rows}
    spoke = np.array([[sum(rule in one["says"] for one in some[ill]) for rule in RULES] for ill in rows])
    wrong = np.array([[sum(rule in one["says"] and rule not in one["also"] for one in some[ill]) for rule in RULES]
                      for ill in rows])  # fmt: skip
    shares = wrong / np.array([max(len(some[ill]), 1) for ill in rows])[:, None]
    colors = np.ones((*spoke.shape, 3))
    colors[..., 1:] -= 0.7 * shares[..., None]  # alarms are red
    for place, rule in enumerate(RULES):
        colors[place, place] = 1 - np.array([0.7, 0.2, 0.7]) * table[rule]["hits"] / max(len(some[rule]), 1)
    page = Figure(figsize=(10, 8), layout="constrained")
    axes = page.subplots()
    axes.imshow(colors)
    for row, column in np.argwhere(spoke > 0):
        true = spoke[row, column] - wrong[row, column] if row != column else 0
        text = f"{spoke[row, column]}" if not true else f"{wrong[row, column] or ''}({true})"
        axes.text(column, row, text, ha="center", va="center", fontsize=9)
    names = [f"{ill or 'healthy'} ({len(some[ill])})" for ill in rows]
    axes.set_xticks(range(len(RULES)), RULES, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), names)
    axes.set(xlabel="the rule that spoke", ylabel="what the models are ill of, and how many there are",
             title="Hits are green, false alarms red; in brackets what is true as well")  # fmt: skip
    return page


if __name__ == "__main__":
    main()
