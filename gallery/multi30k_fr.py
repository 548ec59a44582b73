"""Captions of pictures, from English into French (Multi30k): LSTMs with attention.

    python gallery/multi30k_fr.py --data DIR

The settings are those of `multi30k_de`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt
import translated

NAME = "multi30k_fr"
AT_LEAST = 0.50  # BLEU


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds multi30k/{train,val,test_2016_flickr}.*.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    attending = translated.translate("fr", translated.SETTINGS, folder / "attention", data)
    report = attending.report()
    labelled.write(
        NAME,
        "BLEU on test_2016, lower-cased, beam 5",
        AT_LEAST,
        [attending.run],
        [report.bleu / 100],
        middle="mean",
        more={"report": report.to_json(), "greedy_bleu": attending.greedy_bleu()},
    )


if __name__ == "__main__":
    main()
