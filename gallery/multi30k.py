"""Captions of pictures, from English into German and French (Multi30k): an LSTM both ways, an LSTM that attends to it.

    python gallery/multi30k.py [de] [fr] [vector] --data DIR

`vector` is the German model without attention: all that the decoder knows of a sentence is the final state of the
encoder. Its picture shows BLEU against the length of the sentence for both, and so where one vector gives way. The
validation part chooses the epoch; test_2016 is what is measured, in small letters, with a beam of five.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import labelled
import receipt

from elman.metrics.translation import TranslationReport, translation_report

NAME = "multi30k"
AT_LEAST = {"de": 36.5, "fr": 50.0, "vector": 0.0}  # BLEU; without attention it is shown, not asked for
SETTINGS = ["lowercase=true", "vocabulary_size=5000", "average=0.999"]
WORDS = 7, 10, 13, 16, 20  # where classes of length end


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="de, fr, vector; without, all of them")
    parser.add_argument("--data", type=Path, help="the folder that holds multi30k/{train,val,test_2016_flickr}.*.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    for model in given.models or AT_LEAST:
        language = "de" if model == "vector" else model
        parts = {part: [data / NAME / f"{part}.{side}.gz" for side in ("en", language)]
                 for part in ("train", "val", "test_2016_flickr")}  # fmt: skip
        settings = [*SETTINGS, "attention=none"] if model == "vector" else SETTINGS
        run = train(model, parts, settings, folder, data)
        sources, targets = map(lines, parts["test_2016_flickr"])
        found = run.model.predict(sources)
        report = translation_report(found, targets, lowercase=True)
        print(report.table())
        more: dict[str, Any] = {"report": report.to_json(), "greedy_bleu": round(
            translation_report(run.model.predict(sources, beam=1), targets, lowercase=True).bleu, 2)}  # fmt: skip
        figures = {f"{model}": by_length(sources, found, targets)}
        if model == "vector":
            attending = train("de", parts, SETTINGS, folder, data).model.predict(sources)
            figures["de"] = by_length(sources, attending, targets)
        more["bleu_by_words"] = {name: [round(one.bleu, 2) for one in reports] for name, reports in figures.items()}
        labelled.write(
            f"{NAME}_{model}",
            "BLEU on test_2016, lower-cased, beam 5",
            AT_LEAST[model] / 100,
            [run],
            [report.bleu / 100],
            middle="mean",
            classical={},
            more=more,
        )
        if model == "vector":
            draw(figures, receipt.RECEIPTS / f"{NAME}_lengths.png")


def train(model: str, parts: Any, settings: Sequence[str], folder: Path, data: Path) -> labelled.Run:
    words = [word for setting in settings for word in ("--set", setting)]
    validation = [word for file in parts["val"] for word in ("--validation", file)]
    return labelled.train(["translator", *parts["train"], *validation, *words], folder / model, data)


def lines(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return text.read().splitlines()


def by_length(sources: list[str], found: list[str], targets: list[str]) -> list[TranslationReport]:
    """Reports on the sentences of up to 7 words, of 8 to 10, ..."""
    reports = []
    for low, high in zip((0, *WORDS), (*WORDS, 1000), strict=True):
        rows = [row for row, source in enumerate(sources) if low < len(source.split()) <= high]
        reports.append(translation_report([found[row] for row in rows], [targets[row] for row in rows], lowercase=True))
    return reports


def draw(figures: dict[str, list[TranslationReport]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    names = [f"{low + 1}-{high}" for low, high in zip((0, *WORDS), WORDS, strict=False)] + [f"{WORDS[-1] + 1}-"]
    for name, reports in figures.items():
        label = "the final state alone" if name == "vector" else "attention"
        axes.plot(names, [report.bleu for report in reports], marker="o", label=label)
    axes.set(xlabel="words of the sentence", ylabel="BLEU", title="English to German, test_2016", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
