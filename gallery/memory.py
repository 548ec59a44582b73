"""Memory of eight nets on six problems with a lag, and whether the doctor predicts it early.

    python gallery/memory.py --run DIR --jobs 2

*Adding*: the sum of two marked numbers out of many. *Temporal order*: two letters, in order. *Copying*: some letters, a
wait, the letters again. *Agreement*: `the cats , which already chased the dog , were full`. *Addition* of binary
numbers, with long carries, and *counting*, a^n b^n: both are trained on short rows and tested on rows ten times as
long. The nets are tanh and sigmoid RNNs with PyTorch's and with orthogonal initialisation, a ReLU RNN with identity
initialisation, an LSTM with a forget bias of 1 and one with PyTorch's initialisation, which has none, and a GRU. All
have 64 units, one layer, and within a problem the same rows, learning rate and number of updates, of 3,200 steps each
(1,600 in the adding problem). They stop when the validation rows are solved. The gradient is clipped, except in the
adding problem.

After 200 updates the doctor measures how far back the gradient of each net's targets reaches: its horizon. The receipt
reports the rank correlation between horizon / lag, median over seeds, and success at the end, mean over seeds, over all
nets and problems and all lags of training. The gradient is that of all rows together, with respect to the whole state.
This measure was chosen after trials with other settings, and before those of this receipt; the updates of adding,
copying and agreement were raised once, for nets that were still learning.

There are three seeds, and one for the adding problem at 200 and 400 steps. A stopped run continues in the same folder.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import receipt  # before PyTorch: elman.cli sets how its threads wait

# isort: split
from memory_trials import figures, results
from memory_trials.trials import PROBLEMS, outcome, run_all, trials

NAME = "memory"
AT_LEAST = 0.8  # rank correlation
STEPS = 3200  # of all rows of a batch together
TASK = {"hidden_size": 64, "learning_rate": 3e-3, "evaluate_every": 200}
ROWS = {"rows": 12800, "validation_rows": 200, "test_rows": 500, "batch_steps": STEPS}
LONG = ["relu, identity", "lstm", "gru"]  # nets for the longest rows
SETTINGS = {
    "adding": {
        **ROWS,
        "batch_steps": STEPS // 2,
        "updates": 10000,
        "task": {**TASK, "learning_rate": 2e-3, "until": 1.95, "clip_norm": None},
        "seeds": {"25": 3, "100": 3, "200": 1, "400": 1},
        "nets": {"200": LONG, "400": LONG},
    },
    "temporal order": {
        **ROWS,
        "updates": 1000,
        "task": {**TASK, "until": 0.02},
        "seeds": {"20": 3, "50": 3, "100": 3},
    },
    "copying": {
        **ROWS,
        "updates": 3000,
        "letters": 3,
        "task": {**TASK, "until": 0.01},
        "seeds": {"10": 3, "30": 3},
    },
    "agreement": {
        **ROWS,
        "updates": 3000,
        "shortest": 5,
        "tested": [5, 10, 20, 30, 45, 60],
        "task": TASK,
        "seeds": {"60": 3},
    },
    "addition": {
        **ROWS,
        "updates": 800,
        "tested": [5, 10, 19, 49, 99, 199],
        "task": {**TASK, "until": 0.001},
        "seeds": {"19": 3},
    },
    "counting": {
        "rows": 12800,
        "batch_steps": STEPS,
        "updates": 800,
        "tested": [10, 20, 40, 100, 200, 400],
        "task": {**TASK, "until": 0.139},  # perfect counting up to 20 costs ln(20) nats in 22 steps: 0.1362
        "seeds": {"40": 3},
    },
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of the outcomes")
    parser.add_argument("--only", choices=[*PROBLEMS], help="run the trials of this problem, and write no receipt")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time, each in one thread")
    given = parser.parse_args(arguments)
    folder = receipt.run_folder(NAME, given.run)
    folder.mkdir(parents=True, exist_ok=True)
    some = trials(SETTINGS, given.only)
    os.environ |= {"OMP_NUM_THREADS": "1", "ELMAN_NUM_THREADS": "1"}  # of the worker processes
    for done, facts in enumerate(run_all(some, SETTINGS, folder, given.jobs), start=1):
        print(f"{done} of {len(some)}: {line_of(facts)}", flush=True)
    if given.only is None:
        write([found for trial in some if (found := outcome(trial, SETTINGS[trial.problem], folder))])


def line_of(facts: dict[str, Any]) -> str:
    """Return an outcome as one line."""
    success = ", ".join(f"{lag}: {part:.2f}" for lag, part in facts["success"].items())
    horizon = f"horizon {results.early(facts):.1f} at lag {facts['lag']}"
    ended = facts["failed"] or f"{facts['updates']} updates, {'solved' if facts['solved'] else 'not solved'}"
    name = f"{facts['problem']}, {facts['net']}, seed {facts['seed']}"
    return f"{name}: success at lag {success}; {horizon}; {ended}; {facts['minutes']:.1f} minutes"


def write(outcomes: list[dict[str, Any]]) -> None:
    """Write the receipt of all outcomes, and the pictures."""
    points = results.points(outcomes)
    correlations = results.correlations(points)
    facts = {
        "command": f"python gallery/{NAME}.py",
        "settings": SETTINGS,
        "result": {
            "measure": "rank correlation of the horizon after 200 updates, by lag, with success",
            "published": None,
            "at_least": AT_LEAST,
            "reached": round(correlations["all"], 4),
        },
        "rank_correlations": results.finite(correlations),
        **results.summary(outcomes),
        "training_minutes": round(sum(facts["minutes"] for facts in outcomes), 1),
        "processor_minutes": round(sum(facts["processor_minutes"] for facts in outcomes), 1),
    }
    receipt.write_with_figure(NAME, facts, figures.success(points, correlations["all"]))
    for name, figure in {"gradient": figures.gradients(outcomes), "counter": figures.counter(outcomes)}.items():
        figure.savefig(receipt.RECEIPTS / f"{NAME}_{name}.png", dpi=120)


if __name__ == "__main__":
    main()
