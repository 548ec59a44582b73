"""Sentiment of film reviews (SST-2, whole sentences only): a bidirectional LSTM with maximum pooling.

    python gallery/sst2.py --data DIR

The model is trained without pretrained word vectors and phrase labels. The classical model is the bag of words of
`gallery/sst2_bag.py`. The dev part is used to choose the settings and the epoch, and to calibrate the probabilities;
each of three seeds is evaluated once on the test part.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt
import sst2_bag

NAME = "sst2"
AT_LEAST = 0.82  # mean test accuracy
SETTINGS = ["--text", "1", "--label", "2", "--set", "average=0.998"]
SEEDS = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds sst2/{train,dev,test}.tsv.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    parts = data / "sst2"
    words = ["classifier", parts / "train.tsv.gz", "--validation", parts / "dev.tsv.gz", *SETTINGS]
    runs = [labelled.train([*words, "--set", f"seed={seed}"], folder / f"seed-{seed}", data) for seed in SEEDS]
    texts, labels = sst2_bag.read(parts / "test.tsv.gz")
    names = [str(label) for label in labels]
    units, bag = sst2_bag.fit(sst2_bag.read(parts / "train.tsv.gz"), sst2_bag.SETTINGS)
    reports = [run.model.evaluate(texts, names) for run in runs]
    print(reports[0].table())
    labelled.write(
        NAME,
        "test accuracy",
        AT_LEAST,
        runs,
        [report.accuracy for report in reports],
        middle="mean",
        classical={"bag of words": bag.score(sst2_bag.rows(units, texts), labels)},
        more={"calibration_error": [round(report.calibration_error, 4) for report in reports]},
    )


if __name__ == "__main__":
    main()
