"""Nine speakers by their vowels, four motions by a watch (UEA archive): a bidirectional LSTM, three seeds.

    python gallery/uea.py --data DIR

The figure is the lower accuracy of the two sets. The classical model has one hidden Markov model per class and predicts
the most probable one (Rabiner 1989); with five states it is that of Kudo et al. (1999) for the vowels. The settings
were chosen by five-fold cross-validation on the training parts; the test parts are evaluated once.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import baselines
import labelled
import numpy as np
import receipt

from elman.data.readers import read_labelled

NAME = "uea"
AT_LEAST = 0.97  # test accuracy of each set
SETS = "JapaneseVowels", "BasicMotions"
SETTINGS = ["--set", "epochs=40", "--set", "noise=0.3", "--set", "validation=0"]
SEEDS = 0, 1, 2
STATES = 5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds uea/*_{TRAIN,TEST}.ts.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    runs: list[labelled.Run] = []
    scores, classical = {}, {}
    for name in SETS:
        train, test = (read_labelled(data / NAME / f"{name}_{part}.ts.gz") for part in ("TRAIN", "TEST"))
        words = ["classifier", data / NAME / f"{name}_TRAIN.ts.gz", *SETTINGS]
        own = [labelled.train([*words, "--set", f"seed={seed}"], folder / f"{name}-{seed}", data) for seed in SEEDS]
        reports = [run.model.evaluate(test.inputs, test.labels) for run in own]
        print(reports[0].table())
        runs += own
        scores[name] = [report.accuracy for report in reports]
        known = np.array(train.labels), test.inputs, np.array(test.labels)
        classical[name] = baselines.hmm_accuracy(train.inputs, *known, STATES)
    labelled.write(
        NAME,
        "test accuracy, the lower of two sets",
        AT_LEAST,
        runs,
        [min(both) for both in zip(*scores.values(), strict=True)],
        middle="median",
        classical={"HMM per class": min(classical.values())},
        more={"sets": {name: {"net": [round(score, 4) for score in scores[name]],
                              "median": round(statistics.median(scores[name]), 4),
                              "HMM per class": round(classical[name], 4)} for name in scores}},
    )  # fmt: skip


if __name__ == "__main__":
    main()
