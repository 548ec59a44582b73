"""Named entities in news (CoNLL-2003, English): a bidirectional LSTM and a CRF.

    python gallery/conll2003.py --data DIR

The model reads words and their spelling, without pretrained word vectors and lists of names. `testa`, the development
part of the shared task, is used to choose the epoch and for the figures, as in its tables. The classical model is a
second-order hidden Markov model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt
import tags

NAME = "conll2003"
AT_LEAST = 0.91  # entity F1 on testa
SETTINGS: list[str] = []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds conll2003/eng.{train,testa}.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    train, dev = data / NAME / "eng.train.gz", data / NAME / "eng.testa.gz"
    run = labelled.train(["tagger", train, "--validation", dev, *SETTINGS], folder / "seed-0", data)
    sentences = tags.read_tagged(dev)
    report = run.model.evaluate(sentences.inputs, sentences.labels)
    print(report.table())
    labelled.write(
        NAME,
        "entity F1 on testa",
        AT_LEAST,
        [run],
        [report.f1],
        middle="mean",
        classical={"hidden Markov model": tags.hmm_score(tags.read_tagged(train), sentences, "IOB1")},
        more={"entities": report.to_json()["labels"]},
    )


if __name__ == "__main__":
    main()
