"""Pronunciation of English words (CMU Pronouncing Dictionary): letters to phonemes, LSTMs with attention.

    python gallery/cmudict.py --data DIR

A word with several pronunciations gives several training pairs. A word of `valid`, which was not used to choose
anything, is compared with the closest listed pronunciation. Stress is removed from both, as in the published figures;
the figures with stress are in the receipt too.
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
    "embedding_dropout=0.1",  # low, since every letter matters
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
    predicted = run.model.predict(list(known))
    with_stress = translation_report(predicted, list(known.values()))
    without = translation_report([*map(plain, predicted)], [[*map(plain, listed)] for listed in known.values()])
    for name, report in (("stress removed", without), ("with stress", with_stress)):
        print(f"{name}: phoneme errors {report.unit_error_rate:.4f}, word errors {1 - report.exact:.4f}")
    labelled.write(
        NAME,
        "phoneme accuracy, stress removed, closest variant",
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
    """Return the pronunciations of each word."""
    found: dict[str, list[str]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            word, phonemes = line.rstrip("\n").split("\t")
            found.setdefault(word, []).append(phonemes)
    return found


def plain(phonemes: str) -> str:
    """Return phonemes without the digits that mark stress."""
    return re.sub(r"\d", "", phonemes)


if __name__ == "__main__":
    main()
