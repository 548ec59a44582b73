"""Languages of surnames: a bidirectional LSTM that reads letters, three seeds.

    python gallery/names.py --data DIR

Each name is used once per language. A random tenth of the different names is the test part. The best epoch is chosen on
a tenth of the others, drawn by the seed from each language. The classical model counts runs of up to four letters, as
in `gallery/names_windows.py`.
"""

import argparse
from collections.abc import Sequence as Arguments
from pathlib import Path

import labelled
import numpy as np
import receipt

from elman.classical import BagOfWords
from elman.data import make_units
from elman.data.readers import read_labelled
from elman.sequences import Sequences

Line = tuple[str, str]  # name, language

NAME = "names"
AT_LEAST = 0.80
SETTINGS = ["--text", "1", "--label", "2", "--set", "units=characters"]
SEEDS = 0, 1, 2


def split(path: Path) -> tuple[list[Line], list[Line]]:
    """Return the training names and the test names; a name of two languages is in one of them."""
    file = read_labelled(path, text="1", label="2")
    lines = sorted(set(zip(file.inputs, file.labels or [], strict=True)))
    different = sorted({name for name, _ in lines})
    drawn = set(np.random.default_rng(0).choice(different, len(different) // 10, replace=False).tolist())
    train, test = ([line for line in lines if (line[0] in drawn) is inside] for inside in (False, True))
    return train, test


def write_lines(lines: list[Line], path: Path) -> None:
    """Write a table for `elman train classifier`."""
    path.write_text("".join(f"{name}\t{language}\n" for name, language in lines), encoding="utf-8")


def count(train: list[Line], test: list[Line]) -> float:
    """Return the accuracy of a bag of letter n-grams, including the ends of names."""
    units = make_units("characters", min_count=1).fit([name for name, _ in train])

    def rows(lines: list[Line]) -> tuple[Sequences, list[str]]:
        ids = [units.encode(f"\n{name}\n") for name, _ in lines]
        return Sequences.from_list(ids), [language for _, language in lines]

    return BagOfWords(vocabulary_size=units.size, ngrams=4, min_count=2, l2=3.0).fit(*rows(train)).score(*rows(test))


def main(arguments: Arguments | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds names/train.tsv.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    train, test = split(data / NAME / "train.tsv.gz")
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(train, folder / "train.tsv")
    words = ["classifier", folder / "train.tsv", *SETTINGS]
    runs = [labelled.train([*words, "--set", f"seed={seed}"], folder / f"seed-{seed}", data) for seed in SEEDS]
    reports = [run.model.evaluate(*map(list, zip(*test, strict=True))) for run in runs]
    print(reports[0].table())
    labelled.write(
        NAME,
        "accuracy on a tenth",
        AT_LEAST,
        runs,
        [report.accuracy for report in reports],
        middle="mean",
        classical={"bag of n-grams": count(train, test)},
        more={"calibration_error": [round(report.calibration_error, 4) for report in reports]},
    )


if __name__ == "__main__":
    main()
