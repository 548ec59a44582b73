"""How English words sound (CMU Pronouncing Dictionary): letters in, phonemes out, an LSTM that attends to an LSTM.

    python gallery/cmudict.py --data DIR

A word with several pronunciations is several pairs of the training part. A word of `valid`, which nothing was chosen
by, is measured against the listed variant that is closest to what the model says; stress is removed from both, as in
the published figures, and what is found with stress stands beside it.
"""

import argparse
import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt

from elman.metrics.translation import translation_report

NAME = "cmudict"
AT_LEAST = 0.932  # of the phonemes: an error rate of 6.8 %
SETTINGS = [
    "units=characters",
    "target_units=words",
    "hidden_size=384",
    "embedding_size=128",
    "embedding_dropout=0.1",  # a letter that is not seen is a letter less
    "dropout=0.2",
    "output_dropout=0.2",
    "average=0.999",
    "batch_steps=2000",
    "epochs=12",
]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds cmudict/{train,valid}.tsv.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    train = data / NAME / "train.tsv.gz"
    run = labelled.train(["translator", train, "--source", "1", "--target", "2", *words], folder / "seed-0", data)
    known = variants(data / NAME / "valid.tsv.gz")
    said = run.model.predict(list(known))
    with_stress = translation_report(said, list(known.values()))
    without = translation_report([*map(plain, said)], [[*map(plain, listed)] for listed in known.values()])
    for name, report in (("stress removed", without), ("with stress", with_stress)):
        print(f"{name}: phoneme errors {report.unit_error_rate:.4f}, word errors {1 - report.exact:.4f}")
    labelled.write(
        NAME,
        "phonemes right, stress removed, closest variant",
        AT_LEAST,
        [run],
        [1 - (without.unit_error_rate or 0.0)],
        middle="mean",
        more={
            "stress_removed": {"phoneme_errors": without.unit_error_rate, "word_errors": 1 - without.exact},
            "with_stress": {"phoneme_errors": with_stress.unit_error_rate, "word_errors": 1 - with_stress.exact},
        },
    )


def variants(file: Path) -> dict[str, list[str]]:
    """The pronunciations of each word."""
    found: dict[str, list[str]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            word, phonemes = line.rstrip("\n").split("\t")
            found.setdefault(word, []).append(phonemes)
    return found


def plain(phonemes: str) -> str:
    """Without the digits of stress."""
    return re.sub(r"\d", "", phonemes)


if __name__ == "__main__":
    main()
