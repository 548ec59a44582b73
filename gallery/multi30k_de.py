"""Captions of pictures, from English into German (Multi30k): LSTMs with attention.

    python gallery/multi30k_de.py --data DIR

The best epoch is chosen on the validation part; the figures are those of test_2016, in lower case, with a beam of five.
The baseline is the same network without attention, whose decoder reads only the final state of the encoder.
`multi30k_lengths.png` shows BLEU by sentence length for both.
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import labelled
import receipt
import translated

NAME = "multi30k_de"
AT_LEAST = 0.365  # BLEU
LENGTHS = 0, 8, 10, 12, 14, 17, 1000  # bounds of the length classes, in words


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds multi30k/{train,val,test_2016_flickr}.*.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    attending = translated.translate("de", translated.SETTINGS, folder / "attention", data)
    single = translated.translate("de", [*translated.SETTINGS, "attention=none"], folder / "vector", data)
    report, without = attending.report(), single.report()
    by_words = {"attention": by_length(attending), "no attention": by_length(single)}
    labelled.write(
        NAME,
        "BLEU on test_2016, lower-cased, beam 5",
        AT_LEAST,
        [attending.run, single.run],
        [report.bleu / 100],
        middle="mean",
        classical={"no attention": without.bleu / 100},
        more={
            "report": report.to_json(),
            "greedy_bleu": attending.greedy_bleu(),
            "without_attention": without.to_json(),
            "bleu_by_words": by_words,
        },
    )
    draw(by_words, receipt.RECEIPTS / "multi30k_lengths.png")


def by_length(model: translated.Translated) -> dict[str, float]:
    """Return the BLEU of the sentences of each length class."""
    found = {}
    for low, high in pairwise(LENGTHS):
        rows = [row for row, source in enumerate(model.sources) if low < len(source.split()) <= high]
        if rows:
            name = f"{low + 1}-" + (f"{high}" if high < LENGTHS[-1] else "")
            found[name] = round(model.report(rows).bleu, 2)
    return found


def draw(by_words: Mapping[str, Mapping[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, scores in by_words.items():
        axes.plot([*scores], [*scores.values()], marker="o", label=name)
    axes.set(xlabel="words of the sentence", ylabel="BLEU", title="English to German, test_2016", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
