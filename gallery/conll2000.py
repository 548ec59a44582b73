"""Phrases in news (CoNLL-2000 chunking): a bidirectional LSTM and a CRF, with and without parts of speech.

    python gallery/conll2000.py --data DIR

The parts of speech in the data are those of a tagger, not of annotators. The best epoch is chosen on the last 1,000
sentences of the training part; each model is evaluated once on the test part. The classical model, a second-order
hidden Markov model, reads words only.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt
import tags

NAME = "conll2000"
AT_LEAST = 0.932  # chunk F1 on test, from words alone
AT_LEAST_GIVEN = 0.938
HELD_OUT = 1000  # sentences
SETTINGS: list[str] = []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds conll2000/{train,test}.txt.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    sentences, test = (tags.read_tagged(data / NAME / f"{part}.txt.gz", extra=2) for part in ("train", "test"))
    files = {"train": slice(-HELD_OUT), "dev": slice(-HELD_OUT, None)}
    for name, rows in files.items():
        tags.write_columns(tags.part(sentences, rows), folder / f"{name}.txt")
    words = ["tagger", folder / "train.txt", "--validation", folder / "dev.txt", *SETTINGS]
    run = labelled.train(words, folder / "words", data)
    with_given = labelled.train([*words, "--given", "2"], folder / "given", data)
    plain = [[word for word, _ in row] for row in test.inputs]
    report, other = run.model.evaluate(plain, test.labels), with_given.model.evaluate(test.inputs, test.labels)
    print(report.table())
    labelled.write(
        NAME,
        "chunk F1 on test, words alone",
        AT_LEAST,
        [run],
        [report.f1],
        middle="mean",
        classical={"hidden Markov model": tags.hmm_score(tags.part(sentences, files["train"]), test, "BIO")},
        more={
            "with_given_tags": {
                "trained_by": with_given.command,
                "at_least": AT_LEAST_GIVEN,
                "reached": round(other.f1, 4),
                "training_minutes": round(with_given.minutes, 2),
            }
        },
    )


if __name__ == "__main__":
    main()
