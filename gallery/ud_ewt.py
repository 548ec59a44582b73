"""Parts of speech in web texts (Universal Dependencies, English Web Treebank, UPOS): a bidirectional LSTM and a CRF.

    python gallery/ud_ewt.py --data DIR

The best epoch is chosen on a tenth of the training sentences, drawn by the seed, so the dev part is evaluated once and
not used to choose anything. The classical model is the hidden Markov model of `gallery/ud_ewt_hmm.py`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt
import tags

NAME = "ud_ewt"
AT_LEAST = 0.95  # accuracy on the dev part
COLUMNS = ["--tag", "2"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds ud_ewt/{train,dev}.tsv.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    train, dev = (data / NAME / f"{part}.tsv.gz" for part in ("train", "dev"))
    run = labelled.train(["tagger", train, *COLUMNS], folder / "seed-0", data)
    sentences = tags.read_tagged(dev, columns=(1, 2))
    report = run.model.evaluate(sentences.inputs, sentences.labels)
    print(report.table())
    labelled.write(
        NAME,
        "accuracy on dev",
        AT_LEAST,
        [run],
        [report.accuracy],
        middle="mean",
        classical={"hidden Markov model": tags.hmm_score(tags.read_tagged(train, columns=(1, 2)), sentences, None)},
    )


if __name__ == "__main__":
    main()
